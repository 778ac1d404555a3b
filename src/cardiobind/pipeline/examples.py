"""A few test subjects and what their scores rest on, drawn for the report; nothing of it names a subject."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.data import CohortDataset
from cardiobind.evaluation.report import Example, Picture
from cardiobind.explain import explain
from cardiobind.explain.page import answer_tables, tied
from cardiobind.explain.pictures import pictures, risk_picture
from cardiobind.inference import Prediction, Predictor, PreparedSubject
from cardiobind.inference.trust.combinations import IMPOSSIBLE, contradictions
from cardiobind.inference.trust.signs import cmr_signs, ecg_signs, table_signs
from cardiobind.inference.trust.texture import ecg_texture
from cardiobind.modalities.records import EcgRecord
from cardiobind.sources import SOURCES

SIMULATED_EXAMPLES, STEPS = 3, 16
HIGHEST, LOWEST, APART = 95, 10, 10
"""Percentiles of the score that the first of high and the first of low score are nearest to, and their distance."""
_DOUBTFUL_CROP = 0.5
_TIED = (
    "From what is drawn inside a modality (against its baseline, the others being there) to the modality's share "
    "(against its absence, in the mean over the others being there or not)"
)
Rows = NDArray[np.int64]


def wanted_examples(experiment: Experiment, *, simulated: bool = False) -> int:
    """Return how many subjects a report shows: what the experiment says, or 3 simulated ones and of real people none.

    Args:
        experiment: whose `evaluation.examples` may say it.
        simulated: whether its raw files are simulated, though its source cannot know that.
    """
    said = experiment.evaluation.examples
    if said is not None:
        return said
    return SIMULATED_EXAMPLES if simulated or knows_truth(experiment) else 0


def knows_truth(experiment: Experiment) -> bool:
    """Return whether the source knows the truth of its subjects, which it does only of those it has simulated."""
    return hasattr(SOURCES.get(experiment.source.kind), "best_scores")


@dataclass(frozen=True)
class Shelf:
    """Where the subjects of a report come from.

    Attributes:
        predictor: whose scores are explained.
        cohort: it was trained on.
        protocol: with the contract of the table and the labels.
    """

    predictor: Predictor
    cohort: Cohort
    protocol: Protocol

    @cached_property
    def index(self) -> pd.DataFrame:
        """Quality codes and confidence of all recordings kept."""
        return pd.read_parquet(self.cohort.artifact.file("index.parquet"))

    def subject(self, row: int) -> PreparedSubject:
        """Return one sample of the cohort as a bundle prepares it from raw files, without who it is."""
        modalities = list(self.predictor.contract.inputs)
        batch = CohortDataset(self.cohort, self.protocol, [row], modalities)[0]
        signals = {m: x for m, x in batch.signals.items() if len(x)}
        facts = self.cohort.table.iloc[row]
        used = self.predictor.contract.table
        missing = [] if used is None else [c.name for c in used.columns if pd.isna(facts.get(c.name, np.nan))]
        record = self.ecg(row) if "ecg" in signals else None
        quality = {m: self._quality(row, m, facts) for m in signals}
        signs = {m: self._signs(row, m, signals[m].numpy()) for m in signals}
        texture = ecg_texture(*self._counts(row)) if record is not None else None
        return PreparedSubject(signals, quality, tuple(missing), signs=signs, texture=texture, ecg=record)

    def ecg(self, row: int) -> EcgRecord:
        """Return a stored ECG in mV, absent leads NaN."""
        counts, rate_hz = self._counts(row)
        amplitude_mv = np.asarray(counts.astype(np.float32) / 1000, np.float32)
        amplitude_mv[~amplitude_mv.any(axis=1)] = np.nan
        return EcgRecord(amplitude_mv, rate_hz)

    def _counts(self, row: int) -> tuple[NDArray[Any], float]:
        return self.cohort.read("ecg", [row])[0], float(self.cohort.spec("ecg").rate_hz or 0)

    def _quality(self, row: int, modality: str, facts: pd.Series[float]) -> tuple[str, ...]:
        if modality == "tabular":
            return (IMPOSSIBLE,) if contradictions(facts) else ()
        sample = self.cohort.samples.iloc[row]
        mine = self.index[(self.index["subject"] == sample["subject"]) & (self.index["visit"] == sample["visit"])]
        own = mine[mine["modality"] == modality].iloc[0]
        doubtful = modality == "cmr" and float(own["confidence"]) < _DOUBTFUL_CROP
        return (*filter(None, str(own["quality"]).split(";")), *(("uncertain_heart_crop",) if doubtful else ()))

    def _signs(self, row: int, modality: str, signal: NDArray[np.float32]) -> NDArray[np.float64]:
        if modality == "tabular":
            return np.asarray(table_signs(signal, self.predictor.contract.inputs[modality].cardinalities)[0])
        return ecg_signs(*self._counts(row)) if modality == "ecg" else cmr_signs(self.cohort.read(modality, [row])[0])


def examples(shelf: Shelf, rows: Rows, scores: Sequence[float], count: int) -> list[Example]:
    """Return subjects of high and of low score, drawn; those of whom the bundle says nothing are passed over.

    Two thirds of them are those nearest to the 95th, 85th ... percentile of the scores, the others to the 10th, 20th.

    Args:
        shelf: where they come from.
        rows: (n,) samples of the cohort to choose from.
        scores: (n,) theirs.
        count: how many to show.
    """
    found: list[Example] = []
    taken: set[int] = set()
    for words, percentile in _percentiles(count):
        for place in _nearest(scores, percentile):
            prepared = shelf.subject(int(rows[place]))
            prediction = shelf.predictor.score(prepared) if place not in taken else None
            if prediction is not None and prediction.abstained is None:
                taken.add(place)
                title = f"Example {len(found) + 1}: a {words} score, near the {percentile}th percentile"
                found.append(_example(shelf, int(rows[place]), title, prepared, prediction))
                break
    return found


def _percentiles(count: int) -> Iterator[tuple[str, int]]:
    high = math.ceil(2 * count / 3)
    for place in range(count):
        yield ("high", HIGHEST - APART * place) if place < high else ("low", LOWEST + APART * (place - high))


def _nearest(scores: Sequence[float], percentile: float) -> list[int]:
    away = np.abs(np.asarray(scores) - np.percentile(scores, percentile))
    return [int(place) for place in np.argsort(away, kind="stable")]


def _example(
    shelf: Shelf, row: int, title: str, prepared: PreparedSubject, prediction: Prediction
) -> Example:  # fmt: skip
    found = explain(shelf.predictor, prepared, steps=STEPS)
    drawn: list[Picture] = [
        *risk_picture(prediction, shelf.predictor.contract.risks.get(prediction.inputs)),
        *pictures(found, prepared, prepared.ecg),
    ]
    tables = {**answer_tables(prediction), _TIED: tied(found)}
    return Example(title, _label(shelf, row), tables, drawn)


def _label(shelf: Shelf, row: int) -> str:
    labels = shelf.protocol.labels
    if (
        labels is None
        or shelf.predictor.contract.kind != "binary"
        or np.ndim(labels[row])
        or not np.isfinite(labels[row])
    ):
        return ""
    return f"The endpoint, which the model was not told: {'present' if labels[row] else 'absent'}."
