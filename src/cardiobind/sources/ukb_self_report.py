"""What participants said of themselves: illnesses and operations, dated to the year they remembered.

A date from an interpolated year or from an age at diagnosis is never after the assessment at which it was told.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from cardiobind.sources.ukb_entries import Columns, at_instance, codes_of, entries, first_values
from cardiobind.sources.ukb_event_fields import (
    INTERVIEW,
    LABELS,
    MONTH_OF_BIRTH,
    TOUCHSCREEN,
    VISIT_DATE,
    YEAR_OF_BIRTH,
)

_EVENT = ["row", "system", "code", "date"]
EARLIEST_YEAR = 1900
MIDDLE = 0.5


def self_reports(frame: pd.DataFrame, columns: Columns) -> Iterator[pd.DataFrame]:
    """Yield row, system, code, date (text, missing where no year or age was given) of each assessment's answers."""
    for codes, years, system in INTERVIEW:
        for instance in sorted({c.instance for c in columns.get(codes, ())}, key=lambda i: i or 0):
            said = entries(frame, at_instance(columns[codes], instance))
            when = entries(frame, at_instance(columns.get(years, ()), instance)).rename(columns={"value": "year"})
            found = said.merge(when, on=["row", "entry"], how="left")
            found = found.assign(system=system, code=codes_of(found["value"], LABELS[codes]))
            year = pd.to_numeric(found["year"], errors="coerce").to_numpy(dtype=float)
            yield _dated(found, year, frame, columns, instance)
    birth = _birth(frame, columns)
    for question, ages in TOUCHSCREEN.items():
        for instance in sorted({c.instance for c in columns.get(question, ())}, key=lambda i: i or 0):
            said = entries(frame, at_instance(columns[question], instance))
            said = said.assign(answer=codes_of(said["value"], LABELS[question]))
            for answer, age_field in ages.items():
                found = said[said["answer"] == answer].assign(system="touchscreen", code=f"{question}:{answer}")
                age = pd.to_numeric(first_values(frame, at_instance(columns.get(age_field, ()), instance)), "coerce")
                years_old = age.where(age >= 0).reindex(found["row"]).to_numpy(dtype=float)
                born = birth.reindex(found["row"]).to_numpy(dtype=float)
                yield _dated(found, born + years_old + MIDDLE, frame, columns, instance)


def calendar_days(years: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pd.Series:
    """Return the day of each decimal year: 2005.5 is the middle of 2005; before 1900, or a code for unknown, NaT."""
    known = np.isfinite(years) & (years >= EARLIEST_YEAR) & (years < 2100)
    whole = np.where(known, np.floor(years), EARLIEST_YEAR).astype(int)
    start = (whole - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    length = ((whole - 1969).astype("datetime64[Y]").astype("datetime64[D]") - start).astype(int)
    passed = np.floor(np.where(known, years - whole, 0.0) * length).astype("timedelta64[D]")
    return pd.Series((start + passed).astype("datetime64[ns]")).where(known)


def _dated(
    found: pd.DataFrame, years: np.ndarray[tuple[int], np.dtype[np.float64]], frame: pd.DataFrame, columns: Columns,
    instance: int | None,
) -> pd.DataFrame:  # fmt: skip
    told = first_values(frame, at_instance(columns.get(VISIT_DATE, ()), instance)).reindex(found["row"])
    latest = pd.to_datetime(told, errors="coerce", format="ISO8601").reset_index(drop=True)
    days = calendar_days(years)
    days = days.where(~(days > latest), latest)
    events = found.assign(date=days.dt.strftime("%Y-%m-%d").to_numpy(dtype=object))
    return events.loc[~events["code"].str.startswith("-"), _EVENT]


def _birth(frame: pd.DataFrame, columns: Columns) -> pd.Series:
    """Return each row's birth as a decimal year: the middle of the month, or of the year where no month is known."""
    year = pd.to_numeric(first_values(frame, columns.get(YEAR_OF_BIRTH, ())), errors="coerce")
    words = codes_of(first_values(frame, columns.get(MONTH_OF_BIRTH, ())), LABELS[MONTH_OF_BIRTH])
    month = pd.to_numeric(words, errors="coerce").reindex(year.index)
    return year + ((month - MIDDLE) / 12).fillna(MIDDLE)
