"""Predictions that were made elsewhere, by whatever model: few columns needed, checked row by row, matched by subject.

A table holds a row for each prediction. It needs `subject`, `label` and `score`; what else it may have:

- `split`: "test" (where there is no such column) or "validation"; validation rows give thresholds and recalibration.
- `task`: name of the endpoint, for several in one table; "outcome" where there is none.
- `kind`: "binary" (where there is none), "regression" or "survival"; the latter needs `time_days`.
- `visit`, `seed`: where a subject or a model has several.
- `arm`, `inputs`, `fraction`: parts of a model's name, where a table holds several models.
- columns that begin with ``group_``: subgroups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cardiobind.errors import InputError
from cardiobind.registry import did_you_mean

NEEDED = ("subject", "label", "score")
DEFAULTS: Mapping[str, str | int] = {"visit": "1", "seed": 0, "task": "outcome", "split": "test", "kind": "binary"}
MATCHED = "matched subjects"
_KINDS = ("binary", "regression", "survival")
_USUAL_NAMES = {
    "subject": ("id", "eid", "patient", "patient_id", "subject_id", "study_id", "pid"),
    "label": ("y", "y_true", "target", "outcome", "truth", "event"),
    "score": ("y_pred", "y_score", "prob", "proba", "probability", "prediction", "risk", "pred", "p"),
}
_KEY = ["task", "model", "seed", "subject", "visit"]


def read_model(frame: pd.DataFrame, name: str, where: str) -> pd.DataFrame:
    """Check a table of predictions and return its rows with all columns that this module's docstring names.

    Args:
        frame: as it was read.
        name: of the model; with parts of `arm`, `inputs` and `fraction` where these differ within the table.
        where: how errors name the table.

    Returns:
        Columns model, subject, visit, seed, task, split, kind, label, score, ``group_...`` and, for survival,
        time_days.

    Raises:
        InputError: a column is missing or a row is not as described; the message names the column and the row, the
            first being row 1, and no subject.
    """
    _check_columns(frame, where)
    rows = frame.reset_index(drop=True)
    rows = rows.assign(**{c: v for c, v in DEFAULTS.items() if c not in rows})
    rows = rows.assign(subject=_names(rows["subject"], where, "subject"), visit=rows["visit"].astype(str))
    _check_words(rows, where)
    for column in ("label", "score", *(["time_days"] if "time_days" in rows else [])):
        rows[column] = _numbers(rows[column], where, column)
    _check_values(rows, where)
    rows["model"] = _model_names(rows, name)
    _refuse(rows.duplicated(_KEY), where, "subject", "the same subject, visit and seed a second time")
    groups = [str(c) for c in rows if str(c).startswith("group_")]
    times = ["time_days"] if "time_days" in rows else []
    return rows[["model", *DEFAULTS, *NEEDED, *times, *groups]]


def match(tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """Put models together on the test subjects that all of them have, endpoint by endpoint.

    Args:
        tables: of `read_model`, with different models.

    Returns:
        Predictions as `cardiobind.evaluation.evaluate` reads them, each model an arm; and sentences that say how many
        rows of each model have no counterpart.

    Raises:
        InputError: two tables have a model of the same name, a model lacks an endpoint, no subject is in all of
            them, or they disagree about a label or about the kind of an endpoint.
    """
    together = pd.concat(tables, ignore_index=True)
    names = [name for table in tables for name in table["model"].unique()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(
            "two tables hold a model of the same name", where="compare", got=", ".join(twice),
            hint="name them: mine=a.csv theirs=b.csv",
        )  # fmt: skip
    kept, notes = [], []
    for task, rows in together.groupby("task", sort=False):
        own, said = _match_task(str(task), rows, names)
        kept.append(own)
        notes += said
    matched = pd.concat(kept, ignore_index=True)
    return matched.rename(columns={"model": "arm"}).assign(inputs=MATCHED, fraction=1.0), notes


def _match_task(task: str, rows: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    if absent := [name for name in names if name not in set(rows["model"])]:
        raise InputError(
            "not every model predicts every endpoint", where=f"task {task}", got=f"nothing of {', '.join(absent)}",
            hint="keep one endpoint with --only task=NAME",
        )  # fmt: skip
    if len(kinds := sorted(rows["kind"].unique())) > 1:
        raise InputError(
            "the tables disagree about the kind of an endpoint", where=f"task {task}, column kind",
            expected="one kind in all tables", got=", ".join(kinds), hint="where the column is absent it is binary",
        )  # fmt: skip
    test = rows[(rows["split"] == "test") & rows["label"].notna()]
    per_key = test.groupby(["subject", "visit"])
    everywhere = per_key["model"].nunique() == len(names)
    if not everywhere.any():
        raise InputError(
            "no labelled test subject is in all tables", where=f"task {task}", expected="the same subject identifiers",
            got={name: int(n) for name, n in test.groupby("model")["subject"].nunique().items()},
            hint="look for leading zeros, prefixes, or different visits",
        )  # fmt: skip
    _check_labels_agree(task, test)
    keys = pd.MultiIndex.from_frame(test[["subject", "visit"]])
    use = everywhere.reindex(keys).to_numpy(bool)
    notes = []
    for name in names:
        here = test["model"] == name
        lost, all_rows = int((here & ~use).sum()), int(here.sum())
        if lost:
            notes.append(
                f"{task}: {lost:,} of {all_rows:,} test rows of {name} are not in all tables and do not count."
            )
    return pd.concat([rows[rows["split"] == "validation"], test[use]]), notes


def _check_labels_agree(task: str, test: pd.DataFrame) -> None:
    stated = [c for c in ("label", "time_days") if c in test]
    unequal = (test.groupby(["subject", "visit"])[stated].nunique() > 1).any(axis=1)
    if unequal.any():
        raise InputError(
            "the tables disagree about the truth", where=f"task {task}, column label",
            got=f"{int(unequal.sum()):,} of {len(unequal):,} subjects and visits",
            hint="the models were tested against different labels, or rows were paired wrongly",
        )  # fmt: skip


def _check_columns(frame: pd.DataFrame, where: str) -> None:
    missing = [name for name in NEEDED if name not in frame.columns]
    if not missing:
        if frame.empty:
            raise InputError("the table has no rows", where=where)
        return
    have = [str(c) for c in frame.columns]
    hints = [f"rename {usual} to {name}" for name in missing if (usual := _usual(name, have))]
    hints = hints or [h for name in missing if (h := did_you_mean(name, have))]
    raise InputError(
        f"the table lacks the column {', '.join(missing)}", where=where, expected=", ".join(NEEDED),
        got=f"{len(have)} columns", hint="; ".join(hints) or None,
    )  # fmt: skip


def _usual(name: str, have: Sequence[str]) -> str | None:
    return next((column for column in have if column.lower() in _USUAL_NAMES[name]), None)


def _names(column: pd.Series, where: str, name: str) -> pd.Series:
    _refuse(column.isna(), where, name, "no identifier")
    text = column.astype(str).str.strip()
    if pd.api.types.is_float_dtype(column):
        text = text.str.removesuffix(".0")
    return text


def _check_words(rows: pd.DataFrame, where: str) -> None:
    for column, allowed in (("split", ("test", "validation")), ("kind", _KINDS)):
        _refuse(~rows[column].isin(allowed), where, column, f"neither of {', '.join(allowed)}")
    for column in ("task", "seed"):
        _refuse(rows[column].isna(), where, column, "empty")
    if (rows["kind"] == "survival").any() and "time_days" not in rows:
        raise InputError("time to event without times", where=where, expected="the column time_days")
    if rows.groupby("task")["kind"].nunique().max() > 1:
        raise InputError("one task is of two kinds", where=f"{where}, column kind")


def _numbers(column: pd.Series, where: str, name: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    _refuse(numbers.isna() & column.notna(), where, name, "not a number")
    return numbers


def _check_values(rows: pd.DataFrame, where: str) -> None:
    binary, survival = rows["kind"] == "binary", rows["kind"] == "survival"
    _refuse(~np.isfinite(rows["score"]), where, "score", "no finite number")
    outside = binary & ~rows["score"].between(0, 1)
    _refuse(outside, where, "score", "outside [0, 1]", "give probabilities: of log odds, apply 1 / (1 + exp(-x))")
    classes = (binary | survival) & rows["label"].notna() & ~rows["label"].isin([0.0, 1.0])
    _refuse(classes, where, "label", "neither 0, 1 nor empty")
    if "time_days" in rows:
        _refuse(survival & rows["label"].notna() & ~(rows["time_days"] >= 0), where, "time_days", "no time")


def _refuse(wrong: pd.Series, where: str, column: str, what: str, hint: str | None = None) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong.to_numpy())[0]) + 1
        count = int(wrong.sum())
        raise InputError(
            f"{what} in the column {column}", where=f"{where}, row {first} (the first being row 1)",
            got=f"{count:,} such row{'' if count == 1 else 's'}", hint=hint,
        )  # fmt: skip


def _model_names(rows: pd.DataFrame, name: str) -> pd.Series:
    """Return the name of the model of each row: that of the table, and what tells models within it apart."""
    parts = [c for c in ("arm", "inputs", "fraction") if c in rows and rows[c].nunique(dropna=False) > 1]
    found = pd.Series(name, index=rows.index)
    for column in parts:
        found = found + ", " + rows[column].astype(str)
    return found
