"""Batch norm over the batch of all processes, on any device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist


class _Total(torch.autograd.Function):
    """Sum over the processes; the gradient of the sum of all losses is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def total_of_all(x: Tensor) -> Tensor:
    """Return the sum of a tensor over the processes, with gradients to each of them."""
    total: Tensor = _Total.apply(x)  # type: ignore[no-untyped-call]
    return total


class JointBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose mean and variance in training are those of the batch of all processes.

    PyTorch's own (`torch.nn.SyncBatchNorm`) needs a GPU.

    Source: Ioffe and Szegedy 2015, equations of algorithm 1, over the joint batch.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any (B, channels, ...)."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised batch, of the shape of the input."""
        if not self.training:
            return super().forward(input)
        x = input if input.dtype == torch.float64 else input.float()
        shape = [1, -1, *[1] * (x.ndim - 2)]
        others = [d for d in range(x.ndim) if d != 1]
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = total_of_all(torch.cat([x.sum(others), count]))
        size = sums[-1].detach()
        mean = sums[:-1] / size
        centred = x - mean.view(shape)
        variance = total_of_all(centred.square().sum(others)) / size
        self._remember(mean.detach(), variance.detach(), size)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, size: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        part = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), part)
        self.running_var.lerp_((variance * size / (size - 1)).to(self.running_var.dtype), part)


_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def joint_batch_norm(module: nn.Module, *, joint: bool) -> Iterator[None]:
    """Let the batch norms of a network see the joint batch of all processes for the length of a block.

    The modules stay the same, with the same weights and names; only what they compute in training changes. All
    processes have to call them equally often.

    Args:
        module: network.
        joint: whether to do it at all.
    """
    changed = [m for m in module.modules() if joint and type(m) in _PLAIN]
    kinds = [type(m) for m in changed]
    for norm in changed:
        norm.__class__ = JointBatchNorm
    try:
        yield
    finally:
        for norm, kind in zip(changed, kinds, strict=True):
            norm.__class__ = kind
