"""Losses and scores of a reconstructed signal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32


@in_float32
def normalised_correlation(
    prediction: Tensor, signal: Tensor, dim: int | tuple[int, ...] = -1, counted: Tensor | None = None
) -> Tensor:
    """Return Pearson's correlation over time of each lead.

    Args:
        prediction: (..., T).
        signal: of the same shape.
        dim: axes of time, where it is not the last one: patches need not be put together first.
        counted: 1 for the entries that count, 0 for the others, broadcast to the signal; None for all.

    Returns:
        (...) in [-1, 1]; 0, with a zero gradient, where one of the two is constant.

    Raises:
        InputError: the shapes differ.

    Source: arXiv 2411.05900, section 3.1 (NCC).
    """
    _check_shapes(prediction, signal)
    a, b = (_centred(x, dim, counted) for x in (prediction, signal))
    power = (a * a).sum(dim=dim) * (b * b).sum(dim=dim)
    varies = power > torch.finfo(power.dtype).tiny
    norm = torch.where(varies, power, 1.0).sqrt()
    return torch.where(varies, (a * b).sum(dim=dim) / norm, 0.0)


def _centred(x: Tensor, dim: int | tuple[int, ...], counted: Tensor | None) -> Tensor:
    if counted is None:
        return x - x.mean(dim=dim, keepdim=True)
    weight = counted.to(x.dtype).expand_as(x)
    mean = (weight * x).sum(dim=dim, keepdim=True) / weight.sum(dim=dim, keepdim=True).clamp(min=1.0)
    return weight * (x - mean)


@in_float32
def masked_reconstruction(
    prediction: Tensor,
    target: Tensor,
    correlation: Tensor,
    *,
    correlation_weight: float = 0.1,
    mask: Tensor | None = None,
) -> Tensor:
    """Return ``(1 - w) * MSE over the patches + w * (1 - mean correlation)``.

    Args:
        prediction: (B, N, patch).
        target: (B, N, patch), the signal's own patches.
        correlation: of prediction and signal, one number a lead, as `normalised_correlation` gives it.
        correlation_weight: w in [0, 1].
        mask: (B, N), 1 where the squared error counts; the paper counts all patches (None), He et al. the hidden ones.

    Raises:
        InputError: shapes differ, the weight is out of range or the mask is empty.

    Source: arXiv 2411.05900, section 3.1, with w = 0.1.
    """
    _check_shapes(prediction, target)
    if not 0.0 <= correlation_weight <= 1.0:
        raise InputError("the weight is out of range", expected="[0, 1]", got=correlation_weight)
    error = _masked_error(prediction, target, mask)
    return (1.0 - correlation_weight) * error + correlation_weight * (1.0 - correlation.mean())


def _masked_error(prediction: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return F.mse_loss(prediction, target)
    if mask.shape != prediction.shape[:2] or not bool(mask.any()):
        raise InputError("the mask must be (B, N) and not empty", expected=prediction.shape[:2], got=mask.shape)
    per_patch = (prediction - target).square().mean(dim=-1)
    return (per_patch * mask).sum() / mask.sum()


def _check_shapes(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise InputError("prediction and target have different shapes", expected=tuple(b.shape), got=tuple(a.shape))
