"""The layout of images follows the precision and changes nothing else."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models.convolution import LARGE, WEIGHTS_A_PIXEL, StridedPointwise, convolve
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


def gradients(convolution, image, through, layout=torch.channels_last):
    """Return output and gradients of image and weights in bfloat16."""
    convolution.zero_grad()
    shown = image.contiguous(memory_format=layout).requires_grad_()
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
    assert convolution.weight.numel() >= LARGE
    image = torch.randn(2, 512, side, side)
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


@pytest.mark.parametrize(("channels", "batch"), [(64, 1), (512, 577)])
def test_few_weights_and_many_pixels_go_the_usual_way(channels, batch, monkeypatch):
    convolution = torch.nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    assert convolution.weight.numel() < max(LARGE, WEIGHTS_A_PIXEL * batch * 16)
    taken = []
    monkeypatch.setattr(convolution, "forward", lambda image: taken.append(image) or image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        convolve(convolution, torch.empty(batch, channels, 4, 4))
    assert len(taken) == 1


def test_in_float32_a_convolution_of_many_weights_is_torchs_to_the_bit():
    torch.manual_seed(0)
    convolution, image = torch.nn.Conv2d(512, 512, 3, padding=1, bias=False), torch.randn(1, 512, 3, 3)
    found = []
    for through in (convolution, lambda shown: convolve(convolution, shown)):
        convolution.zero_grad()
        through(image).square().sum().backward()
        found.append(convolution.weight.grad.clone())
    assert torch.equal(*found)
