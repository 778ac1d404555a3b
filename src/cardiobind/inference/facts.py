"""The medical facts of one subject, from a file of any header style or from a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind.errors import DataContractError, InputError
from cardiobind.formats import masked
from cardiobind.formats.tables.table_file import read_table, table_columns, table_path
from cardiobind.formats.tables.ukb_headers import identifier_column
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature
from cardiobind.modalities.tabular.cleaning import clean_column
from cardiobind.registry import did_you_mean
from cardiobind.sources.ukb_table import load_table, read_features, read_visits

IMAGING_VISIT = "2"
SUBJECT = "subject"
KEYS = (SUBJECT, "visit", "date", "fold")


def read_facts(
    table: Path | str | Mapping[str, Any] | pd.DataFrame, names: Sequence[str], subject: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return one row with the columns `names`, a fact not given being missing, and the facts given beside them.

    Args:
        table: a CSV or Parquet file with UK Biobank headers or canonical names, or facts by canonical name.
        names: facts the network uses.
        subject: which participant of a file that has several.

    Raises:
        InputError: there is no such file or subject, not exactly one row to take, or none of the columns in it.
        DataContractError: a fact has a name that is not known or a value that it cannot have, or all are missing.
        RecordError: the file cannot be read.
    """
    if isinstance(table, Mapping):
        table = pd.DataFrame([dict(table)])
    if isinstance(table, pd.DataFrame):
        rows = _known(table)
    else:
        rows = _from_file(Path(table), subject)
    if len(rows) != 1:
        raise InputError(
            "exactly one row of the table is needed", where="table", expected=1, got=len(rows),
            hint="give a table of one row, or name the subject",
        )  # fmt: skip
    if not set(names) & set(rows.columns):
        raise InputError("the table has none of the facts that the network uses", where="table", expected=list(names))
    given = rows.reindex(columns=list(names)).reset_index(drop=True)
    for name in names:
        _check_fact(given[name], FEATURE_BY_NAME[name])
    if given.isna().all(axis=None):
        raise DataContractError(
            "no fact given: all that the network uses are missing", where="table", expected=", ".join(names),
            hint="give at least one of them, or leave the table out",
        )  # fmt: skip
    return given, tuple(str(name) for name in rows.columns[rows.notna().iloc[0]] if name not in names)


def _check_fact(given: pd.Series[Any], feature: Feature) -> None:
    cleaned = clean_column(given, feature)
    for reason in cleaned.problems:
        raise DataContractError(
            f"a medical fact cannot be used: {reason.replace('_', ' ')}", where=feature.name,
            expected=cleaned.expected, got=given.iloc[0],
            hint="the unit is part of the name; leave the fact out where it is not known",
        )  # fmt: skip


def _known(frame: pd.DataFrame) -> pd.DataFrame:
    for name in map(str, frame.columns):
        if name not in FEATURE_BY_NAME:
            hint = did_you_mean(name, list(FEATURE_BY_NAME))
            raise DataContractError(f"unknown medical fact {masked(name)!r}", where="table", hint=hint)
    return frame


def _from_file(path: Path, subject: str | None) -> pd.DataFrame:
    if not table_path(path).is_file():
        raise InputError("no such file", where=f"table, {masked(path)}")
    headers = table_columns(path)
    identifier = SUBJECT if SUBJECT in headers else identifier_column(headers)
    if identifier not in (None, SUBJECT) and not set(headers) & set(FEATURE_BY_NAME):
        return _from_biobank(path, subject)
    rows = read_table(path)
    if identifier is None:
        if subject is not None:
            raise InputError("the table has no column of subjects", where="subject", hint="leave the subject out")
        return _known(rows)
    others = [name for name in KEYS if name in rows and name != identifier]
    return _known(_of_subject(rows, identifier, subject).drop(columns=[identifier, *others]))


def _from_biobank(path: Path, subject: str | None) -> pd.DataFrame:
    table = load_table(path, frozenset())
    features, _, _ = read_features(table, read_visits(table, []))
    features = _of_subject(features, SUBJECT, subject)
    imaging = features[features["visit"] == IMAGING_VISIT]
    chosen = imaging if len(imaging) else features
    return chosen.drop(columns=[SUBJECT, "visit"])


def _of_subject(rows: pd.DataFrame, identifier: str, subject: str | None) -> pd.DataFrame:
    if subject is None:
        return rows
    chosen = rows[rows[identifier].astype(str) == subject]
    if chosen.empty:
        raise InputError("no such subject in the table", where="subject")
    return chosen
