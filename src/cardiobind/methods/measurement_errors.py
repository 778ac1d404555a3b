"""How wrong told measurements are: the squared error of those that are known, and the share of variance explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.data import Batch
from cardiobind.errors import InputError


def measurements_of(batch: Batch, known: int) -> Tensor:
    """Return the measurements (B, K) that a batch brings as labels, NaN where something was not measured.

    Args:
        batch: of subjects.
        known: K, how many there must be.

    Raises:
        InputError: the batch brings no measurements.
    """
    labels = batch.labels
    if labels is None or labels.ndim != 2 or labels.shape[1] != known:
        got = None if labels is None else tuple(labels.shape)
        raise InputError("labels are no measurements", expected=f"(B, {known})", got=got)
    return labels.float()


def squared_error(guess: Tensor, truth: Tensor) -> Tensor:
    """Return the mean squared error of what is known, 0 where nothing is.

    Args:
        guess: (n, K).
        truth: (n, K), NaN where not measured.
    """
    there = truth.isfinite()
    return torch.where(there, guess - truth.nan_to_num(), 0.0).square().sum() / there.sum().clamp(min=1)


def explained(guess: NDArray[np.floating[Any]], truth: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return the mean over measurements of the share of variance explained, at least -1 each, and the squared error.

    Args:
        guess: (n, K), NaN where nothing was told.
        truth: (n, K), NaN where not measured; a column of one value, or with fewer than two, does not count.
    """
    shares, errors = [], []
    for told, measured in zip(guess.T, truth.T, strict=True):
        there = np.isfinite(measured) & np.isfinite(told)
        if there.sum() >= 2 and (spread := float(measured[there].var())) > 0:
            errors.append(float(np.mean((told[there] - measured[there]) ** 2)))
            shares.append(max(-1.0, 1.0 - errors[-1] / spread))
    undefined = float("nan")
    return {"r2": float(np.mean(shares or [undefined])), "loss": float(np.mean(errors or [undefined]))}
