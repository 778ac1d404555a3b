"""What a bundle says of one subject, by the kind of its endpoint: a risk, a value, or a risk within a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cardiobind.inference.bundle import BundleContract, Calibration
from cardiobind.inference.trust.intervals import (
    Certainty,
    Interval,
    interval_of_risk,
    interval_of_risk_by_horizon,
    interval_of_value,
    log_hazard,
)
from cardiobind.objectives import ENDPOINTS
from cardiobind.registry import Registry

Floats = NDArray[np.float64]

LARGEST_LOGIT = float(np.log(1e6 - 1))
"""Beyond it a score says no more: the calibration was fitted on log odds limited to it."""


NO_INTERVAL = Interval(None, "no interval: the bundle does not say how sure it is of these inputs")


@dataclass(frozen=True)
class Answer:
    """What is said of one subject; a field that the kind of endpoint does not have is None.

    Attributes:
        statement: in words, with its unit.
        risk: probability of the endpoint, within `horizon_years` where that is given.
        threshold: above which the answer is positive.
        positive: whether the risk reaches it.
        value: of a regression, in `unit`.
        unit: of the value.
        horizon_years: of the risk of a time to event.
        interval: of the risk or value.
    """

    statement: str
    risk: float | None = None
    threshold: float | None = None
    positive: bool | None = None
    value: float | None = None
    unit: str | None = None
    horizon_years: float | None = None
    interval: Interval = NO_INTERVAL


@dataclass(frozen=True)
class Said:
    """What the network said of one subject, and what is known of such answers.

    Attributes:
        logits: (1, outputs), the mean.
        members: (M, outputs).
        inputs: modalities given, such as ``ecg+tabular``.
        calibration: of the inputs given.
        certainty: of the inputs given; None where the bundle does not say.
    """

    logits: Floats
    members: Floats
    inputs: str
    calibration: Calibration
    certainty: Certainty | None


ANSWERS: Registry[Callable[[BundleContract, Said], Answer]] = Registry("kind of endpoint in a bundle")
"""By kind of endpoint: (contract, what the network said) -> answer."""


def answer(contract: BundleContract, logits: Floats, members: Floats, inputs: str) -> tuple[Answer, str | None]:
    """Return what a bundle says of one subject, and why it does not say all of it.

    Args:
        contract: of the bundle.
        logits: (1, outputs), the mean of the members'.
        members: (M, outputs).
        inputs: modalities given, such as ``ecg+tabular``.
    """
    unknown = Calibration(None, None, None, f"the bundle was not calibrated for {inputs}")
    known = contract.calibration.get(inputs, unknown)
    said = Said(logits, members, inputs, known, contract.certainty.get(inputs))
    return ANSWERS.get(contract.kind)(contract, said), known.reason


@ANSWERS.register("binary")
def binary(contract: BundleContract, said: Said) -> Answer:
    """Return the calibrated risk and whether it reaches the threshold."""
    known, interval = said.calibration, NO_INTERVAL
    risk = calibrated(float(said.logits[0, 0]), known)
    decided = None if risk is None or known.threshold is None else risk >= known.threshold
    if said.certainty is not None and known.slope is not None and known.intercept is not None:
        limited = said.members[:, 0].clip(-LARGEST_LOGIT, LARGEST_LOGIT)
        interval = interval_of_risk(said.certainty, (known.intercept, known.slope), limited)
    said_so = f"{contract.title}: {_percent(risk)}{_beside(decided, known.threshold, said.inputs)}"
    return Answer(said_so, risk, known.threshold, decided, interval=interval)


@ANSWERS.register("regression")
def regression(contract: BundleContract, said: Said) -> Answer:
    """Return the value in its unit, where validation subjects were scored on the inputs given."""
    if said.calibration.reason is not None:
        return Answer(f"{contract.title}: not known", unit=contract.unit)
    value = float(_predicted(contract, said.logits)[0])
    known = said.certainty
    interval = NO_INTERVAL if known is None else interval_of_value(known, value, contract.unit)
    statement = f"{contract.title}: {value:.4g} {contract.unit}".rstrip()
    return Answer(statement, value=value, unit=contract.unit, interval=interval)


@ANSWERS.register("survival")
def survival(contract: BundleContract, said: Said) -> Answer:
    """Return the risk within the horizon, where validation subjects were scored on the inputs given."""
    years = float(contract.objective["horizon_years"])
    if said.calibration.reason is not None:
        return Answer(f"{contract.title}: not known", horizon_years=years)
    risk = float(_predicted(contract, said.logits)[0])
    known, interval = said.certainty, NO_INTERVAL
    if known is not None:
        interval = interval_of_risk_by_horizon(known, risk, log_hazard(_predicted(contract, said.members)))
    statement = f"{contract.title}: {_percent(risk)} within {years:g} years"
    return Answer(statement, risk, horizon_years=years, interval=interval)


def _predicted(contract: BundleContract, logits: Floats) -> Floats:
    return ENDPOINTS.get(contract.kind).from_json(contract.objective).predicted(logits)


def calibrated(logit: float, calibration: Calibration) -> float | None:
    """Return the risk of a logit, or None where the bundle could not be calibrated."""
    if calibration.slope is None or calibration.intercept is None:
        return None
    limited = min(max(logit, -LARGEST_LOGIT), LARGEST_LOGIT)
    return float(expit(calibration.intercept + calibration.slope * limited))


def _beside(decided: bool | None, threshold: float | None, inputs: str) -> str:
    if decided is None or threshold is None:
        return ""
    return f", {'at or above' if decided else 'below'} the threshold of {100 * threshold:.3g} % for {inputs}"


def _percent(risk: float | None) -> str:
    return "risk not known" if risk is None else f"risk {100 * risk:.3g} %"
