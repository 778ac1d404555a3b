"""The score above which a model says "disease": chosen on the validation split, never on the test split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MINIMUM_PER_CLASS = 3
SPECIFICITY = 0.9
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Threshold:
    """A decision threshold, or the reason why there is none.

    Attributes:
        value: a score at or above it is called positive; None where none could be chosen.
        reason: why there is none.
    """

    value: float | None
    reason: str | None = None

    def apply(self, scores: Floats) -> Floats:
        """Return the decisions, 1 or 0, the same shape; NaN where there is no threshold."""
        if self.value is None:
            return np.full(np.shape(scores), np.nan)
        return np.asarray(scores >= self.value, np.float64)


def choose_threshold(labels: Floats, scores: Floats) -> Threshold:
    """Return the threshold of highest balanced accuracy; of equal ones the lowest, as a missed disease costs more.

    Args:
        labels: (n,) validation labels, 0 or 1.
        scores: (n,) validation scores.

    Returns:
        A threshold half-way between two neighbouring scores; none with fewer than three of a class or constant scores.
    """
    candidates, reason = _candidates(labels, scores)
    if reason:
        return Threshold(None, reason)
    return Threshold(float(candidates[np.argmax(_balanced_accuracies(labels, scores, candidates))]))


def choose_specific_threshold(labels: Floats, scores: Floats, specificity: float = SPECIFICITY) -> Threshold:
    """Return the lowest threshold of at least a specificity on validation; on test the specificity is another one.

    Args:
        labels: (n,) validation labels, 0 or 1.
        scores: (n,) validation scores.
        specificity: wanted.

    Returns:
        A threshold half-way between two neighbouring scores, or above all of them where nothing else is as specific;
        none with fewer than three of a class or constant scores.
    """
    candidates, reason = _candidates(labels, scores)
    if reason:
        return Threshold(None, reason)
    negatives = np.sort(scores[labels == 0])
    cleared = np.searchsorted(negatives, candidates) / len(negatives)
    enough = candidates[cleared >= specificity - _ROUNDING]
    return Threshold(float(enough[0]) if len(enough) else float(np.nextafter(scores.max(), np.inf)))


def too_few(labels: Floats) -> str | None:
    """Return why validation labels cannot settle a threshold or a recalibration, or None where they can."""
    positives = int(np.sum(labels == 1))
    negatives = int(np.sum(labels == 0))
    if min(positives, negatives) >= MINIMUM_PER_CLASS:
        return None
    return (
        f"the validation split has {positives} positive and {negatives} negative labels; "
        f"at least {MINIMUM_PER_CLASS} of each are needed"
    )


def _candidates(labels: Floats, scores: Floats) -> tuple[Floats, str | None]:
    reason = too_few(labels)
    if reason or np.ptp(scores) == 0:
        return np.empty(0), reason or "all validation scores are equal"
    levels = np.unique(scores)
    middles = 0.5 * (levels[:-1] + levels[1:])
    return np.asarray(np.where(middles > levels[:-1], middles, levels[1:])), None


def _balanced_accuracies(labels: Floats, scores: Floats, thresholds: Floats) -> Floats:
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    missed = np.searchsorted(positives, thresholds) / len(positives)
    cleared = np.searchsorted(negatives, thresholds) / len(negatives)
    return np.asarray(0.5 * (1 - missed + cleared))
