"""The layout of images follows the precision and changes nothing else."""

from __future__ import annotations

import torch

from cardiobind.models.layout import channels_last_in_half


def test_in_half_precision_the_channels_of_a_pixel_lie_side_by_side():
    image = torch.randn(2, 3, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        laid = channels_last_in_half(image)
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid, image)


def test_in_float32_the_image_is_the_same_object():
    image = torch.randn(2, 3, 4, 5)
    assert channels_last_in_half(image) is image
