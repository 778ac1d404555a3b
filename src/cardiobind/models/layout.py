"""How images lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardiobind.models.convolution import StridedPointwise, convolve


def channels_last_in_half(image: Tensor) -> Tensor:
    """Return images (B, C, H, W) with the channels of a pixel side by side where convolutions are in half precision.

    Convolutions on CPUs and GPUs multiply faster so, and the layout passes from layer to layer. In float32 the images
    stay as they are: another layout sums in another order, and published numbers would change in their last bits.
    """
    if not torch.is_autocast_enabled(image.device.type):
        return image
    return image.contiguous(memory_format=torch.channels_last)


def convolved(convolution: nn.Conv2d, norm: nn.BatchNorm2d, image: Tensor) -> Tensor:
    """Return ``norm(convolution(image))``; in half precision and without gradients both are one convolution.

    The norm of evaluation is a factor and a summand a channel, which fit into the weights. Where gradients are wanted
    the convolution is `cardiobind.models.convolution.convolve`; in float32 nothing changes.

    Args:
        convolution: without a bias.
        norm: over its outputs.
        image: (B, C, H, W).
    """
    half = torch.is_autocast_enabled(image.device.type)
    variance, mean = norm.running_var, norm.running_mean
    if norm.training or torch.is_grad_enabled() or not half or variance is None or mean is None:
        return norm(convolve(convolution, image))  # type: ignore[no-any-return]
    factor = norm.weight * torch.rsqrt(variance + norm.eps)
    kind = torch.get_autocast_dtype(image.device.type)
    weight, bias = (convolution.weight * factor[:, None, None, None]).to(kind), norm.bias - mean * factor
    stride, padding = convolution.stride, convolution.padding
    if isinstance(convolution, StridedPointwise):
        image, stride = convolution.picked(image), (1, 1)
    return nn.functional.conv2d(image, weight, bias.to(kind), stride, padding)
