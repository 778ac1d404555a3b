"""Recalibration: a map from score to risk, fitted on the validation split. The logistic one (Platt) is the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression

from cardiobind.evaluation.logistic import fit_line, logit
from cardiobind.evaluation.threshold import too_few

Floats = NDArray[np.float64]

_LOG_SCALES = (-12.0, 12.0)


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
    targets = _softened(labels)
    intercept, slope = fit_line(logit(scores), targets, np.ones((1, len(labels))))[0]
    if not np.isfinite(slope):
        return PlattScaling(None, None, "all validation scores are equal")
    if slope <= 0:
        return PlattScaling(None, None, "the score does not rise with the label on the validation split")
    return PlattScaling(float(slope), float(intercept))


@dataclass(frozen=True)
class TemperatureScaling:
    """Risk = sigmoid(logit(score) / temperature), or the reason why there is no such map.

    Attributes:
        temperature: above 1 the scores are too extreme; None where none could be fitted.
        reason: why there is none.
    """

    temperature: float | None
    reason: str | None = None

    def apply(self, scores: Floats) -> Floats:
        """Return recalibrated risks of scores in [0, 1], the same shape; NaN where there is no map."""
        if self.temperature is None:
            return np.full(np.shape(scores), np.nan)
        return np.asarray(expit(logit(scores) / self.temperature), np.float64)


def fit_temperature(labels: Floats, scores: Floats) -> TemperatureScaling:
    """Return the temperature of highest likelihood on validation, with Platt's softened targets so that it is finite.

    It cannot shift risks: where the classes were weighted in training, the mean risk stays wrong.

    Args:
        labels: (n,) validation labels, 0 or 1.
        scores: (n,) validation scores in [0, 1].

    Source:
        Guo et al. 2017, section 4.2.
    """
    reason = too_few(labels)
    if reason:
        return TemperatureScaling(None, reason)
    x, targets = logit(scores), _softened(labels)

    def slope_of_likelihood(log_scale: float) -> float:
        return float(x @ (targets - expit(np.exp(log_scale) * x)))

    if not np.any(x) or slope_of_likelihood(_LOG_SCALES[0]) <= 0:
        return TemperatureScaling(None, "no temperature is better than a risk of one half for all of validation")
    if slope_of_likelihood(_LOG_SCALES[1]) >= 0:
        return TemperatureScaling(None, "the temperature of highest likelihood on validation is 0")
    return TemperatureScaling(float(np.exp(-brentq(slope_of_likelihood, *_LOG_SCALES, xtol=1e-12))))


@dataclass(frozen=True)
class IsotonicScaling:
    """Risk as a rising step function of the score, or the reason why there is none.

    Attributes:
        knots: (k,) scores at which the risk changes, rising; between two the risk is on the line between them.
        risks: (k,) in [0, 1].
        reason: why there is none.
    """

    knots: Floats
    risks: Floats
    reason: str | None = None

    @property
    def steps(self) -> int | None:
        """Number of different risks; None where there is no map."""
        return None if self.reason else len(np.unique(self.risks))

    def apply(self, scores: Floats) -> Floats:
        """Return recalibrated risks of scores in [0, 1], the same shape; NaN where there is no map."""
        if self.reason:
            return np.full(np.shape(scores), np.nan)
        return np.asarray(np.interp(scores, self.knots, self.risks), np.float64)


def fit_isotonic(labels: Floats, scores: Floats) -> IsotonicScaling:
    """Return the rising map from validation scores to risks that is nearest to the labels.

    It makes ties, so AUROC is that of the scores; with few labels it overfits.

    Args:
        labels: (n,) validation labels, 0 or 1.
        scores: (n,) validation scores in [0, 1].

    Source:
        Zadrozny and Elkan 2002, section 3.3.
    """
    reason = too_few(labels) or ("all validation scores are equal" if np.ptp(scores) == 0 else None)
    if reason:
        return IsotonicScaling(np.empty(0), np.empty(0), reason)
    regression: Any = IsotonicRegression
    fitted = regression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(scores, labels)
    knots, risks = np.asarray(fitted.X_thresholds_, np.float64), np.asarray(fitted.y_thresholds_, np.float64)
    if risks[0] == risks[-1]:
        return IsotonicScaling(
            np.empty(0), np.empty(0), "the score does not rise with the label on the validation split"
        )
    return IsotonicScaling(knots, risks)


def _softened(labels: Floats) -> Floats:
    positives, negatives = float(np.sum(labels == 1)), float(np.sum(labels == 0))
    return np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
