"""Convolutions in half precision give what torch's give, whatever way they are computed."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models.convolution import LARGE, WEIGHTS_A_PIXEL, StridedPointwise, convolve


@pytest.mark.parametrize(("channels", "batch", "side"), [(3, 3, 28), (4, 13, 28), (8, 1, 16), (16, 2, 7)])
def test_a_strided_convolution_of_one_pixel_is_torchs_and_ends_no_process_in_bfloat16(
    channels: int, batch: int, side: int
) -> None:
    torch.manual_seed(0)
    ours = StridedPointwise(channels, 2 * channels, 2)
    plain = torch.nn.Conv2d(channels, 2 * channels, 1, stride=2, bias=False)
    plain.load_state_dict(ours.state_dict())
    image = torch.randn(batch, channels, side, side)
    assert torch.equal(ours(image), plain(image))
    for _ in range(10):
        shown = image.contiguous(memory_format=torch.channels_last).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = ours(shown)
        half.float().square().sum().backward()
    torch.testing.assert_close(half.float(), plain(image), rtol=0.05, atol=0.05)


PRODUCT = "_WeightsByProductBackward"


def way(convolution, image):
    """Return the name of the backward pass that a convolution takes in bfloat16."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return type(convolve(convolution, image).grad_fn).__name__


def gradients(convolution, image, through, layout=torch.channels_last, *, learn_below=True):
    """Return output and gradients of image and weights in bfloat16."""
    convolution.zero_grad()
    shown = image.contiguous(memory_format=layout).requires_grad_(learn_below)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = through(shown)
    found.float().square().sum().backward()
    return found.detach(), shown.grad, convolution.weight.grad


@pytest.mark.parametrize(
    ("kernel", "stride", "side"), [((3, 3), 1, 4), ((3, 3), 2, 5), ((3, 3), 2, 6), ((1, 1), 1, 4), ((5, 3), (2, 1), 6)]
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_gradient_of_many_weights_as_a_product_is_that_of_the_convolution(kernel, stride, side, layout):
    torch.manual_seed(0)
    padding = (kernel[0] // 2, kernel[1] // 2)
    convolution = torch.nn.Conv2d(512, 512, kernel, stride=stride, padding=padding, bias=False)
    image = torch.randn(2, 512, side, side)
    assert way(convolution, image) == PRODUCT
    plain = gradients(convolution, image, convolution, layout)
    ours = gradients(convolution, image, lambda shown: convolve(convolution, shown), layout)
    assert torch.equal(ours[0], plain[0])
    assert torch.equal(ours[1], plain[1])
    torch.testing.assert_close(ours[2], plain[2], rtol=0.02, atol=1e-3 * plain[2].abs().max().item())
    assert ours[2].dtype == torch.float32
    double = torch.nn.Conv2d(512, 512, kernel, stride=stride, padding=padding, bias=False, dtype=torch.float64)
    double.load_state_dict(convolution.state_dict())
    double(image.double()).square().sum().backward()
    assert (ours[2] - double.weight.grad).norm() < 0.01 * double.weight.grad.norm()


def test_the_gradient_of_a_shortcut_with_many_weights_is_that_of_the_convolution():
    torch.manual_seed(0)
    convolution, image = StridedPointwise(512, 1024, 2), torch.randn(2, 512, 5, 5)
    assert way(convolution, image) == PRODUCT
    plain = gradients(convolution, image, convolution)
    ours = gradients(convolution, image, lambda shown: convolve(convolution, shown))
    assert torch.equal(ours[0], plain[0])
    assert torch.equal(ours[1], plain[1])
    torch.testing.assert_close(ours[2], plain[2], rtol=0.02, atol=1e-3 * plain[2].abs().max().item())


def test_the_gradient_of_picked_pixels_has_the_channels_last_as_the_image_has():
    image = torch.randn(2, 8, 7, 7).contiguous(memory_format=torch.channels_last).requires_grad_()
    picked = StridedPointwise(8, 16, 2).picked(image)
    assert torch.equal(picked, image[:, :, ::2, ::2])
    weights = torch.randn_like(picked)
    (picked * weights).sum().backward()
    assert image.grad.is_contiguous(memory_format=torch.channels_last)
    expected = torch.zeros(2, 8, 7, 7)
    expected[:, :, ::2, ::2] = weights
    assert torch.equal(image.grad, expected)


def plain(channels=512, kernel=3, **options):
    return torch.nn.Conv2d(channels, channels, kernel, **{"padding": kernel // 2, "bias": False} | options)


def test_many_weights_for_each_pixel_go_by_product_and_no_others_do():
    pixels = 512 * 512 // WEIGHTS_A_PIXEL
    assert pixels == 32 * 32
    pointwise = plain(kernel=1)
    assert pointwise.weight.numel() == LARGE
    assert way(pointwise, torch.randn(1, 512, 32, 32)) == PRODUCT
    assert way(pointwise, torch.randn(1, 512, 32, 33)) != PRODUCT
    assert way(plain(channels=64), torch.randn(1, 64, 1, 1)) != PRODUCT


@pytest.mark.parametrize(
    "options", [{"bias": True}, {"groups": 2}, {"dilation": 2}, {"padding": "same"}, {"padding_mode": "circular"}]
)
def test_a_convolution_of_another_kind_is_left_to_torch(options):
    convolution = plain(channels=1024, **options)
    assert way(convolution, torch.randn(1, 1024, 5, 5)) != PRODUCT


def test_frozen_weights_and_those_below_which_nothing_learns():
    torch.manual_seed(0)
    convolution, image = plain(), torch.randn(1, 512, 3, 3)
    through = lambda shown: convolve(convolution, shown)  # noqa: E731
    expected = gradients(convolution, image, convolution)
    _, below, weights = gradients(convolution, image, through, learn_below=False)
    assert below is None
    torch.testing.assert_close(weights, expected[2], rtol=0.02, atol=1e-3 * expected[2].abs().max().item())
    convolution.requires_grad_(False)
    _, below, weights = gradients(convolution, image, through)
    assert weights is None
    assert torch.equal(below, expected[1])


def test_in_float32_a_convolution_of_many_weights_is_torchs_to_the_bit():
    torch.manual_seed(0)
    convolution, image = torch.nn.Conv2d(512, 512, 3, padding=1, bias=False), torch.randn(1, 512, 3, 3)
    found = []
    for through in (convolution, lambda shown: convolve(convolution, shown)):
        convolution.zero_grad()
        through(image).square().sum().backward()
        found.append(convolution.weight.grad.clone())
    assert torch.equal(*found)
