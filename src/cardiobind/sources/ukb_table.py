"""A UK Biobank table in memory: its participants, the visits they attended and their features at each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.errors import RecordError
from cardiobind.formats import masked, reasons
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.formats.tables.ukb_headers import Column, columns_by_field, identifier_column
from cardiobind.modalities.features import CORE_FEATURES, FEATURE_BY_NAME, FEATURES
from cardiobind.sources.base import VISIT_COLUMNS, issue
from cardiobind.sources.ukb_events import EVENT_FIELDS
from cardiobind.sources.ukb_features import columns_of, feature_at, fields_of

VISIT_DATE = 53
IMAGING_VISITS = (2, 3)


@dataclass(frozen=True)
class UkbTable:
    """The columns wanted of a table.

    Attributes:
        frame: one row a participant, indexed by eid, sorted.
        columns: the columns of each field.
        left_out: rows of withdrawn participants and repeated rows.
        ambiguous: headers that are there more than once, with how often; none of their columns is read.
    """

    frame: pd.DataFrame
    columns: dict[int, list[Column]]
    left_out: int
    ambiguous: dict[str, int] = field(default_factory=dict)


def load_table(path: Path | None, withdrawn: frozenset[str]) -> UkbTable:
    """Read the fields that cardiobind knows; withdrawn participants are left out, as are negative eids.

    Raises:
        RecordError: the table cannot be parsed or has no participant column.
    """
    if path is None:
        return UkbTable(pd.DataFrame(index=pd.Index([], dtype=str, name="subject")), {}, 0)
    headers = table_columns(path)
    identifier = identifier_column(headers)
    if identifier is None:
        raise RecordError(reasons.BAD_TABLE, "the table has no participant column", where=masked(path), expected="eid")
    wanted, times = _wanted_fields(), Counter(headers)
    found = {f: columns for f, columns in columns_by_field(headers).items() if f in wanted}
    columns = {f: [c for c in cs if times[c.header] == 1] for f, cs in found.items()}
    ambiguous = {c.header: times[c.header] for cs in found.values() for c in cs if times[c.header] > 1}
    frame = read_table(path, [identifier, *(c.header for cs in columns.values() for c in cs)])
    eids = frame[identifier].astype(str).str.strip().str.removesuffix(".0")
    kept = ~(frame[identifier].isna() | eids.isin(withdrawn) | eids.str.startswith("-") | eids.duplicated()).to_numpy()
    frame = frame[kept].set_axis(pd.Index(eids[kept], name="subject"))
    return UkbTable(frame.sort_index(), columns, int((~kept).sum()), ambiguous)


def _wanted_fields() -> frozenset[int]:
    own = {field for feature in FEATURES for field in fields_of(feature)}
    days = {feature.ukb_date_field for feature in FEATURES if feature.ukb_date_field is not None}
    return frozenset({VISIT_DATE, *EVENT_FIELDS, *own, *days})


def read_visits(table: UkbTable, attended: Collection[tuple[str, str]]) -> pd.DataFrame:
    """Return subject, visit, date: the imaging visits that a participant attended, else the baseline visit "0".

    Args:
        table: the table.
        attended: (subject, visit) of the files found; a value measured at a visit proves it as well.
    """
    parts = []
    imaged = np.zeros(len(table.frame), dtype=bool)
    for visit in IMAGING_VISITS:
        files = np.array([(eid, str(visit)) in attended for eid in table.frame.index], dtype=bool)
        there = files | _measured(table, visit)
        parts.append(_visit_rows(table, visit, there))
        imaged |= there
    parts.append(_visit_rows(table, 0, ~imaged))
    return pd.concat(parts).sort_values(["subject", "visit"], ignore_index=True)


def read_features(table: UkbTable, visits: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
    """Return the features of all visits, the assessment each value is from (-1: missing), and the issues.

    Args:
        table: the table.
        visits: subject and visit, as `read_visits` returns them.
    """
    known = [feature for feature in FEATURES if columns_of(feature, table.columns)]
    values, sources = [], []
    problems: dict[tuple[str, str], int] = {}
    for visit, rows in visits.groupby("visit", sort=True):
        frame = table.frame.loc[rows["subject"]]
        keys = rows[["subject", "visit"]].reset_index(drop=True)
        found = {feature.name: feature_at(feature, int(str(visit)), frame, table.columns) for feature in known}
        values.append(_beside(keys, {name: one.values for name, one in found.items()}))
        sources.append(_beside(keys, {name: one.instance for name, one in found.items()}))
        for name, one in found.items():
            baseline = int((one.instance == 0).sum()) if visit != "0" else 0
            for reason, count in {**one.problems, "from_baseline_visit": baseline}.items():
                problems[(reason, name)] = problems.get((reason, name), 0) + count
    absent = [issue("absent_column", feature.name, 1) for feature in CORE_FEATURES if feature not in known]
    issues = [issue(reason, name, count) for (reason, name), count in sorted(problems.items()) if count]
    return _joined(values, known), _joined(sources, known), issues + absent


def days_after_visit(table: UkbTable, visits: pd.DataFrame, instances: pd.DataFrame) -> pd.DataFrame:
    """Return days from each visit to the day that each value is from.

    Args:
        table: the table.
        visits: subject, visit, date.
        instances: subject, visit and the assessment of each feature's value, as `read_features` returns them.

    Returns:
        subject, visit and one float column a feature, NaN where the value is missing or one of the days is unknown.
    """
    keys = instances[["subject", "visit"]]
    visit_day = keys.merge(visits, on=["subject", "visit"], how="left")["date"]
    places = table.frame.index.get_indexer(pd.Index(keys["subject"]))
    days: dict[str, pd.Series] = {}
    for feature in (FEATURE_BY_NAME[str(name)] for name in instances.columns[2:]):
        instance = instances[feature.name]
        if feature.ukb_date_field is not None:
            taken = _dates(table, feature.ukb_date_field, None).take(places).where(instance.to_numpy() >= 0)
        else:
            taken = _assessment_days(table, instance, places)
        days[feature.name] = (taken.reset_index(drop=True) - visit_day).dt.days.astype("float64")
    return pd.concat([keys, pd.DataFrame(days, index=keys.index)], axis=1)


def _assessment_days(table: UkbTable, instance: pd.Series, places: np.ndarray[Any, Any]) -> pd.Series:
    taken = pd.Series(pd.NaT, index=instance.index, dtype="datetime64[ns]")
    for number in sorted(set(instance[instance >= 0])):
        there = (instance == number).to_numpy()
        taken[there] = _dates(table, VISIT_DATE, int(number)).take(places[there]).to_numpy()
    return taken


def _beside(keys: pd.DataFrame, columns: Mapping[str, np.ndarray[Any, Any]]) -> pd.DataFrame:
    return pd.concat([keys, pd.DataFrame(dict(columns), index=keys.index)], axis=1)


def _joined(parts: list[pd.DataFrame], known: list[Any]) -> pd.DataFrame:
    if not parts:
        return pd.DataFrame(columns=["subject", "visit", *(feature.name for feature in known)])
    return pd.concat(parts).sort_values(["subject", "visit"], ignore_index=True)


def _measured(table: UkbTable, visit: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    headers = [c.header for columns in table.columns.values() for c in columns if c.instance == visit]
    return np.asarray(table.frame[headers].notna().any(axis=1), dtype=bool)


def _visit_rows(table: UkbTable, visit: int, there: np.ndarray[Any, np.dtype[np.bool_]]) -> pd.DataFrame:
    dates = _dates(table, VISIT_DATE, visit).to_numpy(dtype="datetime64[ns]")
    rows = pd.DataFrame({"subject": table.frame.index, "visit": str(visit), "date": dates})
    return rows.loc[there, VISIT_COLUMNS]


def _dates(table: UkbTable, field: int, instance: int | None) -> pd.Series:
    """Return the days of a field at one assessment, or at its first if that does not matter; NaT where unknown."""
    headers = [c.header for c in table.columns.get(field, []) if instance is None or c.instance == instance]
    text = table.frame[headers[0]] if headers else pd.Series(None, index=table.frame.index, dtype=object)
    return pd.to_datetime(text, errors="coerce", format="ISO8601").astype("datetime64[ns]")
