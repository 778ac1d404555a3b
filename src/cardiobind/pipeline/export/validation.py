"""What validation predictions settle: calibration, threshold, what intervals follow from, the cohort's risks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from cardiobind.artifact import Artifact
from cardiobind.errors import ArtifactError
from cardiobind.evaluation.calibration import fit_platt
from cardiobind.evaluation.threshold import MINIMUM_PER_CLASS, choose_threshold, too_few
from cardiobind.inference.answers import LARGEST_LOGIT, calibrated
from cardiobind.inference.bundle import Calibration
from cardiobind.inference.trust.cohort import Histogram, histogram
from cardiobind.inference.trust.intervals import FITS, Certainty, log_hazard, too_few_subjects

Floats = NDArray[np.float64]

DAYS_PER_YEAR = 365.25


def _log_odds(scores: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(logit(scores)).clip(-LARGEST_LOGIT, LARGEST_LOGIT)


def _hazard(log_hazards: Floats) -> Floats:
    return np.asarray(-np.expm1(-np.exp(log_hazards)))


def _itself(values: Floats) -> Floats:
    return values


SCALES: Mapping[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    "binary": (_log_odds, expit),
    "regression": (_itself, _itself),
    "survival": (log_hazard, _hazard),
}
"""By kind of endpoint: from a prediction to the scale of the logits, on which members are averaged, and back."""


@dataclass(frozen=True)
class Validation:
    """Validation predictions of all members.

    Attributes:
        kind: of the endpoint.
        rows: of the first member, by input set.
        scores: (M, n) of all members, by input set.
        horizon_years: of a time to event.
    """

    kind: str
    rows: Mapping[str, pd.DataFrame]
    scores: Mapping[str, Floats]
    horizon_years: float | None

    @classmethod
    def of(cls, found: Sequence[Artifact], kind: str, objective: Mapping[str, Any]) -> Validation:
        """Return the validation predictions of predictors of one arm.

        Raises:
            ArtifactError: they are not of the same subjects.
        """
        frames = [_validation_rows(one) for one in found]
        rows: dict[str, pd.DataFrame] = {str(i): own for i, own in frames[0].groupby("inputs", sort=False)}
        scores = {}
        for inputs, own in rows.items():
            every = [frame[frame["inputs"] == inputs] for frame in frames]
            for one, frame in zip(found, every, strict=True):
                if frame[["subject", "visit"]].to_numpy().tolist() != own[["subject", "visit"]].to_numpy().tolist():
                    raise ArtifactError("the seeds were validated on different subjects", where=one.path)
            scores[inputs] = np.stack([frame["score"].to_numpy(dtype=np.float64) for frame in every])
        return cls(kind, rows, scores, objective.get("horizon_years"))

    def mean(self, inputs: str) -> Floats:
        """Return the prediction (n,) of the bundle: the mean on the scale of the logits."""
        scores = self.scores[inputs]
        there, back = SCALES[self.kind]
        return scores[0] if len(scores) == 1 else back(there(scores).mean(axis=0))

    def calibrations(self) -> dict[str, Calibration]:
        """Return by input set how a score becomes a risk and a decision.

        Where the score is a risk or value itself nothing is fitted; it is given where enough subjects vouch for it.
        """
        if self.kind != "binary":
            return {i: Calibration(None, None, None, too_few_subjects(len(rows))) for i, rows in self.rows.items()}
        return {inputs: _calibrate(self._labels(inputs), self.mean(inputs)) for inputs in self.rows}

    def certainties(self) -> dict[str, Certainty]:
        """Return by input set what the intervals follow from."""
        known = self.calibrations()
        fit, (there, _) = FITS.get(self.kind), SCALES[self.kind]
        return {
            inputs: fit(self._labels(inputs), there(self.scores[inputs]), _line(known[inputs])) for inputs in self.rows
        }

    def risks(self) -> dict[str, Histogram]:
        """Return by input set the validation subjects' risks or values, where they are enough for two bins."""
        known = self.calibrations()
        found: dict[str, Histogram | None] = {}
        for inputs in self.rows:
            said = self.mean(inputs)
            if self.kind == "binary":
                risks = [calibrated(float(x), known[inputs]) for x in _log_odds(said)]
                found[inputs] = None if None in risks else histogram(np.array(risks), ends=(0.0, 1.0))
            else:
                found[inputs] = histogram(said, ends=(0.0, 1.0) if self.kind == "survival" else None)
        return {inputs: own for inputs, own in found.items() if own is not None}

    def _labels(self, inputs: str) -> Floats:
        rows = self.rows[inputs]
        labels = rows["label"].to_numpy(dtype=np.float64)
        if self.horizon_years is None or "time_days" not in rows:
            return labels
        soon = rows["time_days"].to_numpy(dtype=np.float64) <= self.horizon_years * DAYS_PER_YEAR
        return np.where(soon, labels, 0.0)


def _validation_rows(found: Artifact) -> pd.DataFrame:
    frame = pd.read_parquet(found.file("predictions.parquet"))
    return frame[frame["split"] == "validation"]


def _calibrate(labels: Floats, scores: Floats) -> Calibration:
    if too_few(labels):
        said = f"too few validation subjects of one class; at least {MINIMUM_PER_CLASS} of each are needed"
        return Calibration(None, None, None, said)
    platt = fit_platt(labels, scores)
    if platt.slope is None:
        return Calibration(None, None, None, platt.reason)
    threshold = choose_threshold(labels, platt.apply(scores))
    return Calibration(platt.slope, platt.intercept, threshold.value, threshold.reason)


def _line(known: Calibration) -> tuple[float, float] | None:
    return None if known.slope is None or known.intercept is None else (known.intercept, known.slope)
