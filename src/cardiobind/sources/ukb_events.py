"""Coded events from a UK Biobank table: diagnoses, operations, deaths, first occurrences, outcomes, self-report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from cardiobind.formats.tables.code_lists import normal_code
from cardiobind.sources.base import EVENT_COLUMNS
from cardiobind.sources.ukb_entries import Columns, entries
from cardiobind.sources.ukb_event_fields import (
    ALGORITHMIC,
    DEATH_CAUSES,
    DEATH_DATE,
    EVENT_FIELDS,
    FIRST_OCCURRENCE,
    LISTS,
)
from cardiobind.sources.ukb_follow_up import follow_up
from cardiobind.sources.ukb_self_report import self_reports

__all__ = ["EVENT_FIELDS", "read_events"]

_EVENT = ["row", "system", "code", "date"]


def read_events(
    frame: pd.DataFrame, subjects: pd.Series, columns: Columns, ends: Mapping[str, pd.Timestamp] | None = None
) -> tuple[pd.DataFrame, int]:
    """Return all events of a table and how many dates could not be parsed.

    Args:
        frame: the table.
        subjects: (rows,) participants.
        columns: the table's columns by field.
        ends: of the providers' records, by country.
    """
    readers = (_hospital, _deaths, _first_occurrences, _outcomes, self_reports)
    parts = [part for reader in readers for part in reader(frame, columns)]
    parts = [part for part in [*parts, follow_up(frame, columns, ends or {})] if len(part)]
    if not parts:
        empty = pd.DataFrame(columns=EVENT_COLUMNS, dtype=object)
        return empty.assign(date=pd.to_datetime(empty["date"])), 0
    events = pd.concat(parts, ignore_index=True)
    dates = pd.to_datetime(events["date"], errors="coerce", format="ISO8601")
    unparsed = int((dates.isna() & events["date"].notna() & (events["date"].astype(str) != "")).sum())
    events = events.assign(subject=subjects.loc[events["row"]].to_numpy(), visit="", date=dates)
    events = events[events["code"] != ""].drop_duplicates(EVENT_COLUMNS)
    return events[EVENT_COLUMNS].sort_values(EVENT_COLUMNS, ignore_index=True), unparsed


def _hospital(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for system, whole, parts in LISTS:
        chosen = whole if any(columns.get(field) for field, _ in whole) else parts
        for code_field, date_field in chosen:
            codes = entries(frame, columns.get(code_field, ()))
            dates = entries(frame, columns.get(date_field, ()) if date_field else ())
            dates = dates.rename(columns={"value": "date"})
            events = codes.merge(dates, on=["row", "entry"], how="left", validate="one_to_one")
            yield events.assign(system=system, code=events["value"].map(normal_code))[_EVENT]


def _deaths(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    """Yield each cause, and the death itself; a cause without a date is a death whose date is not known."""
    dates = entries(frame, columns.get(DEATH_DATE, ())).drop_duplicates("row").rename(columns={"value": "date"})
    parts = [entries(frame, (column,)) for field in DEATH_CAUSES for column in columns.get(field, ())]
    causes = pd.concat([entries(frame, ()), *parts], ignore_index=True)
    causes = causes.merge(dates[["row", "date"]], on="row", how="left")
    yield causes.assign(system="icd10", code=causes["value"].map(normal_code))[_EVENT]
    dead = pd.concat([dates[["row", "date"]], causes[["row", "date"]]], ignore_index=True).drop_duplicates("row")
    yield dead.assign(system="death", code="any")[_EVENT]


def _first_occurrences(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for field, code in FIRST_OCCURRENCE.items():
        found = entries(frame, columns.get(field, ())).rename(columns={"value": "date"})
        yield found.assign(system="icd10", code=code)[_EVENT]


def _outcomes(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    for field in ALGORITHMIC:
        found = entries(frame, columns.get(field, ())).rename(columns={"value": "date"})
        yield found.assign(system="ukb_algorithm", code=str(field))[_EVENT]
