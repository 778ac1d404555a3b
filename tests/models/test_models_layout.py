"""The layout of images follows the precision and changes nothing else."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models.convolution import StridedPointwise
from cardiobind.models.layout import channels_last_in_half, convolved


def test_in_half_precision_the_channels_of_a_pixel_lie_side_by_side():
    image = torch.randn(2, 3, 4, 5)
    with torch.autocast("cpu", torch.bfloat16):
        laid = channels_last_in_half(image)
    assert laid.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(laid, image)


def test_in_float32_the_image_is_the_same_object():
    image = torch.randn(2, 3, 4, 5)
    assert channels_last_in_half(image) is image


def a_convolution_and_its_norm(stride):
    torch.manual_seed(0)
    convolution = StridedPointwise(8, 16, 2) if stride == 2 else torch.nn.Conv2d(8, 16, 3, padding=1, bias=False)
    norm = torch.nn.BatchNorm2d(16).eval()
    for values in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        values.copy_(0.5 + torch.rand(16))
    return convolution, norm, torch.randn(2, 8, 7, 7)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_norm_that_is_put_into_the_weights_gives_what_it_gives_after_them(stride):
    convolution, norm, image = a_convolution_and_its_norm(stride)
    expected = norm(convolution(image))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = convolved(convolution, norm, image)
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).abs().max() < 0.02 * expected.abs().max()


def test_float32_gradients_and_training_take_the_norm_as_it_is():
    convolution, norm, image = a_convolution_and_its_norm(1)
    with torch.inference_mode():
        assert torch.equal(convolved(convolution, norm, image), norm(convolution(image)))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(convolved(convolution, norm, image), norm(convolution(image)))
        norm.train()
        with torch.no_grad():
            first, count = convolved(convolution, norm, image), int(norm.num_batches_tracked)
    assert count == 1
    assert first.float().mean(dim=(0, 2, 3)).allclose(norm.bias, atol=0.05)
