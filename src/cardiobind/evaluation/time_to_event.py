"""Metrics and curves of time to event; labels are (n, 2) of time in days and event, 1 or 0 where censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.over_time.product_limit import LEAST_UNCENSORED, uncensored
from cardiobind.tasks.concordance import resampled_concordance

Floats = NDArray[np.float64]

RISK_GROUPS = 3


def concordance(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return Harrell's C of each resample, (resamples,), NaN where no pair is comparable.

    Args:
        labels: (n, 2).
        scores: (n,) risk.
        counts: (resamples, n) how often each row was drawn.
    """
    return resampled_concordance(labels[:, 0], labels[:, 1], scores, counts)


def concordance_uno(labels: Floats, scores: Floats, counts: Floats) -> Floats:
    """Return Uno's C of each resample, (resamples,): pairs weigh what censoring took away, so it does not depend on it.

    Pairs are those of `concordance`, each over the squared share uncensored just before its event; events at which that
    share is below 5 % do not count. The share is estimated in each resample anew. Without censoring it is Harrell's C.

    Args:
        labels: (n, 2).
        scores: (n,) risk.
        counts: (resamples, n) how often each row was drawn.

    Source: Uno et al. 2011, Statistics in Medicine 30:1105-1117.
    """
    if not len(labels):
        return np.full(len(counts), np.nan)
    time, event = labels.T
    share = uncensored(time, event, counts).before()
    counted = share >= LEAST_UNCENSORED
    weights = np.divide(1.0, share**2, out=np.zeros_like(share), where=counted)
    return resampled_concordance(time, event, scores, counts, weights)


def integrated_brier(labels: Floats, losses: Floats, counts: Floats) -> Floats:
    """Return the Brier score averaged over time, (resamples,).

    Args:
        labels: (n, 2).
        losses: (n, 2) what each subject adds, by the model and by the Kaplan-Meier curve of validation; see
            `cardiobind.evaluation.over_time.brier.integrated_terms`. Weights for censoring are those of all rows.
        counts: (resamples, n) how often each row was drawn.
    """
    drawn = counts.sum(axis=1)
    return np.asarray(np.where(drawn > 0, counts @ losses[:, 0] / np.maximum(drawn, 1.0), np.nan))


def integrated_brier_scaled(labels: Floats, losses: Floats, counts: Floats) -> Floats:
    """Return 1 - integrated Brier score / that of the Kaplan-Meier curve, (resamples,); arguments as there.

    Source: Kattan and Gerds 2018, Diagnostic and Prognostic Research 2:7 (index of prediction accuracy).
    """
    without = counts @ losses[:, 1]
    share = np.divide(counts @ losses[:, 0], without, out=np.full(len(counts), np.nan), where=without > 0)
    return np.asarray(1 - share)


@dataclass(frozen=True)
class SurvivalCurve:
    """A Kaplan-Meier estimate: steps at the times of events.

    Attributes:
        time: (steps,) increasing, the first 0.
        survival: (steps,) share without the event from that time on, the first 1.
        at_risk: (steps,) how many were at risk just before that time.
    """

    time: Floats
    survival: Floats
    at_risk: Floats

    def at(self, time: float) -> float:
        """Return the share without the event at a time."""
        return float(self.survival[np.searchsorted(self.time, time, side="right") - 1])


def kaplan_meier(time: Floats, event: Floats) -> SurvivalCurve:
    """Return the share of subjects without the event over time; who is censored at a time is at risk at it.

    Args:
        time: (n,).
        event: (n,) 1 or 0.

    Source: Kaplan and Meier 1958, Journal of the American Statistical Association 53:457-481.
    """
    at = np.unique(time[event == 1])
    ordered, events = np.sort(time), np.sort(time[event == 1])
    at_risk = len(time) - np.searchsorted(ordered, at, side="left")
    died = np.searchsorted(events, at, side="right") - np.searchsorted(events, at, side="left")
    survival = np.cumprod(1 - died / at_risk)
    steps = (np.array([0.0]), np.array([1.0]), np.array([float(len(time))]))
    found = (np.concatenate(pair) for pair in zip(steps, (at, survival, at_risk.astype(np.float64)), strict=True))
    return SurvivalCurve(*found)


def risk_groups(scores: Floats, groups: int = RISK_GROUPS) -> NDArray[np.int64]:
    """Return the group of each score, 0 the lowest; groups hold about equally many, equal scores share one.

    Args:
        scores: (n,).
        groups: how many.
    """
    edges = np.quantile(scores, np.linspace(0, 1, groups + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, scores, side="right"), np.int64)
