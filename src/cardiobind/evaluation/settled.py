"""What the validation split settles for each seed, and the values it makes of test scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.evaluation.calibration import fit_isotonic, fit_platt, fit_temperature
from cardiobind.evaluation.over_time.brier import integrated_terms, time_grid
from cardiobind.evaluation.over_time.product_limit import last_known
from cardiobind.evaluation.over_time.proportional import RiskOverTime, fit_over_time
from cardiobind.evaluation.threshold import choose_specific_threshold, choose_threshold

Floats = NDArray[np.float64]


class Settled(Protocol):
    """A threshold, a recalibration or a risk over time; `reason` says why there is none."""

    @property
    def reason(self) -> str | None:
        """Why there is none; None where there is one."""


class _Map(Settled, Protocol):
    def apply(self, scores: Floats) -> Floats:
        """Return a value for each score, NaN where nothing was settled."""


def settle_classes(validation: pd.DataFrame) -> dict[str, _Map]:
    """Return what a binary endpoint's metrics are computed on, by `Metric.on`, from the validation rows of one seed."""
    labels, scores = validation["label"].to_numpy(np.float64), validation["score"].to_numpy(np.float64)
    return {
        "decision": choose_threshold(labels, scores),
        "decision_at_90": choose_specific_threshold(labels, scores),
        "recalibrated": fit_platt(labels, scores),
        "temperature": fit_temperature(labels, scores),
        "isotonic": fit_isotonic(labels, scores),
    }


def class_values(scores: Floats, settled: Mapping[str, tuple[_Map, ...]]) -> dict[str, Floats]:
    """Return the values (seeds, n) of each kind of `Metric.on`.

    Args:
        scores: (seeds, n) of the test rows.
        settled: by `Metric.on`, one a seed.
    """
    made = {on: np.array([f.apply(s) for f, s in zip(found, scores, strict=True)]) for on, found in settled.items()}
    return {"score": scores, "decision_at_half": (scores >= 0.5).astype(np.float64), **made}


def settle_times(validation: pd.DataFrame, *, are_risks: bool) -> RiskOverTime:
    """Return the risk over time of one seed's validation rows."""
    columns = (validation[name].to_numpy(np.float64) for name in ("time_days", "label", "score"))
    return fit_over_time(*columns, are_risks=are_risks)


def time_values(scores: Floats, labels: Floats, settled: tuple[RiskOverTime, ...]) -> dict[str, Floats]:
    """Return the scores, and the integrated loss (seeds, n, 2) of each subject by the model and without one.

    Args:
        scores: (seeds, n) of the test rows.
        labels: (n, 2) their times and events.
        settled: one a seed.
    """
    time, event = labels.reshape(-1, 2).T
    until = last_known(time, event)
    loss = np.full((*scores.shape, 2), np.nan)
    if until is not None and until > 0:
        grid = time_grid(until)
        for row, (risk, own) in enumerate(zip(settled, scores, strict=True)):
            if risk.reason is None:
                loss[row, :, 0] = integrated_terms(time, event, risk.survival(own, grid), grid)
                loss[row, :, 1] = integrated_terms(time, event, risk.without_model(grid), grid)
    return {"score": scores, "survival_loss": loss}
