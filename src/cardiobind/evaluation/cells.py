"""From the predictions file to cells: one arm on one set of inputs at one label fraction, over its seeds.

A frame may hold endpoints of every kind; the column `kind` says which, ``binary`` where it is not there:

- ``binary``: label 0 or 1, score a probability.
- ``regression``: label and score in the unit of the task.
- ``survival``: label whether the event came (1, or 0 where censored), `time_days` until then, score a risk: the higher,
  the earlier the event is expected.
- ``multilabel``: a row for each label, which the column `output` names; label 0, 1 or unknown, score a probability.

Columns whose names begin with `group_` say which group of subjects a row belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError, SplitLeakageError
from cardiobind.evaluation.over_time.proportional import RiskOverTime
from cardiobind.evaluation.settled import Settled, class_values, settle_classes, settle_times, time_values
from cardiobind.registry import Registry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COLUMNS = ("arm", "inputs", "fraction", "seed", "task", "split", "subject", "visit", "label", "score")
KEY = ["task", "arm", "inputs", "fraction"]
BINARY = "binary"
GROUP = "group_"
MOST_LEVELS = 20
"""Levels that a column of groups may have: one of more may be a person's number."""
_ROW = ["subject", "visit"]
_OPTIONAL = {"kind": BINARY, "output": ""}


@dataclass(frozen=True)
class Cell:
    """The test predictions of one arm, inputs and label fraction, with what validation settled for each seed.

    Attributes:
        task, arm, inputs, fraction: what it is.
        seeds: training seeds.
        rows: (n,) index of (subject, visit), sorted; it leaves this room only as counts.
        labels: (n,) 0 or 1, or numbers; (n, 2) time in days and event; (n, K) of several labels, NaN unknown.
        subject_index: (n,) subject of each row, 0 to subjects - 1.
        values: for each kind of `Metric.on` (seeds, n), or (seeds, n, K) of several labels, or (seeds, n, 2) of losses.
        validation_n, validation_positives: labelled validation rows of the first seed.
        unlabelled: test rows left out because their label is unknown.
        kind: of the endpoint.
        strata: (n,) 0 or 1: classes that keep their size in each resample.
        settled: for each kind of `Metric.on` that validation has a part in, what it settled, one a seed.
        groups: name of a group of subjects -> (n,) the level of each row.
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
    validation_n: int
    validation_positives: int | None
    unlabelled: int
    kind: str
    strata: Floats
    settled: Mapping[str, tuple[Settled, ...]] = field(default_factory=dict)
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)

    @property
    def positives(self) -> int | None:
        """Positive labels or events among the rows; None where no such thing is."""
        return int(self.strata.sum()) if self.validation_positives is not None else None

    def why_undefined(self, on: str) -> str | None:
        """Return why no metric on these values is defined, naming the seeds concerned; None where they are there."""
        reasons: dict[str, list[str]] = {}
        for seed, found in zip(self.seeds, self.settled.get(on, ()), strict=False):
            if found.reason:
                reasons.setdefault(found.reason, []).append(str(seed))
        return "; ".join(f"seed {', '.join(seeds)}: {reason}" for reason, seeds in reasons.items()) or None

    @property
    def classes(self) -> list[Floats]:
        """What divides the rows into classes, each (n,) 0, 1 or NaN where unknown: one a label, none of numbers."""
        return CELLS.get(self.kind).classes(self)

    def on_rows(self, rows: pd.MultiIndex) -> Cell:
        """Return the cell on some of its rows, itself where those are all.

        Args:
            rows: index of (subject, visit), sorted, all of them in the cell.
        """
        return self if rows.equals(self.rows) else self.at(self.rows.get_indexer(rows))

    def at(self, place: Ints) -> Cell:
        """Return the cell on the rows at some places, which rise; what validation settled stays as it is.

        Values that depend on the other rows, as losses over the time that the test subjects reach, are made anew.
        """
        rows = self.rows[place]
        part = replace(
            self, rows=rows, labels=self.labels[place], subject_index=_subject_index(rows), strata=self.strata[place],
            values={on: v[:, place] for on, v in self.values.items()},
            groups={name: levels[place] for name, levels in self.groups.items()},
        )  # fmt: skip
        return replace(part, values=CELLS.get(self.kind).values(part))


def read_cells(predictions: pd.DataFrame) -> list[Cell]:
    """Check a predictions frame and return its cells in order of first appearance.

    Args:
        predictions: columns arm, inputs, fraction, seed, task, split ("validation" or "test"), subject, visit, label
            (NaN for unknown) and score; for kinds other than binary also those that this module's docstring names.

    Raises:
        InputError: a column, a split, a score or a label is not as above; a row appears twice; labels of one subject
            and visit differ between models; seeds of a cell were tested on different rows; a column of groups has more
            levels than `MOST_LEVELS`.
        SplitLeakageError: a subject is in validation and test.
    """
    _check_columns(predictions)
    frame = _with_kinds(predictions)
    for kind, rows in frame.groupby("kind", sort=False):
        CELLS.get(str(kind)).check(rows)
    _check_rows(frame)
    _check_groups(frame)
    groups = frame.groupby([*KEY, "kind"], sort=False)
    return [cell for key, group in groups for cell in CELLS.get(str(key[-1])).read(key[:-1], group)]


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


def _with_kinds(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{
        name: frame[name].fillna(value).astype(str) if name in frame else value for name, value in _OPTIONAL.items()
    })  # fmt: skip


def _check_classes(frame: pd.DataFrame) -> None:
    scores = frame["score"].to_numpy(np.float64)
    outside = int(np.sum(~((scores >= 0) & (scores <= 1))))
    if outside:
        raise InputError("scores outside [0, 1] or not finite", where="predictions.score", got=f"{outside} rows")
    labels = frame["label"].to_numpy(np.float64)
    strange = int(np.sum(~(np.isnan(labels) | np.isin(labels, (0.0, 1.0)))))
    if strange:
        raise InputError("labels other than 0, 1 or unknown", where="predictions.label", got=f"{strange} rows")


def _check_rows(frame: pd.DataFrame) -> None:
    twice = int(frame.duplicated([*KEY, "seed", "output", *_ROW]).sum())
    if twice:
        raise InputError(
            "a subject and visit is predicted twice by one model", where="predictions", got=f"{twice} rows"
        )
    known = frame.dropna(subset=["label"])
    stated = ["label", "time_days"] if "time_days" in frame else ["label"]
    unequal = int((known.groupby(["task", "output", *_ROW])[stated].nunique() > 1).any(axis=1).sum())
    if unequal:
        raise InputError(
            "one subject and visit has different labels in different models", where="predictions.label",
            got=f"{unequal} subjects and visits", hint="labels and scores were paired wrongly: rebuild the predictions",
        )  # fmt: skip
    both = int((frame.groupby(["task", "subject"])["split"].nunique() > 1).sum())
    if both:
        raise SplitLeakageError("subjects are in validation and test", where="predictions", got=f"{both} subjects")


def _check_groups(frame: pd.DataFrame) -> None:
    for name in _group_columns(frame):
        levels = int(frame[name].nunique())
        if levels > MOST_LEVELS:
            raise InputError(
                "a column of groups has too many levels", where=f"predictions, {re.sub(r'[0-9]{4,}', '*', name)}",
                expected=f"at most {MOST_LEVELS}", got=f"{levels:,}",
                hint="make bands of numbers; what names a subject is no group: leave it out",
            )  # fmt: skip


def _check_numbers(frame: pd.DataFrame) -> None:
    strange = int((~np.isfinite(frame["score"].to_numpy(np.float64))).sum())
    if strange:
        raise InputError("scores that are not finite", where="predictions.score", got=f"{strange} rows")


def _check_times(frame: pd.DataFrame) -> None:
    _check_numbers(frame)
    if "time_days" not in frame:
        raise InputError("time to event without times", where="predictions", expected="the column time_days")
    known = frame.dropna(subset=["label"])
    strange = int((~(known["time_days"] >= 0) | ~known["label"].isin([0.0, 1.0])).sum())
    if strange:
        raise InputError(
            "time to event that is no time and event", where="predictions", got=f"{strange} rows",
            expected="time_days of at least 0, label 1 for an event and 0 for censored",
        )  # fmt: skip


def _check_labels(frame: pd.DataFrame) -> None:
    _check_classes(frame)
    if (frame["output"] == "").any():
        raise InputError("several labels without names", where="predictions", expected="the column output")


def _binary(key: tuple[object, ...], group: pd.DataFrame) -> list[Cell]:
    cell = _plain(key, group, BINARY, ["label"])
    each = [settle_classes(rows) for rows in _validation(cell, group)]
    settled = {on: tuple(found[on] for found in each) for on in each[0]}
    return [replace(cell, values=class_values(cell.values["score"], settled), settled=settled)]


def _regression(key: tuple[object, ...], group: pd.DataFrame) -> list[Cell]:
    return [_plain(key, group, "regression", ["label"])]


def _survival(key: tuple[object, ...], group: pd.DataFrame) -> list[Cell]:
    cell = _plain(key, group, "survival", ["time_days", "label"])
    are_risks = bool(group["score"].between(0, 1).all())
    settled = tuple(settle_times(rows, are_risks=are_risks) for rows in _validation(cell, group))
    cell = replace(cell, settled={"survival_loss": settled})
    return [replace(cell, values=_times(cell))]


def _times(cell: Cell) -> dict[str, Floats]:
    settled = tuple(risk for risk in cell.settled["survival_loss"] if isinstance(risk, RiskOverTime))
    return time_values(cell.values["score"], cell.labels, settled)


def _as_they_are(cell: Cell) -> dict[str, Floats]:
    return cell.values


def _validation(cell: Cell, group: pd.DataFrame) -> list[pd.DataFrame]:
    labelled = group[group["split"] == "validation"].dropna(subset=["label"]).sort_values(_ROW)
    return [labelled[labelled["seed"] == seed] for seed in cell.seeds]


def _multilabel(key: tuple[object, ...], group: pd.DataFrame) -> list[Cell]:
    """Return a cell of all labels together, on the rows of which any is known, and a binary one for each."""
    parts = {name: group[group["output"] == name] for name in dict.fromkeys(group["output"])}
    each = [cell for name, part in parts.items() for cell in _binary((f"{key[0]}: {name}", *key[1:]), part)]
    rows = each[0].rows
    for cell in each[1:]:
        rows = rows.union(cell.rows)
    wide = [_plain(key, part.fillna({"label": -1.0}), "multilabel", ["label"]) for part in parts.values()]
    if not all(cell.rows.equals(wide[0].rows) for cell in wide):
        raise InputError("the labels of one model were tested on different subjects", where=f"{key[1]}, {key[2]}")
    labels = np.stack([cell.on_rows(rows).labels for cell in wide], axis=1)
    scores = np.stack([cell.on_rows(rows).values["score"] for cell in wide], axis=2)
    first = wide[0].on_rows(rows)
    known = np.where(labels < 0, np.nan, labels)
    unlabelled = len(wide[0].rows) - len(rows)
    return [replace(first, labels=known, values={"score": scores}, unlabelled=unlabelled), *each]


def _plain(key: tuple[object, ...], group: pd.DataFrame, kind: str, columns: list[str]) -> Cell:
    task, arm, inputs, fraction = key
    labelled = group.dropna(subset=["label"]).sort_values(_ROW)
    test = labelled[labelled["split"] == "test"]
    seeds = tuple(int(s) for s in sorted(group["seed"].unique()))
    scores = _wide(test, seeds, where=f"{arm}, {inputs}, fraction {fraction}")
    rows = pd.MultiIndex.from_frame(scores.index.to_frame())
    first = test.drop_duplicates(_ROW).set_index(_ROW).reindex(rows)
    labels = first[columns].to_numpy(np.float64)
    held_out = labelled[(labelled["split"] == "validation") & (labelled["seed"] == seeds[0])]
    classes = kind in (BINARY, "survival")
    return Cell(
        str(task), str(arm), str(inputs), float(str(fraction)), seeds, rows,
        labels[:, 0] if len(columns) == 1 else labels, _subject_index(rows), {"score": scores.to_numpy(np.float64).T},
        len(held_out), int(held_out["label"].sum()) if classes else None,
        int(group.loc[(group["split"] == "test") & (group["seed"] == seeds[0]), "label"].isna().sum()), kind,
        labels[:, -1] if classes else np.zeros(len(labels)), groups=_groups(first),
    )  # fmt: skip


def _groups(rows: pd.DataFrame) -> dict[str, NDArray[np.object_]]:
    return {
        name.removeprefix(GROUP): rows[name].fillna("unknown").astype(str).to_numpy(dtype=object)
        for name in _group_columns(rows)
    }


def _group_columns(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if str(name).startswith(GROUP)]


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


def _subject_index(rows: pd.MultiIndex) -> Ints:
    return np.asarray(pd.factorize(rows.get_level_values("subject"), sort=True)[0], np.int64)


@dataclass(frozen=True)
class KindOfCells:
    """How the rows of one kind of endpoint are read.

    Attributes:
        check: refuses rows whose labels or scores are not of the kind.
        read: key and rows of one arm, inputs and fraction -> cells.
        classes: see `Cell.classes`.
        values: of a cell on part of its rows, which has those that they had among all.
    """

    check: Callable[[pd.DataFrame], None]
    read: Callable[[tuple[object, ...], pd.DataFrame], list[Cell]]
    classes: Callable[[Cell], list[Floats]]
    values: Callable[[Cell], dict[str, Floats]] = _as_they_are


CELLS: Registry[KindOfCells] = Registry("kind of prediction")
CELLS.register(BINARY)(KindOfCells(_check_classes, _binary, lambda cell: [cell.strata]))
CELLS.register("regression")(KindOfCells(_check_numbers, _regression, lambda _: []))
CELLS.register("survival")(KindOfCells(_check_times, _survival, lambda cell: [cell.strata], _times))
CELLS.register("multilabel")(KindOfCells(_check_labels, _multilabel, lambda cell: list(cell.labels.T)))
