"""Coded events from a UK Biobank table: diagnoses, operations, causes of death, first occurrences, self-report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from cardiobind.formats.code_lists import normal_code, parse_code_list
from cardiobind.formats.ukb_headers import Column
from cardiobind.sources.base import EVENT_COLUMNS

Columns = Mapping[int, Sequence[Column]]

DATED_LISTS = ((41270, 41280, "icd10"), (41271, 41281, "icd9"), (41272, 41282, "opcs4"))
DEATH_DATE, DEATH_CAUSES = 40000, (40001, 40002)
SELF_REPORT = 20002
FIRST_OCCURRENCE = {
    131296: "I20", 131298: "I21", 131300: "I22", 131302: "I23", 131304: "I24", 131306: "I25", 131342: "I42",
    131350: "I48", 131354: "I50", 131360: "I60", 131362: "I61", 131366: "I63", 131368: "I64",
}  # fmt: skip
EVENT_FIELDS = (
    *(field for codes, dates, _ in DATED_LISTS for field in (codes, dates)),
    DEATH_DATE, *DEATH_CAUSES, SELF_REPORT, *FIRST_OCCURRENCE,
)  # fmt: skip


def read_events(frame: pd.DataFrame, subjects: pd.Series, columns: Columns) -> tuple[pd.DataFrame, int]:
    """Return all events of a table and how many dates could not be parsed.

    Args:
        frame: the table.
        subjects: (rows,) participants.
        columns: the table's columns by field.
    """
    parts = [*_dated_lists(frame, columns), *_deaths(frame, columns), *_first(frame, columns), *_self(frame, columns)]
    if not parts:
        empty = pd.DataFrame(columns=EVENT_COLUMNS, dtype=object)
        return empty.assign(date=pd.to_datetime(empty["date"])), 0
    events = pd.concat(parts, ignore_index=True)
    dates = pd.to_datetime(events["date"], errors="coerce", format="ISO8601")
    unparsed = int((dates.isna() & events["date"].notna() & (events["date"].astype(str) != "")).sum())
    events = events.assign(subject=subjects.loc[events["row"]].to_numpy(), visit="", date=dates)
    events = events[events["code"] != ""].drop_duplicates(EVENT_COLUMNS)
    return events[EVENT_COLUMNS].sort_values(EVENT_COLUMNS, ignore_index=True), unparsed


def _dated_lists(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for code_field, date_field, system in DATED_LISTS:
        codes = _entries(frame, columns.get(code_field, ()))
        if codes.empty:
            continue
        dates = _entries(frame, columns.get(date_field, ())).rename(columns={"value": "date"})
        events = codes.merge(dates, on=["row", "entry"], how="left", validate="one_to_one")
        yield events.assign(system=system, code=events["value"].map(normal_code))[["row", "system", "code", "date"]]


def _deaths(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    dates = _entries(frame, columns.get(DEATH_DATE, ())).drop_duplicates("row").rename(columns={"value": "date"})
    for field in DEATH_CAUSES:
        for column in columns.get(field, ()):
            causes = _entries(frame, (column,)).merge(dates[["row", "date"]], on="row", how="left")
            yield causes.assign(system="icd10", code=causes["value"].map(normal_code))[
                ["row", "system", "code", "date"]
            ]


def _first(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for field, code in FIRST_OCCURRENCE.items():
        found = _entries(frame, columns.get(field, ())).rename(columns={"value": "date"})
        yield found.assign(system="icd10", code=code)[["row", "system", "code", "date"]]


def _self(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for column in columns.get(SELF_REPORT, ()):
        found = _entries(frame, (column,))
        code = found["value"].astype(str).str.removesuffix(".0")
        yield found.assign(system="self_report", code=code, date=None)[["row", "system", "code", "date"]]


def _entries(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Return (row, entry, value) of an array field, from one list cell a participant or from one column an entry."""
    parts = []
    for column in columns:
        cells = frame[column.header].dropna()
        if column.array is not None:
            entry, values = np.full(len(cells), column.array), cells.astype(str).str.strip()
        else:
            values = cells.map(parse_code_list).explode().dropna()
            entry = values.groupby(level=0).cumcount().to_numpy()
        parts.append(pd.DataFrame({"row": values.index, "entry": entry, "value": values.to_numpy(dtype=object)}))
    if not parts:
        return pd.DataFrame({"row": [], "entry": [], "value": []}).astype({"row": int, "entry": int, "value": object})
    entries = pd.concat(parts, ignore_index=True)
    return entries[entries["value"] != ""].drop_duplicates(["row", "entry"]).astype({"value": object})
