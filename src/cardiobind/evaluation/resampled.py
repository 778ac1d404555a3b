"""The metrics for many resamples of the same rows at once: a resample is how often each row was drawn.

Each function takes labels (n,) 0 or 1, values (n,) and counts (resamples, n), and returns (resamples,), NaN where the
metric is undefined. With counts of one it equals its namesake in `cardiobind.evaluation.metrics`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.logistic import fit_line, fit_shift, logit
from cardiobind.evaluation.threshold import SPECIFICITY

Floats = NDArray[np.float64]

CALIBRATION_BINS = 10
_ROUNDING = 1e-9


def auroc(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return AUROC by rank sums, (resamples,)."""
    positive = labels == 1
    drawn, others = counts[:, positive], counts[:, ~positive]
    below = _drawn_below(scores[~positive], others, scores[positive], "left")
    upto = _drawn_below(scores[~positive], others, scores[positive], "right")
    return _ratio((drawn * (below + upto)).sum(axis=1), 2 * drawn.sum(axis=1) * others.sum(axis=1))


def auprc(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return average precision, (resamples,): the mean over drawn positives of the precision at their score."""
    positive = labels == 1
    drawn, others = counts[:, positive], counts[:, ~positive]
    found = _drawn_below(-scores[positive], drawn, -scores[positive], "right")
    false = _drawn_below(-scores[~positive], others, -scores[positive], "right")
    precision = np.divide(found, found + false, out=np.zeros_like(found), where=found > 0)
    value = _ratio((drawn * precision).sum(axis=1), drawn.sum(axis=1))
    return np.where(others.sum(axis=1) > 0, value, np.nan)


def sensitivity(labels: Floats, decisions: Floats, counts: Floats) -> Floats:
    """Return sensitivity, (resamples,)."""
    return _ratio(counts @ (labels * decisions), counts @ labels)


def specificity(labels: Floats, decisions: Floats, counts: Floats) -> Floats:
    """Return specificity, (resamples,)."""
    return _ratio(counts @ ((1 - labels) * (1 - decisions)), counts @ (1 - labels))


def balanced_accuracy(labels: Floats, decisions: Floats, counts: Floats) -> Floats:
    """Return the mean of sensitivity and specificity, (resamples,)."""
    return 0.5 * (sensitivity(labels, decisions, counts) + specificity(labels, decisions, counts))


def sensitivity_at_specificity(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return the highest sensitivity at a specificity of at least 90 % on the rows themselves, (resamples,).

    The threshold is that of the resample's own ROC, so no validation is asked whether it could have been known.
    """
    positive = labels == 1
    drawn, others = counts[:, positive], counts[:, ~positive]
    false = _drawn_below(-scores[~positive], others, -scores[positive], "right")
    specific = false <= (1 - SPECIFICITY) * others.sum(axis=1, keepdims=True) + _ROUNDING
    value = _ratio((drawn * specific).sum(axis=1), drawn.sum(axis=1))
    return np.where(others.sum(axis=1) > 0, value, np.nan)


def brier(labels: Floats, probabilities: Floats, counts: Floats) -> Floats:
    """Return the Brier score, (resamples,)."""
    return _ratio(counts @ (probabilities - labels) ** 2, counts.sum(axis=1))


def ece(labels: Floats, probabilities: Floats, counts: Floats) -> Floats:
    """Return the expected calibration error over the equal-mass bins of the undrawn sample, (resamples,)."""
    member = np.eye(CALIBRATION_BINS)[equal_mass_bins(probabilities)]
    gap = counts @ (member * (probabilities - labels)[:, None])
    return _ratio(np.abs(gap).sum(axis=1), counts.sum(axis=1))


def calibration_slope(labels: Floats, probabilities: Floats, counts: Floats) -> Floats:
    """Return the slope of outcome on log odds, (resamples,)."""
    return fit_line(logit(probabilities), labels, counts)[:, 1]


def calibration_intercept(labels: Floats, probabilities: Floats, counts: Floats) -> Floats:
    """Return calibration in the large, (resamples,)."""
    return fit_shift(logit(probabilities), labels, counts)


def equal_mass_bins(values: Floats) -> NDArray[np.int64]:
    """Return for each value its bin, 0 to 9, where bins hold about equally many and equal values share one.

    Args:
        values: (n,).
    """
    edges = np.quantile(values, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, values, side="right"), np.int64)


def _drawn_below(scores: Floats, counts: Floats, at: Floats, side: Literal["left", "right"]) -> Floats:
    order = np.argsort(scores, kind="stable")
    total = np.zeros((len(counts), len(scores) + 1))
    np.cumsum(counts[:, order], axis=1, out=total[:, 1:])
    return np.asarray(total[:, np.searchsorted(scores[order], at, side=side)])


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    out: Floats = np.full(len(denominator), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)
