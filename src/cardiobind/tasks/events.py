"""Coded events made ready to be asked many times: codes looked up, dates parsed and events joined to visits once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.tasks.codes import APPROXIMATE, CodeSet, matches, normal

UNKNOWN_DATES = tuple(
    pd.Timestamp(day) for day in ("1900-01-01", "1901-01-01", "1902-02-02", "1903-03-03", "1909-09-09", "2037-07-07")
)
"""Dates by which UK Biobank says that the date is not known (codings 272 and 819)."""
EVENT_COLUMNS = ("subject", "visit", "system", "code", "date")
VISIT_COLUMNS = ("subject", "visit", "date")
END_CODES = ("lost", "end_of_records")
NOBODY = -1


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
        self._whom = pd.factorize(pd.MultiIndex.from_frame(self.frame[["subject", "visit"]]))[0]
        self.systems: frozenset[str] = frozenset(system for system, _ in self._pairs)

    def records(self, codes: CodeSet) -> bool:
        """Tell whether any of the coding systems of `codes` is recorded at all."""
        return bool(self.systems & codes.systems)

    def select(self, codes: CodeSet) -> NDArray[np.bool_]:
        """Return (events,) which are of a set, without those that have one of `codes.alone` beside them."""
        chosen = self._mask(codes.codes)
        return chosen & ~np.isin(self._whom, self._whom[self._mask(codes.alone)]) if codes.alone else chosen

    def _mask(self, codes: tuple[tuple[str, str], ...]) -> NDArray[np.bool_]:
        wanted = {system: tuple(pair for pair in codes if pair[0] == system) for system, _ in codes}
        hit = [system in wanted and matches(wanted[system], system, code) for system, code in self._pairs]
        return np.array(hit, dtype=bool)[self._pair]


@dataclass(frozen=True)
class Chosen:
    """Some of the events at each visit, in order of visit and date (unknown last).

    Attributes:
        place: (pairs,) row of the visit.
        event: (pairs,) row of the event in `EventTable.frame`.
    """

    place: NDArray[np.int64]
    event: NDArray[np.int64]

    def of(self, mask: NDArray[np.bool_]) -> Chosen:
        """Return those of the events of `mask`, (events,)."""
        kept = mask[self.event]
        return Chosen(self.place[kept], self.event[kept])


class EventsAtVisits:
    """The events that tell of each visit: those of the subject and those of the visit itself.

    Args:
        events: of all subjects.
        visits: columns subject, visit, date (NaT: unknown).

    Raises:
        InputError: a column is missing.
    """

    def __init__(self, events: EventTable, visits: pd.DataFrame) -> None:
        check_columns(visits, "visits", VISIT_COLUMNS)
        self.events = events
        self.visits = visits[["subject", "visit"]].astype("str").reset_index(drop=True)
        self.visit_day = known_days(visits["date"]).to_numpy(dtype="datetime64[ns]")
        self.day = events.frame["day"].to_numpy(dtype="datetime64[ns]")
        self.system = events.frame["system"].to_numpy(dtype=object)
        self.dated = ~np.isnat(self.day)
        self._all = _joined(events.frame, self.visits)

    def select(self, codes: CodeSet) -> Chosen:
        """Return the events of a set at each visit."""
        return self._all.of(self.events.select(codes))

    def first(self, chosen: Chosen) -> NDArray[np.int64]:
        """Return (visits,) row of each visit's first event, `NOBODY` where it has none."""
        rows = np.full(len(self.visits), NOBODY)
        rows[chosen.place[::-1]] = chosen.event[::-1]
        return rows

    def first_undated(self, chosen: Chosen) -> NDArray[np.int64]:
        """Return the same of each visit's first event without a known date."""
        return self.first(chosen.of(~self.dated))

    def days_of(self, rows: NDArray[np.int64]) -> NDArray[np.datetime64]:
        """Return (visits,) day of each visit's event, NaT where it has none or its date is not known."""
        return np.append(self.day, np.datetime64("NaT"))[rows]

    def evidence(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        """Return what a label shows of the events that decided: ``system:code``, day, whether it is remembered."""
        words = self.system + ":" + self.events.frame["code"].to_numpy(dtype=object)
        days = self.days_of(rows)
        remembered = np.append(np.isin(self.system.astype(str), tuple(APPROXIMATE)), False)[rows]
        return pd.DataFrame(
            {
                "evidence": pd.Series(np.append(words, np.array([np.nan], dtype=object))[rows], dtype="str"),
                "evidence_date": days,
                "approximate": remembered & ~np.isnat(days),
            }
        )


def known_days(dates: pd.Series) -> pd.Series:
    """Return the day of each date, NaT where it is unknown or one of `UNKNOWN_DATES`."""
    days = pd.to_datetime(dates).astype("datetime64[ns]").dt.normalize()
    return days.mask(days.isin(UNKNOWN_DATES))


def _joined(frame: pd.DataFrame, visits: pd.DataFrame) -> Chosen:
    events = frame[["subject", "visit"]].assign(event=np.arange(len(frame)))
    rows = visits.assign(place=np.arange(len(visits)))
    whole = events["visit"] == ""
    about = [
        rows.merge(events[whole].drop(columns="visit"), on="subject"),
        rows.merge(events[~whole], on=["subject", "visit"]),
    ]
    place, event = (
        np.concatenate([found[name].to_numpy(dtype=np.int64) for found in about]) for name in ("place", "event")
    )
    order = np.lexsort((event, place))
    return Chosen(place[order], event[order])


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
