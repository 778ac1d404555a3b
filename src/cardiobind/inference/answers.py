"""What a bundle says of one subject, by the kind of its endpoint: a risk, a value, or a risk within a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cardiobind.inference.bundle import BundleContract, Calibration
from cardiobind.objectives import ENDPOINTS
from cardiobind.registry import Registry

Floats = NDArray[np.float64]

LARGEST_LOGIT = float(np.log(1e6 - 1))
"""Beyond it a score says no more: the calibration was fitted on log odds limited to it."""


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
    """

    statement: str
    risk: float | None = None
    threshold: float | None = None
    positive: bool | None = None
    value: float | None = None
    unit: str | None = None
    horizon_years: float | None = None


ANSWERS: Registry[Callable[[BundleContract, Floats, Calibration], Answer]] = Registry("kind of endpoint in a bundle")
"""By kind of endpoint: (contract, logits (1, outputs), calibration of the inputs given) -> answer."""


def answer(contract: BundleContract, logits: Floats, inputs: str) -> tuple[Answer, str | None]:
    """Return what a bundle says of one subject, and why it does not say all of it.

    Args:
        contract: of the bundle.
        logits: (1, outputs).
        inputs: modalities given, such as ``ecg+tabular``.
    """
    unknown = Calibration(None, None, None, f"the bundle was not calibrated for {inputs}")
    known = contract.calibration.get(inputs, unknown)
    return ANSWERS.get(contract.kind)(contract, logits, known), known.reason


@ANSWERS.register("binary")
def binary(contract: BundleContract, logits: Floats, known: Calibration) -> Answer:
    """Return the calibrated risk and whether it reaches the threshold."""
    risk = calibrated(float(logits[0, 0]), known)
    decided = None if risk is None or known.threshold is None else risk >= known.threshold
    return Answer(f"{contract.title}: {_percent(risk)}", risk, known.threshold, decided)


@ANSWERS.register("regression")
def regression(contract: BundleContract, logits: Floats, known: Calibration) -> Answer:
    """Return the value in its unit, where validation subjects were scored on the inputs given."""
    if known.reason is not None:
        return Answer(f"{contract.title}: not known", unit=contract.unit)
    value = float(ENDPOINTS.get(contract.kind).from_json(contract.objective).predicted(logits)[0])
    return Answer(f"{contract.title}: {value:.4g} {contract.unit}".rstrip(), value=value, unit=contract.unit)


@ANSWERS.register("survival")
def survival(contract: BundleContract, logits: Floats, known: Calibration) -> Answer:
    """Return the risk within the horizon, where validation subjects were scored on the inputs given."""
    years = float(contract.objective["horizon_years"])
    if known.reason is not None:
        return Answer(f"{contract.title}: not known", horizon_years=years)
    risk = float(ENDPOINTS.get(contract.kind).from_json(contract.objective).predicted(logits)[0])
    return Answer(f"{contract.title}: {_percent(risk)} within {years:g} years", risk, horizon_years=years)


def calibrated(logit: float, calibration: Calibration) -> float | None:
    """Return the risk of a logit, or None where the bundle could not be calibrated."""
    if calibration.slope is None or calibration.intercept is None:
        return None
    limited = min(max(logit, -LARGEST_LOGIT), LARGEST_LOGIT)
    return float(expit(calibration.intercept + calibration.slope * limited))


def _percent(risk: float | None) -> str:
    return "risk not known" if risk is None else f"risk {100 * risk:.3g} %"
