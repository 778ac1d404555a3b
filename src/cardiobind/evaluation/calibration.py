"""Recalibration: a map from score to risk, fitted on the validation split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cardiobind.evaluation.logistic import fit_line, logit
from cardiobind.evaluation.threshold import too_few

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PlattScaling:
    """Risk = sigmoid(intercept + slope logit(score)), or the reason why there is no such map.

    Attributes:
        slope: positive, so that the order of subjects is kept; None where no map could be fitted.
        intercept: shift of the log odds.
        reason: why there is none.
    """

    slope: float | None
    intercept: float | None
    reason: str | None = None

    def apply(self, scores: Floats) -> Floats:
        """Return recalibrated risks of scores in [0, 1], the same shape; NaN where there is no map."""
        if self.slope is None or self.intercept is None:
            return np.full(np.shape(scores), np.nan)
        return np.asarray(expit(self.intercept + self.slope * logit(scores)), np.float64)


def fit_platt(labels: Floats, scores: Floats) -> PlattScaling:
    """Return the logistic map from validation scores to risks, with Platt's softened targets so that it is finite.

    Args:
        labels: (n,) validation labels, 0 or 1.
        scores: (n,) validation scores in [0, 1].

    Source:
        Platt 1999, section 2.2, on log odds.
    """
    reason = too_few(labels)
    if reason:
        return PlattScaling(None, None, reason)
    positives, negatives = float(np.sum(labels == 1)), float(np.sum(labels == 0))
    targets = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    intercept, slope = fit_line(logit(scores), targets, np.ones((1, len(labels))))[0]
    if not np.isfinite(slope):
        return PlattScaling(None, None, "all validation scores are equal")
    if slope <= 0:
        return PlattScaling(None, None, "the score does not rise with the label on the validation split")
    return PlattScaling(float(slope), float(intercept))
