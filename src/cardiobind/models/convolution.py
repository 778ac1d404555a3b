"""Convolutions of images in half precision: strides without gaps, and the gradient of large weights as one product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LARGE = 2**18
"""Weights from which the gradient is worth a product of its own (measured: docs/log.md, 2026-11-28)."""
WEIGHTS_A_PIXEL = 2**8
"""Weights there must be for each output pixel of the batch; with more pixels torch's own convolution is as fast."""


def convolve(convolution: nn.Conv2d, image: Tensor) -> Tensor:
    """Return ``convolution(image)``; on CPUs in half precision the gradient of many weights is one matrix product.

    oneDNN (torch 2.13) brings such weights into its own order and back at each step, which costs more than to multiply:
    on images of 128 px a ResNet50 trains a sixth faster without (docs/log.md, 2026-11-28). The output and the gradient
    of the image keep their bits; the weights' is summed in another order. In float32 and on GPUs all is as it was.

    Args:
        convolution: any; one that is grouped, dilated or has a bias is left to torch.
        image: (B, C, H, W).
    """
    half = torch.is_autocast_enabled(image.device.type) and image.device.type == "cpu"
    if not half or not torch.is_grad_enabled() or not _by_product(convolution, image):
        return convolution(image)  # type: ignore[no-any-return]
    kind, stride, padding = torch.get_autocast_dtype("cpu"), convolution.stride, convolution.padding
    if isinstance(convolution, StridedPointwise):
        image, stride = convolution.picked(image), (1, 1)
    product: Any = _WeightsByProduct.apply
    found: Tensor = product(image.to(kind), convolution.weight.to(kind), stride, padding)
    return found


def _by_product(convolution: nn.Conv2d, image: Tensor) -> bool:
    """Say whether the convolution is a plain one of many weights, also in comparison with the pixels of the output."""
    if convolution.bias is not None or convolution.groups > 1 or convolution.dilation != (1, 1):
        return False
    if isinstance(convolution.padding, str) or convolution.padding_mode != "zeros":
        return False
    (rows, columns), weights = convolution.stride, convolution.weight.numel()
    pixels = len(image) * -(-image.shape[2] // rows) * -(-image.shape[3] // columns)
    return convolution.weight.requires_grad and weights >= max(LARGE, WEIGHTS_A_PIXEL * pixels)


class _WeightsByProduct(torch.autograd.Function):
    """A convolution whose weights' gradient is (outputs, pixels) times (pixels, what each of them sees)."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(image, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        image, weight = ctx.saved_tensors
        of_image = None
        if ctx.needs_input_grad[0]:
            of_image, *_ = torch.ops.aten.convolution_backward(
                gradient, image, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1, (True, False, False)
            )
        outputs, inputs, *kernel = weight.shape
        seen = _seen(image, (kernel[0], kernel[1]), ctx.stride, ctx.padding, gradient.shape[2:])
        product = gradient.permute(0, 2, 3, 1).reshape(-1, outputs).t() @ seen
        return of_image, product.view(outputs, *kernel, inputs).permute(0, 3, 1, 2), None, None


def _seen(
    image: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], cells: torch.Size
) -> Tensor:
    """Return what each output pixel sees of an image (B, C, H, W): (pixels, kernel rows x kernel columns x C).

    Args:
        image: (B, C, H, W).
        kernel: rows and columns.
        stride: down and to the right.
        padding: above and below, left and right.
        cells: rows and columns of the output.
    """
    laid = image.permute(0, 2, 3, 1)
    if any(padding):
        laid = F.pad(laid, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    laid = laid.contiguous()
    batch, row, column, channel = laid.stride()
    size = (len(laid), *cells, *kernel, laid.shape[3])
    windows = laid.as_strided(size, (batch, row * stride[0], column * stride[1], row, column, channel))
    return windows.reshape(len(laid) * cells.numel(), -1)


class StridedPointwise(nn.Conv2d):
    """A convolution of one pixel with a stride, as in the shortcuts of a ResNet; weights and names of `nn.Conv2d`.

    In half precision the pixels are picked first and convolved without a stride, which is the same: with channels last,
    the strided backward pass of oneDNN (torch 2.13, AVX512-BF16, several threads, up to 8 channels) writes outside of
    its memory and ends the process (docs/log.md, 2026-11-28). In float32 nothing changes.

    Args:
        inputs: channels.
        outputs: channels.
        stride: in both directions.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride), rounded up, of (B, inputs, H, W)."""
        if not torch.is_autocast_enabled(image.device.type):
            return super().forward(image)
        return F.conv2d(self.picked(image), self.weight)

    def picked(self, image: Tensor) -> Tensor:
        """Return the pixels (B, inputs, H / stride, W / stride), rounded up, that the convolution sees."""
        # The mean of one pixel is that pixel. Slicing would do, but its gradient comes with the channels first, and
        # every sum and threshold below it would then walk through memory in leaps.
        return F.avg_pool2d(image, 1, self.stride)
