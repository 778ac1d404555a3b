"""The medical facts of one subject, from a file of any header style or from a mapping."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import DataContractError, InputError
from cardiobind.formats import masked
from cardiobind.formats.other_kinds import refuse_signal
from cardiobind.formats.tables.table_file import read_table, table_columns, table_path
from cardiobind.formats.tables.ukb_headers import identifier_column
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature
from cardiobind.modalities.tabular.cleaning import clean_cell, clean_column, is_missing
from cardiobind.modalities.tabular.units import OTHER_UNITS
from cardiobind.sources.ukb_table import load_table, read_features, read_visits

IMAGING_VISIT = "2"
SUBJECT = "subject"
KEYS = (SUBJECT, "visit", "date", "fold")


MOST_NAMED = 5


def read_facts(
    table: Path | str | Mapping[str, Any] | pd.DataFrame, names: Sequence[str], subject: str | None, *,
    ignore_unknown: bool = False,
) -> tuple[dict[str, Any], tuple[str, ...]]:  # fmt: skip
    """Return the facts `names`, NaN where not given, and the names of those given beside them.

    Args:
        table: a CSV or Parquet file with UK Biobank headers or canonical names, or facts by canonical name.
        names: facts the network uses.
        subject: which participant of a file that has several.
        ignore_unknown: go on without columns that are no fact.

    Raises:
        InputError: there is no such file or subject, not exactly one row to take, or none of the columns in it.
        DataContractError: a fact has a name that is not known or a value that it cannot have, or all are missing.
        RecordError: the file cannot be read.
    """
    row = _row(table, subject, ignore_unknown=ignore_unknown)
    if not set(names) & set(row):
        raise InputError("the table has none of the facts that the network uses", where="table", expected=list(names))
    given = {name: row.get(name, math.nan) for name in names}
    for name, value in given.items():
        if clean_cell(value, FEATURE_BY_NAME[name]) is None:
            _check_fact(pd.Series([value]), FEATURE_BY_NAME[name])
    if all(map(is_missing, given.values())):
        raise DataContractError(
            "no fact given: all that the network uses are missing", where="table", expected=", ".join(names),
            hint="give at least one of them, or leave the table out",
        )  # fmt: skip
    return given, tuple(name for name, value in row.items() if name not in given and not is_missing(value))


def _row(
    table: Path | str | Mapping[str, Any] | pd.DataFrame, subject: str | None, *, ignore_unknown: bool
) -> Mapping[str, Any]:  # fmt: skip
    if isinstance(table, Mapping):
        kept = _known_names(list(table), ignore_unknown=ignore_unknown)
        return {str(name): table[name] for name in kept}
    if isinstance(table, pd.DataFrame):
        rows = _known(table, ignore_unknown=ignore_unknown)
    else:
        rows = FactsTable(table, ignore_unknown=ignore_unknown).of(subject)
    check_one_row(len(rows))
    if not rows.columns.is_unique:
        twice = sorted(set(rows.columns[rows.columns.duplicated()]))
        raise DataContractError("a medical fact is there more than once", where="table", got=", ".join(twice))
    return records(rows)[0]


def check_one_row(rows: int) -> None:
    """Refuse facts of several subjects, or of none.

    Raises:
        InputError: there is not exactly one row.
    """
    if rows != 1:
        raise InputError(
            "exactly one row of the table is needed", where="table", expected=1, got=rows,
            hint="give a table of one row, or name the subject",
        )  # fmt: skip


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the facts of each row by canonical name."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _check_fact(given: pd.Series[Any], feature: Feature) -> None:
    cleaned = clean_column(given, feature)
    for reason in cleaned.problems:
        raise DataContractError(
            f"a medical fact cannot be used: {reason.replace('_', ' ')}", where=feature.name,
            expected=cleaned.expected, got=given.iloc[0],
            hint=_converted(given.iloc[0], feature)
            or "the unit is part of the name; leave the fact out where it is not known",
        )  # fmt: skip


def _converted(value: Any, feature: Feature) -> str | None:
    """Return how an impossible number becomes possible from another unit, without the number; None if from none."""
    try:
        units = [u for u in OTHER_UNITS.get(feature.name, ()) if feature.low <= u(float(value)) <= feature.high]
    except (TypeError, ValueError, OverflowError):
        return None
    ways = " or ".join(f"from {u.unit} (x {u.factor:.6g}{f' {u.offset:+.4g}' if u.offset else ''})" for u in units)
    return f"the unit is part of the name, and this number is possible if converted {ways}" if ways else None


def unknown_columns(names: Sequence[str], known: Sequence[str]) -> tuple[str, str]:
    """Return, in words, columns that are not known and what to do: the nearest known names, or the word that ignores.

    Args:
        names: that are not known; what may identify a participant is masked.
        known: names that would be.
    """
    shown = [repr(masked(name)) for name in names[:MOST_NAMED]]
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    near = [get_close_matches(name, known, n=1, cutoff=0.5) for name in names[:MOST_NAMED]]
    means = [f"{found[0]!r} for {said}?" for found, said in zip(near, shown, strict=True) if found]
    hint = [f"did you mean {' '.join(means)}"] if means else []
    return ", ".join([*shown, *more]), "; ".join([*hint, "--ignore-unknown goes on without them"])


def _known(frame: pd.DataFrame, *, ignore_unknown: bool = False) -> pd.DataFrame:
    kept = _known_names(list(frame.columns), ignore_unknown=ignore_unknown)
    return frame if len(kept) == frame.shape[1] else frame[kept]


def _known_names(names: Sequence[object], *, ignore_unknown: bool) -> list[Any]:
    unknown = [str(name) for name in names if str(name) not in FEATURE_BY_NAME]
    if unknown and not ignore_unknown:
        told, hint = unknown_columns(unknown, list(FEATURE_BY_NAME))
        raise DataContractError(f"unknown medical fact {told}", where="table", hint=hint)
    return [name for name in names if str(name) in FEATURE_BY_NAME]


class FactsTable:
    """A table of several subjects, read once.

    Args:
        location: a CSV, Parquet or Excel file with UK Biobank headers or canonical names.
        ignore_unknown: go on without columns that are no fact.

    Attributes:
        keyed: whether a column names the subjects.
        left_out: columns that are no fact.

    Raises:
        InputError: there is no such file.
        DataContractError: a column has a name that nobody knows.
        RecordError: the file cannot be read.
    """

    def __init__(self, location: Path | str, *, ignore_unknown: bool = False) -> None:
        path = Path(location)
        if not table_path(path).is_file():
            what = "a folder where one table is read" if path.is_dir() else "no such file"
            raise InputError(what, where=f"table, {masked(path)}")
        refuse_signal(str(path))
        headers = table_columns(path)
        identifier = SUBJECT if SUBJECT in headers else identifier_column(headers)
        biobank = identifier not in (None, SUBJECT) and not set(headers) & set(FEATURE_BY_NAME)
        rows = _of_biobank(path) if biobank else read_table(path)
        identifier = SUBJECT if biobank else identifier
        self.keyed = identifier is not None
        self._names = None if identifier is None else rows[identifier].astype(str)
        self._visits = rows["visit"].astype(str).to_numpy() if self.keyed and "visit" in rows else None
        keys = [] if identifier is None else [identifier, *(k for k in KEYS if k in rows and k != identifier)]
        facts = rows.drop(columns=keys)
        self._facts = facts if biobank else _known(facts, ignore_unknown=ignore_unknown)
        self.left_out = facts.shape[1] - self._facts.shape[1]
        self._by_visit = not biobank

    @cached_property
    def _places(self) -> Mapping[str, NDArray[np.intp]]:
        found: dict[str, list[int]] = {}
        for place, name in enumerate([] if self._names is None else self._names.tolist()):
            found.setdefault(name, []).append(place)
        return {name: np.array(places, dtype=np.intp) for name, places in found.items()}

    def __contains__(self, subject: str) -> bool:
        """Tell whether the table has the subject.

        Raises:
            InputError: no column names the subjects.
        """
        if not self.keyed:
            raise InputError("the table has no column of subjects", where="subject", hint="leave the subject out")
        return subject in self._places

    def of(self, subject: str | None, visit: str | None = None) -> pd.DataFrame:
        """Return the facts of one subject; of UK Biobank's visits, where none is asked for, the imaging visit if any.

        Args:
            subject: as in the table; None for all rows.
            visit: as in the table; one that the subject has not attended has no rows. None for all of the subject's.

        Raises:
            InputError: there is no such subject, or no column of subjects.
        """
        return self._facts.iloc[self._of(subject, visit)]

    def rows_of(self, subject: str, visit: str | None = None) -> list[dict[str, Any]]:
        """Return the facts of each row of one subject by canonical name; arguments and errors are those of `of`."""
        return [self._records[place] for place in self._of(subject, visit).tolist()]

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        return records(self._facts)

    def _of(self, subject: str | None, visit: str | None) -> NDArray[np.intp]:
        if subject is None:
            places: NDArray[np.intp] = np.arange(len(self._facts))
        elif subject not in self:
            raise InputError("no such subject in the table", where="subject")
        else:
            places = self._places[subject]
        if self._visits is not None:
            places = self._of_visit(places, self._visits[places], visit)
        return places

    def _of_visit(self, places: NDArray[np.intp], visits: NDArray[Any], visit: str | None) -> NDArray[np.intp]:
        if visit is None and self._by_visit:
            return places
        there: NDArray[np.intp] = places[visits == (visit or IMAGING_VISIT)]
        return there if visit is not None or len(there) else places


def _of_biobank(path: Path) -> pd.DataFrame:
    table = load_table(path, frozenset())
    features, _, _ = read_features(table, read_visits(table, []))
    return features
