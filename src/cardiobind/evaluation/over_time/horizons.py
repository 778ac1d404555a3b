"""How good the predicted risks of a time to event are at stated horizons, and over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation import resampled
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.logistic import fit_line, fit_shift, logit
from cardiobind.evaluation.over_time.brier import brier_terms
from cardiobind.evaluation.over_time.product_limit import event_free, last_known, uncensored
from cardiobind.evaluation.over_time.proportional import RiskOverTime
from cardiobind.evaluation.resampler import Resampler, plain_estimate

Floats = NDArray[np.float64]
ByHorizon = Callable[[Floats], Floats]

DAYS_PER_YEAR = 365.25
HORIZONS_YEARS = (1.0, 3.0, 5.0, 10.0)
"""Horizons at which risks are measured, those that the test subjects reach."""
LEAST = 10
"""Events up to a horizon, and subjects followed up beyond it, that it must have."""
CURVE = 20
RISK_GROUPS = 5
RISK_FROM = "Cox regression on the score and Breslow's baseline hazard, of the validation subjects, for each seed"
_ON = "survival_loss"


def over_time(cell: Cell, sampler: Resampler) -> dict[str, Any]:
    """Return the Brier score over time and what the risks are worth at `HORIZONS_YEARS`, with intervals.

    The score that is stored is one risk or rank; the risk at any time is `RISK_FROM`. AUROC needs the order alone.
    """
    time, event = cell.labels.T if len(cell.labels) else (np.empty(0), np.empty(0))
    until = last_known(time, event) if len(time) else None
    if until is None:
        return {
            "risk_from": RISK_FROM,
            "until_days": None,
            "undefined": "no event in the test split that could be used",
        }
    fits = [fit for fit in cell.settled[_ON] if isinstance(fit, RiskOverTime)]
    seeds = [{"seed": s, "slope": f.slope, **_reason(f)} for s, f in zip(cell.seeds, fits, strict=True)]
    fitted = cell.why_undefined(_ON) is None
    return {
        "risk_from": RISK_FROM,
        "until_days": until,
        "seeds": seeds,
        "brier": _curve(cell, fits, until) if fitted else [],
        "horizons": [_horizon(cell, fits if fitted else [], y, until, sampler) for y in HORIZONS_YEARS],
        **({} if fitted else {"undefined": cell.why_undefined(_ON)}),
    }


def auroc_at(labels: Floats, scores: Floats, horizon: float, counts: Floats) -> Floats:
    """Return the AUROC of events up to a horizon against who is free of them beyond it, (resamples,).

    Each event weighs one over the share uncensored just before it, estimated in each resample anew; who was censored
    before the horizon counts nothing.

    Args:
        labels: (n, 2) time and event.
        scores: (n,) risk.
        horizon: in the unit of time.
        counts: (resamples, n) how often each row was drawn.

    Source: Uno et al. 2007, Journal of the American Statistical Association 102:527-537 (cumulative cases, dynamic
        controls); Hung and Chiang 2010, Canadian Journal of Statistics 38:8-26.
    """
    time, event = labels.T
    had, free = (time <= horizon) & (event == 1), time > horizon
    known = had | free
    weight = np.where(had, _inverse(uncensored(time, event, counts).before()), 1.0)
    return resampled.auroc(had[known].astype(np.float64), scores[known], (counts * weight)[:, known])


def calibration_at(labels: Floats, risks: Floats, horizon: float, counts: Floats) -> dict[str, Floats]:
    """Return how the risks by a horizon agree with what came, each (resamples,).

    ``observed`` is the Kaplan-Meier risk, ``observed_over_expected`` that over the mean risk; slope and intercept are
    those of a logistic regression of the event by the horizon on the log odds of the risk, each subject weighted for
    censoring.

    Args:
        labels: (n, 2) time and event.
        risks: (n,) of an event by the horizon.
        horizon: in the unit of time.
        counts: (resamples, n) how often each row was drawn.

    Source: McLernon et al. 2023, Annals of Internal Medicine 176:105-114.
    """
    time, event = labels.T
    steps = uncensored(time, event, counts)
    had, free = (time <= horizon) & (event == 1), time > horizon
    weight = counts * np.where(had, _inverse(steps.before()), _inverse(steps.at(horizon))[:, None])
    known = had | free
    x, y, w = logit(risks[known]), had[known].astype(np.float64), weight[:, known]
    observed = 1 - event_free(time, event, counts).at(horizon)
    return {
        "observed": observed,
        "observed_over_expected": observed * counts.sum(axis=1) / (counts @ risks),
        "calibration_slope": fit_line(x, y, w)[:, 1],
        "calibration_intercept": fit_shift(x, y, w),
    }


def _horizon(cell: Cell, fits: list[RiskOverTime], years: float, until: float, sampler: Resampler) -> dict[str, Any]:
    days, (time, event) = years * DAYS_PER_YEAR, cell.labels.T
    events, at_risk = int(np.sum((time <= days) & (event == 1))), int(np.sum(time > days))
    entry: dict[str, Any] = {"days": days, "years": years, "events": events, "at_risk": at_risk}
    if min(events, at_risk) < LEAST or days > until:
        reason = f"too few: {events} events up to it and {at_risk} followed up beyond it, {LEAST} of each needed"
        return entry | {"undefined": reason if days <= until else "beyond the last event that could be used"}
    once, subjects = np.ones((1, len(time))), sampler.subjects(cell)
    blocks = list(sampler.blocks(cell, stratified=False))

    def measured(statistic: ByHorizon) -> dict[str, Any]:
        return plain_estimate(float(statistic(once)[0]), np.concatenate([statistic(c) for c in blocks]), subjects)

    def mean_auroc(counts: Floats) -> Floats:
        return np.asarray(np.mean([auroc_at(cell.labels, s, days, counts) for s in cell.values["score"]], axis=0))

    found = {"auroc": measured(mean_auroc)}
    return entry | found | (_risks_at(cell, fits, days, measured, once, blocks, subjects) if fits else {})


def _risks_at(
    cell: Cell, fits: list[RiskOverTime], days: float, measured: Callable[[ByHorizon], dict[str, Any]],
    once: Floats, blocks: list[Floats], subjects: int,
) -> dict[str, Any]:  # fmt: skip
    (time, event), at = cell.labels.T, np.array([days])
    survival = [fit.survival(s, at)[:, 0] for fit, s in zip(fits, cell.values["score"], strict=True)]
    losses = np.mean([brier_terms(time, event, s[:, None], at)[:, 0] for s in survival], axis=0)
    without = np.mean([brier_terms(time, event, fit.without_model(at), at)[:, 0] for fit in fits], axis=0)
    point, drawn = (_calibrations(cell, survival, days, counts) for counts in ([once], blocks))
    calibration = {k: plain_estimate(float(point[k][0]), drawn[k], subjects) for k in point}
    return {
        "brier": measured(lambda counts: np.asarray(counts @ losses / counts.sum(axis=1))),
        "brier_reference": float(np.mean(without)),
        "predicted": float(1 - np.mean(survival)),
        **calibration,
        "groups": _groups(time, event, 1 - np.mean(survival, axis=0), days),
    }


def _calibrations(cell: Cell, survival: list[Floats], days: float, blocks: list[Floats]) -> dict[str, Floats]:
    each = [[calibration_at(cell.labels, 1 - s, days, counts) for s in survival] for counts in blocks]
    return {k: np.concatenate([np.mean([one[k] for one in seeds], axis=0) for seeds in each]) for k in each[0][0]}


def _groups(time: Floats, event: Floats, risks: Floats, days: float) -> list[dict[str, Any]]:
    edges = np.quantile(risks, np.linspace(0, 1, RISK_GROUPS + 1)[1:-1])
    member, found = np.searchsorted(edges, risks, side="right"), []
    for group in np.unique(member):
        own = member == group
        low, observed, high = _observed(time[own], event[own], days)
        found.append({
            "n": int(own.sum()), "predicted": float(risks[own].mean()), "observed": observed, "low": low, "high": high,
        })  # fmt: skip
    return found


def _observed(time: Floats, event: Floats, days: float) -> tuple[float | None, float, float | None]:
    """Return the Kaplan-Meier risk by a time between its 95 % limits, by Greenwood's variance on the log-log scale.

    There are no limits where nobody or everybody has the event.
    """
    steps = event_free(time, event, np.ones((1, len(time))))
    free = float(steps.at(days)[0])
    if not 0 < free < 1:
        return None, 1 - free, None
    at = np.unique(time[(event == 1) & (time <= days)])
    at_risk = (time[:, None] >= at).sum(axis=0)
    died = ((time[:, None] == at) & (event[:, None] == 1)).sum(axis=0)
    error = np.sqrt(np.sum(died / (at_risk * (at_risk - died)))) / abs(np.log(free))
    low, high = (float(1 - free ** np.exp(side * 1.959964 * error)) for side in (-1, 1))
    return low, 1 - free, high


def _curve(cell: Cell, fits: list[RiskOverTime], until: float) -> list[dict[str, float]]:
    time, event = cell.labels.T
    at = np.linspace(0.0, until, CURVE + 1)[1:]
    scores = zip(fits, cell.values["score"], strict=True)
    model = np.mean([brier_terms(time, event, fit.survival(s, at), at).mean(axis=0) for fit, s in scores], axis=0)
    without = np.mean([brier_terms(time, event, f.without_model(at), at).mean(axis=0) for f in fits], axis=0)
    return [
        {"days": float(t), "value": float(m), "reference": float(r)} for t, m, r in zip(at, model, without, strict=True)
    ]


def _inverse(share: Floats) -> Floats:
    return np.divide(1.0, share, out=np.zeros_like(share), where=share > 0)


def _reason(fit: RiskOverTime) -> dict[str, str]:
    return {"undefined": fit.reason} if fit.reason else {}
