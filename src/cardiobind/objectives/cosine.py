"""Similarity of two views without negatives."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Return minus the mean cosine of predictions and targets; no gradient goes through the targets.

    Args:
        prediction: (n, d).
        target: (n, d), embedding of the other view of the same subjects.

    Raises:
        InputError: the shapes differ.

    Source: Chen and He 2021 (SimSiam), equation 1 with the stop-gradient of equation 3.
    """
    if prediction.shape != target.shape or prediction.ndim != 2:
        got = f"{tuple(prediction.shape)} and {tuple(target.shape)}"
        raise InputError("predictions and targets do not match", expected="(n, d) both", got=got)
    return -F.cosine_similarity(prediction, target.detach(), dim=1).mean()
