"""From the predictions file to cells: one arm on one set of inputs at one label fraction, over its seeds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError, SplitLeakageError
from cardiobind.evaluation.calibration import PlattScaling, fit_platt
from cardiobind.evaluation.threshold import Threshold, choose_threshold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = ("arm", "inputs", "fraction", "seed", "task", "split", "subject", "visit", "label", "score")
KEY = ["task", "arm", "inputs", "fraction"]
_ROW = ["subject", "visit"]


@dataclass(frozen=True)
class Cell:
    """The test predictions of one arm, inputs and label fraction, with what validation settled for each seed.

    Attributes:
        task, arm, inputs, fraction: what it is.
        seeds: training seeds.
        rows: (n,) index of (subject, visit), sorted; it leaves this room only as counts.
        labels: (n,) 0 or 1.
        subject_index: (n,) subject of each row, 0 to subjects - 1.
        values: for each kind of `Metric.on` (seeds, n).
        thresholds: one a seed.
        calibrations: one a seed.
        validation_n, validation_positives: labelled validation rows of the first seed.
        unlabelled: test rows left out because their label is unknown.
    """

    task: str
    arm: str
    inputs: str
    fraction: float
    seeds: tuple[int, ...]
    rows: pd.MultiIndex
    labels: Floats
    subject_index: Ints
    values: dict[str, Floats]
    thresholds: tuple[Threshold, ...]
    calibrations: tuple[PlattScaling, ...]
    validation_n: int
    validation_positives: int
    unlabelled: int

    def why_undefined(self, on: str) -> str | None:
        """Return why no metric on these values is defined, naming the seeds concerned; None where they are there."""
        settled: dict[str, Sequence[Threshold | PlattScaling]]
        settled = {"decision": self.thresholds, "recalibrated": self.calibrations}
        reasons: dict[str, list[str]] = {}
        for seed, found in zip(self.seeds, settled.get(on, ()), strict=False):
            if found.reason:
                reasons.setdefault(found.reason, []).append(str(seed))
        return "; ".join(f"seed {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items()) or None

    def on_rows(self, rows: pd.MultiIndex) -> Cell:
        """Return the cell on some of its rows.

        Args:
            rows: index of (subject, visit), sorted, all of them in the cell.
        """
        place = self.rows.get_indexer(rows)
        values = {on: v[:, place] for on, v in self.values.items()}
        return Cell(
            self.task, self.arm, self.inputs, self.fraction, self.seeds, rows, self.labels[place], _subject_index(rows),
            values, self.thresholds, self.calibrations, self.validation_n, self.validation_positives, self.unlabelled,
        )  # fmt: skip


def read_cells(predictions: pd.DataFrame) -> list[Cell]:
    """Check a predictions frame and return its cells in order of first appearance.

    Args:
        predictions: columns arm, inputs, fraction, seed, task, split ("validation" or "test"), subject, visit,
            label (0, 1 or NaN for unknown) and score in [0, 1].

    Raises:
        InputError: a column, a split, a score or a label is not as above; a row appears twice; labels of one subject
            and visit differ between models; seeds of a cell were tested on different rows.
        SplitLeakageError: a subject is in validation and test.
    """
    _check_columns(predictions)
    _check_rows(predictions)
    return [_cell(key, group) for key, group in predictions.groupby(KEY, sort=False)]


def _check_columns(frame: pd.DataFrame) -> None:
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(
            f"the predictions lack columns: {', '.join(missing)}", where="predictions", expected=", ".join(COLUMNS),
            got=", ".join(re.sub(r"\d{4,}", "*", str(name)) for name in frame.columns),
        )  # fmt: skip
    if frame.empty:
        raise InputError("there are no predictions", where="predictions", hint="run predict before evaluate")
    splits = set(frame["split"]) - {"validation", "test"}
    if splits:
        raise InputError(
            "a split that is neither validation nor test", where="predictions.split", got=sorted(map(str, splits))
        )
    scores = frame["score"].to_numpy(np.float64)
    outside = int(np.sum(~((scores >= 0) & (scores <= 1))))
    if outside:
        raise InputError("scores outside [0, 1] or not finite", where="predictions.score", got=f"{outside} rows")
    labels = frame["label"].to_numpy(np.float64)
    strange = int(np.sum(~(np.isnan(labels) | np.isin(labels, (0.0, 1.0)))))
    if strange:
        raise InputError("labels other than 0, 1 or unknown", where="predictions.label", got=f"{strange} rows")


def _check_rows(frame: pd.DataFrame) -> None:
    twice = int(frame.duplicated([*KEY, "seed", *_ROW]).sum())
    if twice:
        raise InputError(
            "a subject and visit is predicted twice by one model", where="predictions", got=f"{twice} rows"
        )
    known = frame.dropna(subset=["label"])
    unequal = int((known.groupby(["task", *_ROW])["label"].nunique() > 1).sum())
    if unequal:
        raise InputError(
            "one subject and visit has different labels in different models", where="predictions.label",
            got=f"{unequal} subjects and visits", hint="labels and scores were paired wrongly: rebuild the predictions",
        )  # fmt: skip
    both = int((frame.groupby(["task", "subject"])["split"].nunique() > 1).sum())
    if both:
        raise SplitLeakageError("subjects are in validation and test", where="predictions", got=f"{both} subjects")


def _cell(key: tuple[object, ...], group: pd.DataFrame) -> Cell:
    task, arm, inputs, fraction = key
    labelled = group.dropna(subset=["label"]).sort_values(_ROW)
    test = labelled[labelled["split"] == "test"]
    validation = labelled[labelled["split"] == "validation"]
    seeds = tuple(int(s) for s in sorted(group["seed"].unique()))
    scores = _wide(test, seeds, where=f"{arm}, {inputs}, fraction {fraction}")
    rows = pd.MultiIndex.from_frame(scores.index.to_frame())
    labels = test.drop_duplicates(_ROW).set_index(_ROW)["label"].reindex(rows).to_numpy(np.float64)
    settled = [_settle(validation[validation["seed"] == seed]) for seed in seeds]
    thresholds, calibrations = tuple(t for t, _ in settled), tuple(c for _, c in settled)
    first = validation[validation["seed"] == seeds[0]]
    return Cell(
        str(task), str(arm), str(inputs), float(str(fraction)), seeds, rows, labels, _subject_index(rows),
        _values(scores.to_numpy(np.float64).T, thresholds, calibrations), thresholds, calibrations,
        len(first), int(first["label"].sum()),
        int(group.loc[(group["split"] == "test") & (group["seed"] == seeds[0]), "label"].isna().sum()),
    )  # fmt: skip


def _wide(test: pd.DataFrame, seeds: tuple[int, ...], where: str) -> pd.DataFrame:
    wide = test.pivot(index=_ROW, columns="seed", values="score").sort_index()
    if wide.empty:
        return pd.DataFrame(index=wide.index, columns=list(seeds), dtype=np.float64)
    if not np.array_equal(wide.columns.to_numpy(np.int64), seeds) or wide.isna().to_numpy().any():
        raise InputError(
            "the seeds of one model were tested on different subjects", where=where,
            hint="predict every seed on the same protocol",
        )  # fmt: skip
    return wide


def _settle(validation: pd.DataFrame) -> tuple[Threshold, PlattScaling]:
    labels, scores = validation["label"].to_numpy(np.float64), validation["score"].to_numpy(np.float64)
    return choose_threshold(labels, scores), fit_platt(labels, scores)


def _values(
    scores: Floats, thresholds: tuple[Threshold, ...], calibrations: tuple[PlattScaling, ...]
) -> dict[str, Floats]:
    decisions = [
        s >= t.value if t.value is not None else np.full(len(s), np.nan)
        for s, t in zip(scores, thresholds, strict=True)
    ]
    return {
        "score": scores,
        "decision": np.array(decisions, np.float64),
        "decision_at_half": (scores >= 0.5).astype(np.float64),
        "recalibrated": np.array([c.apply(s) for s, c in zip(scores, calibrations, strict=True)]),
    }


def _subject_index(rows: pd.MultiIndex) -> Ints:
    return np.asarray(pd.factorize(rows.get_level_values("subject"), sort=True)[0], np.int64)
