"""Coded events made ready to be asked many times: codes looked up once, dates parsed once, order of rows forgotten."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.tasks.codes import APPROXIMATE, DEATH, FOLLOW_UP, CodeSet, matches, normal

UNKNOWN_DATES = tuple(
    pd.Timestamp(day) for day in ("1900-01-01", "1901-01-01", "1902-02-02", "1903-03-03", "1909-09-09", "2037-07-07")
)
"""Dates by which UK Biobank says that the date is not known (codings 272 and 819)."""
EVENT_COLUMNS = ("subject", "visit", "system", "code", "date")
VISIT_COLUMNS = ("subject", "visit", "date")
END_CODES = ("lost", "end_of_records")


class EventTable:
    """Events of all subjects, sorted by date (unknown last), system and code, so that ties never depend on row order.

    Args:
        events: columns subject, visit ("" if it is about the subject), system, code, date (NaT: unknown).

    Raises:
        InputError: a column is missing.
    """

    def __init__(self, events: pd.DataFrame) -> None:
        check_columns(events, "events", EVENT_COLUMNS)
        frame = events[["subject", "visit", "system"]].astype("str")
        frame = frame.assign(code=_normal_codes(events), day=known_days(events["date"]).to_numpy())
        self.frame = frame.drop_duplicates().sort_values(["day", "system", "code"], ignore_index=True)
        self._pair, self._pairs = _pairs(self.frame)
        self.systems: frozenset[str] = frozenset(system for system, _ in self._pairs)

    def records(self, codes: CodeSet) -> bool:
        """Tell whether any of the coding systems of `codes` is recorded at all."""
        return bool(self.systems & codes.systems)

    def select(self, codes: CodeSet) -> pd.DataFrame:
        """Return the events of a set, in order of date, without those that have one of `codes.alone` beside them."""
        chosen = self.frame[self._mask(codes.codes)]
        if not codes.alone:
            return chosen
        others = self.frame.loc[self._mask(codes.alone), ["subject", "visit"]]
        beside = pd.MultiIndex.from_frame(chosen[["subject", "visit"]]).isin(pd.MultiIndex.from_frame(others))
        return chosen[~beside]

    def ends(self) -> pd.DataFrame:
        """Return what ends follow-up: deaths, loss, end of the provider's records."""
        return self.select(CodeSet(((DEATH, "any"), *((FOLLOW_UP, code) for code in END_CODES))))

    def _mask(self, codes: tuple[tuple[str, str], ...]) -> NDArray[np.bool_]:
        wanted = {system: tuple(pair for pair in codes if pair[0] == system) for system, _ in codes}
        hit = [system in wanted and matches(wanted[system], system, code) for system, code in self._pairs]
        return np.array(hit, dtype=bool)[self._pair]


def known_days(dates: pd.Series) -> pd.Series:
    """Return the day of each date, NaT where it is unknown or one of `UNKNOWN_DATES`."""
    days = pd.to_datetime(dates).astype("datetime64[ns]").dt.normalize()
    return days.mask(days.isin(UNKNOWN_DATES))


def evidence(chosen: pd.DataFrame) -> pd.DataFrame:
    """Return for events what a label shows of them: ``system:code``, day, and whether the day is a remembered year."""
    return pd.DataFrame(
        {
            "evidence": chosen["system"] + ":" + chosen["code"],
            "evidence_date": chosen["day"],
            "approximate": chosen["system"].isin(APPROXIMATE) & chosen["day"].notna(),
        }
    )


def at_visits(chosen: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return each visit's events, in order of date: those of the subject and those of the visit itself.

    Args:
        chosen: events, as `EventTable.select` returns them.
        visits: subject, visit and ``visit_day``, indexed by place.

    Returns:
        Columns place (row of `visits`), day, visit_day, system, code.
    """
    rows = visits.rename_axis("place").reset_index()
    whole = chosen["visit"] == ""
    columns = ["place", "day", "visit_day", "system", "code"]
    about_subject = rows.merge(chosen[whole].drop(columns="visit"), on="subject")[columns]
    about_visit = rows.merge(chosen[~whole], on=["subject", "visit"])[columns]
    found = about_subject if about_visit.empty else pd.concat([about_subject, about_visit])
    return found.sort_values(["place", "day", "system", "code"], ignore_index=True)


def _pairs(frame: pd.DataFrame) -> tuple[NDArray[np.int64], list[tuple[str, str]]]:
    """Return the place of each event's (system, code) in the list of distinct ones, and that list."""
    place, distinct = pd.factorize(pd.MultiIndex.from_frame(frame[["system", "code"]].astype("str")))
    return place.astype(np.int64), [(str(system), str(code)) for system, code in distinct]


def _normal_codes(events: pd.DataFrame) -> NDArray[np.object_]:
    place, distinct = _pairs(events)
    return np.array([normal(system, code) for system, code in distinct], dtype=object)[place]


def check_columns(frame: pd.DataFrame, name: str, columns: tuple[str, ...]) -> None:
    """Refuse a frame that lacks a column.

    Raises:
        InputError: naming what it lacks.
    """
    absent = [column for column in columns if column not in frame]
    if absent:
        raise InputError(f"{name} lacks columns", expected=", ".join(columns), got=f"without {', '.join(absent)}")
