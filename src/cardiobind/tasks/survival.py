"""Time from the visit to the first event, or to the end of follow-up.

Follow-up ends at the first of death, loss (field 191) and the end of the provider's records. It must be known before
the outcome is looked at: if only those with an event or a death had a time, who is studied would depend on the outcome.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.tasks.codes import DEATH, CodeSet
from cardiobind.tasks.events import EventTable, at_visits
from cardiobind.tasks.outcome import SHOWN, Outcome, first_of, nothing, there, undated_of, where

EXCLUDED = ("unknown_visit_date", "event_before_visit", "unknown_date", "unknown_follow_up", "no_follow_up")


def survival(codes: CodeSet, events: EventTable, visits: pd.DataFrame) -> Outcome:
    """Return whether each subject had the event after the visit, and after how many days that or censoring came.

    Args:
        codes: events that count; one on the last day of follow-up does, a later one does not.
        events: of all subjects.
        visits: subject, visit and ``visit_day``.
    """
    found, ends = at_visits(events.select(codes), visits), at_visits(events.ends(), visits)
    first, end, day = first_of(found, visits), first_of(ends, visits), visits["visit_day"]
    comes = (first["day"] <= end["day"]).to_numpy()
    conditions = [
        day.isna().to_numpy(), (first["day"] <= day).to_numpy(), there(undated_of(found, visits)),
        _open_end(ends, visits), (end["day"] <= day).to_numpy(), comes, _undated_death(ends, visits),
    ]  # fmt: skip
    names = [*EXCLUDED, "event_after_visit", "unknown_date"]
    censored = "censored_" + end["code"].where(end["system"] != DEATH, "death").astype("object").fillna("")
    reasons = np.select(conditions, names, censored.to_numpy(dtype=object)).astype(object)
    excluded = np.isin(reasons.astype(str), EXCLUDED)
    event = reasons == "event_after_visit"
    days = (first["day"].where(event, end["day"]) - day).dt.days.to_numpy(dtype=np.float64)
    shown = _deciding(reasons, first, end, undated_of(pd.concat([found, ends]), visits))
    return Outcome(np.where(excluded, np.nan, event), reasons, shown, np.where(excluded, np.nan, days))


def _open_end(ends: pd.DataFrame, visits: pd.DataFrame) -> NDArray[np.bool_]:
    administrative = ends[ends["system"] != DEATH]
    return ~there(first_of(administrative, visits)) | there(undated_of(administrative, visits))


def _undated_death(ends: pd.DataFrame, visits: pd.DataFrame) -> NDArray[np.bool_]:
    return there(undated_of(ends[ends["system"] == DEATH], visits))


def _deciding(
    reasons: NDArray[np.object_], first: pd.DataFrame, end: pd.DataFrame, undated: pd.DataFrame
) -> pd.DataFrame:
    by_reason = {"event_before_visit": first, "event_after_visit": first, "unknown_date": undated, "no_follow_up": end}
    by_reason |= {reason: end for reason in set(reasons) if str(reason).startswith("censored_")}
    shown = nothing(len(first), "").shown
    for reason, frame in by_reason.items():
        shown = where(reasons == reason, frame, shown)
    return shown[SHOWN]
