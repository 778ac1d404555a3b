"""How images lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last_in_half(image: Tensor) -> Tensor:
    """Return images (B, C, H, W) with the channels of a pixel side by side where convolutions are in half precision.

    Convolutions on CPUs and GPUs multiply faster so, and the layout passes from layer to layer. In float32 the images
    stay as they are: another layout sums in another order, and published numbers would change in their last bits.
    """
    if not torch.is_autocast_enabled(image.device.type):
        return image
    return image.contiguous(memory_format=torch.channels_last)
