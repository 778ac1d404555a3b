"""Where the curves of other test subjects would lie: pointwise bootstrap bands of ROC and precision-recall."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.bootstrap import class_sizes, count_blocks, subject_strata, tail_share, why_unresolved

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Band = tuple[Floats, Floats]
OneCurve = Callable[[Floats, Floats, Floats], Floats]

GRID = np.linspace(0, 1, 201)
RESAMPLES = 200


def roc_band(labels: Floats, scores: Floats, subjects: Ints, *, resamples: int = RESAMPLES) -> Band | None:
    """Return the lower and upper sensitivity (201,) at each share of false positives of `GRID`, 95 % at each point.

    Each resample of subjects within their class gives the mean curve over seeds; the band is the expanded percentile
    interval (`cardiobind.evaluation.bootstrap.tail_share`) of those curves at one place at a time. None where a class
    has too few subjects for so many resamples.

    Args:
        labels: (n,) 0 or 1.
        scores: (seeds, n).
        subjects: (n,) subject of each row, 0 to subjects - 1.
        resamples: bootstrap resamples.
    """
    return _band(sensitivity_curve, labels, scores, subjects, subject_strata(labels, subjects), resamples)


def precision_band(labels: Floats, scores: Floats, subjects: Ints, *, resamples: int = RESAMPLES) -> Band | None:
    """Return the lower and upper precision (201,) at each recall of `GRID`; arguments as `roc_band`.

    How many are positive is an estimate too: subjects are drawn from all, resamples without a positive do not count.
    """
    return _band(precision_curve, labels, scores, subjects, np.zeros(subjects.max() + 1, np.int64), resamples)


def sensitivity_curve(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return sensitivity (resamples, 201) at each share of false positives of `GRID`.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,).
        counts: (resamples, n) how often each row counts.
    """
    true, false = _running(labels, scores, counts)
    pairs = zip(false / false[:, -1:], true / true[:, -1:], strict=True)
    return np.stack([np.interp(GRID, np.r_[0, at], np.r_[0, reached]) for at, reached in pairs])


def precision_curve(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return precision (resamples, 201) where each recall of `GRID` is first reached; as `sensitivity_curve`."""
    true, false = _running(labels, scores, counts)
    recalls = true / true[:, -1:]
    reached = np.stack([np.searchsorted(recall, GRID - 1e-12) for recall in recalls])
    hits, called = (np.take_along_axis(x, reached, axis=1) for x in (true, true + false))
    return np.asarray(hits / np.maximum(called, 1e-300))


def _running(labels: Floats, scores: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return true and false positives (resamples, levels) as the threshold falls from level to level of the score."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    ordered, positive = counts[:, order], labels[order]
    return np.cumsum(ordered * positive, axis=1)[:, last], np.cumsum(ordered * (1 - positive), axis=1)[:, last]


def _band(
    curve: OneCurve, labels: Floats, scores: Floats, subjects: Ints, strata: Ints, resamples: int
) -> Band | None:  # fmt: skip
    few = min(class_sizes(labels, subjects))
    if few < 2 or why_unresolved(resamples, few):
        return None
    blocks = []
    for drawn in count_blocks(strata, resamples, seed=0):
        counts = drawn[:, subjects]
        counts = counts[counts @ labels > 0]
        blocks.append(np.mean([curve(labels, own, counts) for own in scores], axis=0))
    tail = tail_share(few)
    low, high = np.quantile(np.concatenate(blocks), [tail, 1 - tail], axis=0)
    return low, high
