"""Losses of a reconstructed table, over the entries that count and no others."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32


@in_float32
def squared_errors(predicted: Tensor, value: Tensor, counted: Tensor) -> Tensor:
    """Return for each subject the sum of squared errors of the numbers that count.

    Args:
        predicted: (B, numbers).
        value: (B, numbers), z-scores; anything where it does not count.
        counted: (B, numbers) bool.

    Returns:
        (B,) float32 or more, 0 for a subject of whom nothing counts.

    Raises:
        InputError: the shapes differ.
    """
    if not predicted.shape == value.shape == counted.shape:
        got = (tuple(predicted.shape), tuple(value.shape), tuple(counted.shape))
        raise InputError("prediction and target of the numbers have different shapes", got=got)
    error = torch.where(counted, predicted - value, 0.0)
    return error.square().sum(dim=1)


@in_float32
def cross_entropies(logits: Tensor, code: Tensor, counted: Tensor) -> Tensor:
    """Return for each subject the sum of the cross-entropies of the categories that count.

    Args:
        logits: (B, categories, codes), -inf where a feature has no such code.
        code: (B, categories) int64; anything where it does not count.
        counted: (B, categories) bool.

    Returns:
        (B,) float32 or more, 0 for a subject of whom nothing counts.

    Raises:
        InputError: the shapes differ.
    """
    if not logits.shape[:2] == code.shape == counted.shape:
        got = (tuple(logits.shape), tuple(code.shape), tuple(counted.shape))
        raise InputError("prediction and target of the categories have different shapes", got=got)
    target = torch.where(counted, code, 0)
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
    return torch.where(counted, losses, 0.0).sum(dim=1)
