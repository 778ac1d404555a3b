"""Metrics of several labels at once: the mean over labels of a metric of one; unknown labels do not count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation import resampled

Floats = NDArray[np.float64]


def macro_auroc(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return the mean of AUROC over labels, (resamples,), NaN where it is undefined for one of them.

    Args:
        labels: (n, K) 0, 1 or NaN.
        scores: (n, K).
        counts: (resamples, n) how often each row was drawn.
    """
    return _mean(resampled.auroc, labels, scores, counts)


def macro_auprc(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return the mean of average precision over labels, (resamples,); arguments as `macro_auroc`."""
    return _mean(resampled.auprc, labels, scores, counts)


def _mean(metric: Callable[[Floats, Floats, Floats], Floats], labels: Floats, scores: Floats, counts: Floats) -> Floats:
    known = np.isfinite(labels)
    each = [
        metric(labels[rows, k], scores[rows, k], counts[:, rows])
        for k, rows in enumerate(known.T)
    ]  # fmt: skip
    return np.asarray(np.mean(each, axis=0))
