"""The interval of a prediction: what export computes from validation predictions, and what follows for one subject.

The formulas and what each covers: docs/explanation/predictions.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from cardiobind.registry import Registry

Floats = NDArray[np.float64]

RISK_LEVEL = 0.95
VALUE_LEVEL = 0.90
FEWEST_RESIDUALS = 20
"""Fewer validation residuals give no interval: it would be the error of one of a few people."""

FEWEST_VALIDATED = 10
"""Fewer validation subjects do not vouch for a value or a risk within a time: it is not said then."""

FEWEST_TOLD = 10
"""A smaller number of people stands in no bundle."""


@dataclass(frozen=True)
class Certainty:
    """What is known of the errors of one input set's predictions, from validation subjects, none of whom is in it.

    Attributes:
        subjects: validation subjects it rests on; None where they are fewer than `FEWEST_TOLD`.
        events: those with the endpoint (by the horizon); None for a value, and where they or those without are
            fewer than `FEWEST_TOLD`.
        covariance: (variance of the intercept, covariance, variance of the slope) of a risk's calibration.
        seed_variance: mean over the subjects of the variance between members, on the scale of `SCALES`; None for one.
        half_width: of the interval of a value, in its unit.
        reason: why there is no interval.
    """

    subjects: int | None
    events: int | None = None
    covariance: tuple[float, float, float] | None = None
    seed_variance: float | None = None
    half_width: float | None = None
    reason: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Certainty:
        """Return what ``dataclasses.asdict`` described."""
        covariance = value["covariance"]
        return cls(**{**value, "covariance": None if covariance is None else tuple(covariance)})


@dataclass(frozen=True)
class Interval:
    """An interval and what it covers, in words.

    Attributes:
        ends: (low, high); None where there is none.
        of: what it covers, or why there is none.
    """

    ends: tuple[float, float] | None
    of: str


Fit = Callable[[Floats, Floats, "tuple[float, float] | None"], Certainty]
FITS: Registry[Fit] = Registry("kind of certainty")
"""By kind of endpoint: (labels (n, ...), members' predictions (M, n) on the scale, (intercept, slope)) -> certainty."""


@FITS.register("binary")
def fit_risk(labels: Floats, members: Floats, line: tuple[float, float] | None) -> Certainty:
    """Return how sure a calibrated risk is: the covariance of its line, and how far seeds lie apart.

    Args:
        labels: (n,) of validation subjects, 0 or 1.
        members: (M, n) logits.
        line: intercept and slope of the calibration; None where there is none.

    Source: McCullagh and Nelder 1989, section 4.4: the inverse Fisher information of a logistic regression.
    """
    subjects, events = told(len(labels)), _events(labels)
    if line is None:
        return Certainty(subjects, events, reason="the risk is not calibrated")
    x = members.mean(axis=0)
    risk = expit(line[0] + line[1] * x)
    design = np.stack([np.ones_like(x), x])
    information = (design * (risk * (1 - risk))) @ design.T
    if np.linalg.cond(information) > 1e12:
        return Certainty(subjects, events, reason="the calibration is not determined by the validation subjects")
    found = np.linalg.inv(information)
    covariance = (float(found[0, 0]), float(found[0, 1]), float(found[1, 1]))
    return Certainty(subjects, events, covariance, _seed_variance(members))


@FITS.register("regression")
def fit_value(labels: Floats, members: Floats, line: tuple[float, float] | None) -> Certainty:
    """Return the half width that holds a new subject's value with probability `VALUE_LEVEL` (split conformal).

    It is the ceil((n + 1) level)-th smallest absolute residual of n validation subjects, rounded up to two digits, so
    that nobody's own residual is in it.

    Args:
        labels: (n,) of validation subjects, in the unit.
        members: (M, n) values.
        line: not used.

    Source: Lei et al. 2018, section 2.2.
    """
    residuals = np.sort(np.abs(labels - members.mean(axis=0)))
    if len(residuals) < FEWEST_RESIDUALS:
        return Certainty(told(len(residuals)), reason=too_few_subjects(len(residuals), FEWEST_RESIDUALS))
    place = math.ceil((len(residuals) + 1) * VALUE_LEVEL)
    return Certainty(len(residuals), seed_variance=_seed_variance(members), half_width=_up(float(residuals[place - 1])))


@FITS.register("survival")
def fit_risk_by_horizon(labels: Floats, members: Floats, line: tuple[float, float] | None) -> Certainty:
    """Return how sure the level of a risk within a time is, by the number of events, and how far seeds lie apart.

    Args:
        labels: (n,) whether the event came by the horizon.
        members: (M, n) log cumulative hazards by the horizon.
        line: not used.
    """
    subjects, events = told(len(labels)), _events(labels)
    if not events:
        reason = f"fewer than {FEWEST_TOLD} validation subjects had the event within the horizon, or had it not"
        return Certainty(subjects, events, reason=reason)
    return Certainty(subjects, events, seed_variance=_seed_variance(members))


def interval_of_risk(known: Certainty, line: tuple[float, float], members: Floats) -> Interval:
    """Return the interval of a calibrated risk.

    Args:
        known: of the input set.
        line: intercept and slope of the calibration.
        members: (M,) logits of one subject.
    """
    if known.covariance is None:
        return Interval(None, f"no interval: {known.reason}")
    (constant, mixed, steep), x = known.covariance, float(members.mean())
    variance = constant + 2 * x * mixed + x * x * steep + line[1] ** 2 * _of_seeds(known, members)
    ends = expit(line[0] + line[1] * x + _REACH * math.sqrt(max(variance, 0.0)) * np.array([-1.0, 1.0]))
    return Interval(
        (float(ends[0]), float(ends[1])), f"{RISK_LEVEL:.0%} interval of the risk: {_rests_on(known, members)}"
    )


def interval_of_risk_by_horizon(known: Certainty, risk: float, members: Floats) -> Interval:
    """Return the interval of a risk within a time.

    Args:
        known: of the input set.
        risk: of one subject.
        members: (M,) log cumulative hazards of that subject.
    """
    if not known.events:
        return Interval(None, f"no interval: {known.reason}")
    reach = _REACH * math.sqrt(1 / known.events + _of_seeds(known, members))
    ends = -np.expm1(-np.exp(log_hazard(np.array(risk)) + reach * np.array([-1.0, 1.0])))
    return Interval(
        (float(ends[0]), float(ends[1])),
        f"{RISK_LEVEL:.0%} interval of the risk, its level alone: {_rests_on(known, members)}",
    )


def interval_of_value(known: Certainty, value: float, unit: str) -> Interval:
    """Return the interval that holds a person's own value."""
    if known.half_width is None:
        return Interval(None, f"no interval: {known.reason}")
    ends = (value - known.half_width, value + known.half_width)
    return Interval(
        ends,
        f"{VALUE_LEVEL:.0%} interval of the value itself: at least that share of people like the {known.subjects} "
        f"validation subjects lie within {known.half_width:g} {unit}".rstrip()
        + " (split conformal, over all of them)",
    )


def told(count: int) -> int | None:
    """Return a number of people, None for those between none and `FEWEST_TOLD`."""
    return None if 0 < count < FEWEST_TOLD else count


def in_words(count: int | None) -> str:
    """Return a number that `told` gave, in words."""
    return f"fewer than {FEWEST_TOLD}" if count is None else str(count)


def too_few_subjects(count: int, least: int = FEWEST_VALIDATED) -> str | None:
    """Return why validation subjects do not vouch for a value, a risk within a time or an interval; None if they do."""
    if count >= least:
        return None
    return f"{in_words(told(count))} validation subjects, at least {least} are needed"


def _events(labels: Floats) -> int | None:
    events = int((labels == 1).sum())
    return None if told(len(labels) - events) is None else told(events)


def log_hazard(risk: Floats) -> Floats:
    """Return log(-log(1 - risk)), the logarithm of the cumulative hazard by the horizon, any shape; finite."""
    return np.log(-np.log1p(-np.clip(risk, _LEAST_RISK, 1 - _LEAST_RISK)))


_LEAST_RISK = 1e-9
_REACH = float(norm.ppf(0.5 + RISK_LEVEL / 2))


def _of_seeds(known: Certainty, members: Floats) -> float:
    """Return the variance of the members' mean under another choice of seeds; the wider of this subject's and usual."""
    if known.seed_variance is None or len(members) < 2:
        return 0.0
    return max(known.seed_variance, float(members.var(ddof=1))) / len(members)


def _seed_variance(members: Floats) -> float | None:
    return float(members.var(axis=0, ddof=1).mean()) if len(members) > 1 else None


def _rests_on(known: Certainty, members: Floats) -> str:
    seeds = "one seed was trained, so what another gives is not in it"
    if len(members) > 1:
        seeds = f"and other seeds than the {len(members)} trained"
    these = in_words(known.subjects)
    events = f"fewer than {FEWEST_TOLD} with or without" if known.events is None else f"{known.events} with"
    return (
        f"what other validation subjects than these {these} ({events} the endpoint) would make of it; "
        f"{seeds}. It is not whether this person has the endpoint, nor what other training subjects would teach"
    )


def _up(value: float) -> float:
    """Return a positive number rounded up to two significant digits."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.2g}")
