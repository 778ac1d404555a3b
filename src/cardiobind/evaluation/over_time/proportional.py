"""The risk at any time that a stored score stands for, fitted on the validation split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MINIMUM_EVENTS = 3
_ITERATIONS = 50
_LAST_STEP = 1e-10
_LONGEST_STEP = 1.0
_STEEPEST = 30.0
_FLOOR = 1e-9


@dataclass(frozen=True)
class RiskOverTime:
    """Risk by t = 1 - exp(-H(t) exp(slope x)), x a transform of the score; or the reason why there is none.

    Attributes:
        slope: of the log hazard; None where nothing could be fitted. Of scores that are risks, 1 where their spread is
            right and below 1 where they are too extreme.
        times: (u,) of the validation events, rising.
        hazard: (u,) Breslow's cumulative baseline hazard from each on.
        curve: (u,) Kaplan-Meier survival of validation from each on: what is known without a model.
        are_risks: whether all scores lie in [0, 1]; x is then their complementary log-log.
        reason: why there is none.
    """

    slope: float | None
    times: Floats
    hazard: Floats
    curve: Floats
    are_risks: bool = True
    reason: str | None = None

    def survival(self, scores: Floats, times: Floats) -> Floats:
        """Return the probability (n, k) of no event by each of k times; NaN where there is no fit."""
        if self.slope is None:
            return np.full((len(scores), len(times)), np.nan)
        hazard = np.concatenate([[0.0], self.hazard])[np.searchsorted(self.times, times, side="right")]
        return np.asarray(np.exp(-np.exp(self.slope * log_hazard(scores, self.are_risks))[:, None] * hazard))

    def without_model(self, times: Floats) -> Floats:
        """Return the Kaplan-Meier survival (k,) of the validation subjects."""
        return np.asarray(np.concatenate([[1.0], self.curve])[np.searchsorted(self.times, times, side="right")])


def log_hazard(scores: Floats, are_risks: bool) -> Floats:
    """Return log(-log(1 - score)) of risks, the scores themselves otherwise.

    Of a Cox model's risk by a horizon it is its log hazard plus a constant, so nothing is lost. Of a hazard in
    intervals it takes the hazards of two subjects to be proportional.
    """
    if not are_risks:
        return scores
    return np.asarray(np.log(-np.log1p(-np.clip(scores, _FLOOR, 1 - _FLOOR))))


def fit_over_time(time: Floats, event: Floats, scores: Floats, *, are_risks: bool) -> RiskOverTime:
    """Return the risk over time: Cox's regression on the one score, Breslow's baseline hazard, both of validation.

    Args:
        time: (n,) validation.
        event: (n,) 1 or 0.
        scores: (n,).
        are_risks: whether they are probabilities.

    Source: Cox 1972 and Breslow 1972, Journal of the Royal Statistical Society B 34:187-217.
    """
    if (events := int(np.sum(event == 1))) < MINIMUM_EVENTS:
        return _none(f"the validation split has {events} events; at least {MINIMUM_EVENTS} are needed")
    if np.ptp(scores) == 0:
        return _none("all validation scores are equal")
    x = log_hazard(scores, are_risks)
    slope = _cox_slope(x, time, event)
    if slope is None:
        return _none("no finite hazard ratio: the scores order the validation events perfectly")
    if slope <= 0:
        return _none("the score does not rise with the hazard on the validation split")
    times, died = np.unique(time[event == 1], return_counts=True)
    passed = np.searchsorted(times, time, side="right")
    at_risk, weight = (_still_there(passed, w, len(times)) for w in (np.ones(len(x)), np.exp(slope * x)))
    curve = np.asarray(np.cumprod(1 - died / at_risk), np.float64)
    return RiskOverTime(slope, times, np.cumsum(died / weight), curve, are_risks)


def _still_there(passed: NDArray[np.int64], weights: Floats, events: int) -> Floats:
    """Return the weight of those at risk at each event time, given how many event times each subject has passed."""
    left_after = np.bincount(passed, weights=weights, minlength=events + 1)
    return np.asarray(np.cumsum(left_after[::-1])[::-1][1:])


def _cox_slope(x: Floats, time: Floats, event: Floats) -> float | None:
    """Return the slope of highest partial likelihood (Breslow's ties) by Newton's method; None where it is infinite."""
    centre, scale = float(np.mean(x)), float(np.std(x))
    z, order = (x - centre) / scale, np.argsort(-time, kind="stable")
    z, time, happened = z[order], time[order], event[order] == 1
    last = np.searchsorted(-time, -time[happened], side="right") - 1
    slope = 0.0
    for _ in range(_ITERATIONS):
        weight = np.exp(slope * z - np.max(slope * z))
        total, first, second = (np.cumsum(w)[last] for w in (weight, weight * z, weight * z * z))
        mean = first / total
        information = float(np.sum(second / total - mean**2))
        if information <= 1e-12 or abs(slope) > _STEEPEST:
            return None
        step = float(np.clip(np.sum(z[happened] - mean) / information, -_LONGEST_STEP, _LONGEST_STEP))
        slope += step
        if abs(step) < _LAST_STEP:
            return slope / scale
    return None


def _none(reason: str) -> RiskOverTime:
    return RiskOverTime(None, np.empty(0), np.empty(0), np.empty(0), reason=reason)
