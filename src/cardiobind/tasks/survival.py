"""Time from the visit to the first event, or to the end of follow-up.

Follow-up ends at the first of death, loss (field 191) and the end of the provider's records. It must be known before
the outcome is looked at: if only those with an event or a death had a time, who is studied would depend on the outcome.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.tasks.codes import DEATH, FOLLOW_UP, CodeSet, death
from cardiobind.tasks.events import END_CODES, NOBODY, EventsAtVisits
from cardiobind.tasks.outcome import Outcome, there

EXCLUDED = ("unknown_visit_date", "event_before_visit", "unknown_date", "unknown_follow_up", "no_follow_up")
ADMINISTRATIVE = CodeSet(tuple((FOLLOW_UP, code) for code in END_CODES))


def survival(codes: CodeSet, known: EventsAtVisits) -> Outcome:
    """Return whether each subject had the event after the visit, and after how many days that or censoring came.

    Args:
        codes: events that count; one on the last day of follow-up does, a later one does not.
        known: visits and the events of their subjects.
    """
    found, ends = known.select(codes), known.select(ADMINISTRATIVE | death())
    first, end, undated = known.first(found), known.first(ends), known.first_undated(found)
    first_day, end_day, day = known.days_of(first), known.days_of(end), known.visit_day
    dead_undated = known.first_undated(known.select(death()))
    conditions = [
        np.isnat(day), first_day <= day, there(undated), _open_end(known), end_day <= day, first_day <= end_day,
        there(dead_undated),
    ]  # fmt: skip
    names = [*EXCLUDED, "event_after_visit", "unknown_date"]
    reasons = np.select(conditions, names, _censored(known, end)).astype(object)
    excluded = np.isin(reasons.astype(str), EXCLUDED)
    event = reasons == "event_after_visit"
    time = (np.where(event, first_day, end_day) - day) / np.timedelta64(1, "D")
    shown = _deciding(reasons, first, end, np.where(there(undated), undated, dead_undated))
    return Outcome(np.where(excluded, np.nan, event), reasons, shown, np.where(excluded, np.nan, time))


def _open_end(known: EventsAtVisits) -> NDArray[np.bool_]:
    administrative = known.select(ADMINISTRATIVE)
    return ~there(known.first(administrative)) | there(known.first_undated(administrative))


def _censored(known: EventsAtVisits, end: NDArray[np.int64]) -> NDArray[np.object_]:
    codes = known.events.frame["code"].to_numpy(dtype=object)
    words = "censored_" + np.where(known.system == DEATH, "death", codes).astype(object)
    return np.append(words, np.array(["censored_"], dtype=object))[end]


def _deciding(
    reasons: NDArray[np.object_], first: NDArray[np.int64], end: NDArray[np.int64], undated: NDArray[np.int64]
) -> NDArray[np.int64]:
    by_event = np.isin(reasons.astype(str), ("event_before_visit", "event_after_visit"))
    by_end = (reasons == "no_follow_up") | np.char.startswith(reasons.astype(str), "censored_")
    return np.select([by_event, by_end, reasons == "unknown_date"], [first, end, undated], NOBODY)
