"""Losses and scores of a reconstructed signal."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError


def normalised_correlation(prediction: Tensor, signal: Tensor) -> Tensor:
    """Return Pearson's correlation over time of each lead.

    Args:
        prediction: (..., T).
        signal: (..., T).

    Returns:
        (...) in [-1, 1]; 0, with a zero gradient, where one of the two is constant.

    Raises:
        InputError: the shapes differ.

    Source: arXiv 2411.05900, section 3.1 (NCC).
    """
    _check_shapes(prediction, signal)
    a = prediction - prediction.mean(dim=-1, keepdim=True)
    b = signal - signal.mean(dim=-1, keepdim=True)
    power = (a * a).sum(dim=-1) * (b * b).sum(dim=-1)
    varies = power > torch.finfo(power.dtype).tiny
    norm = torch.where(varies, power, 1.0).sqrt()
    return torch.where(varies, (a * b).sum(dim=-1) / norm, 0.0)


def masked_reconstruction(
    prediction: Tensor,
    target: Tensor,
    predicted_signal: Tensor,
    signal: Tensor,
    *,
    correlation_weight: float = 0.1,
    mask: Tensor | None = None,
) -> Tensor:
    """Return ``(1 - w) * MSE over the patches + w * (1 - mean correlation per lead on the full signal)``.

    Args:
        prediction: (B, N, patch).
        target: (B, N, patch), the signal's own patches.
        predicted_signal: (B, leads, T), the predicted patches put together.
        signal: (B, leads, T).
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
    correlation = normalised_correlation(predicted_signal, signal).mean()
    return (1.0 - correlation_weight) * error + correlation_weight * (1.0 - correlation)


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
