"""The one rule that turns coded events into labels, and what each label rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cardiobind.errors import InputError
from cardiobind.tasks.events import EventsAtVisits, EventTable
from cardiobind.tasks.outcome import Outcome, nothing, there
from cardiobind.tasks.survival import survival
from cardiobind.tasks.task import Task

LABEL_COLUMNS = ["subject", "visit", "label", "reason", "time_days", "evidence", "evidence_date", "approximate"]
LABELLED_KINDS = ("binary", "survival", "regression")
REASONS = {
    "event": "an event, whatever its date",
    "no_event": "no event is recorded",
    "event_after_visit": "the first event is after the visit",
    "event_before_visit": "an event on the visit's day or before",
    "unknown_date": "an event whose date is not known, or a death whose date is not known",
    "unknown_visit_date": "an event, but the date of the visit is not known",
    "neither": "neither a positive nor a negative event",
    "not_recorded": "the data set records none of the coding systems",
    "unknown_follow_up": "until when events would have been recorded is not known",
    "no_follow_up": "follow-up ends on the visit's day or before",
    "censored_death": "no event until death",
    "censored_lost": "no event until lost to follow-up",
    "censored_end_of_records": "no event until the end of the provider's records",
    "measured": "a value of the table",
    "not_measured": "the table has no value",
    "not_in_table": "the subject has no row in the table of the data set, so that nothing is known",
}
"""Why a subject has its label, or none."""


def applicable(task: Task, events: pd.DataFrame | EventTable, table: pd.DataFrame | None = None) -> bool:
    """Tell whether the data set records what defines the task: one of its coding systems, or its column."""
    if task.kind == "regression":
        return table is not None and task.column in table and bool(table[task.column].notna().any())
    if isinstance(events, EventTable):
        return events.records(task.positive)
    return bool(set(events["system"].unique()) & task.positive.systems)


def label(
    task: Task, events: pd.DataFrame | EventTable, visits: pd.DataFrame, table: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Label every visit.

    Args:
        task: the endpoint, binary, survival or regression.
        events: columns subject, visit ("" if it is about the subject), system, code, date (NaT: unknown).
        visits: columns subject, visit, date (NaT: unknown).
        table: subject, visit and the measured columns, for regression.

    Returns:
        One row a visit in the order of `visits`: subject, visit, label (1, 0 or NaN: unknown or excluded; for survival
        whether the event came; for regression the value), reason (see `REASONS`), time_days (survival: from the visit
        to the first event or the end of follow-up, else NaN), and what decided: evidence (``system:code``),
        evidence_date, approximate (the date is a remembered year).

    Raises:
        InputError: a column is missing, or the task's labels are those of its members.
    """
    return label_all([task], events, visits, table).drop(columns="task")


def label_all(
    tasks: Sequence[Task], events: pd.DataFrame | EventTable, visits: pd.DataFrame, table: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Label every visit for several endpoints, one after the other; events are joined to visits once.

    Args:
        tasks: the endpoints, as for `label`.
        events: as for `label`.
        visits: as for `label`.
        table: as for `label`.

    Returns:
        The columns of `label` and ``task``, the rows of one task below those of another.

    Raises:
        InputError: as for `label`.
    """
    known = EventsAtVisits(events if isinstance(events, EventTable) else EventTable(events), visits)
    parts = [_labelled(task, known, table) for task in tasks]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*LABEL_COLUMNS, "task"])


def _labelled(task: Task, known: EventsAtVisits, table: pd.DataFrame | None) -> pd.DataFrame:
    if task.kind not in LABELLED_KINDS:
        hint = "the labels of a multilabel task are those of its binary members" if task.members else None
        raise InputError(
            "no rule labels this kind of task", where=task.name, expected=" | ".join(LABELLED_KINDS), got=task.kind,
            hint=hint,
        )  # fmt: skip
    outcome = _outcome(task, known, table)
    found = known.visits.assign(
        label=outcome.label, reason=pd.Series(outcome.reason, dtype="str"),
        time_days=np.nan if outcome.time_days is None else outcome.time_days, task=task.name,
    )  # fmt: skip
    shown = known.evidence(outcome.shown)
    if task.kind == "regression":
        shown["evidence"] = shown["evidence"].mask(outcome.reason == "measured", f"table:{task.column}")
    return pd.concat([found, shown], axis=1)[[*LABEL_COLUMNS, "task"]]


def _outcome(task: Task, known: EventsAtVisits, table: pd.DataFrame | None) -> Outcome:
    if not applicable(task, known.events, table):
        return nothing(len(known.visits), "not_recorded")
    if task.kind == "regression" and table is not None:
        return _measured(task, known.visits, table)
    if task.kind == "survival":
        return survival(task.positive, known)
    return _any_time(task, known) if task.timing == "any" else _timed(task, known)


def _any_time(task: Task, known: EventsAtVisits) -> Outcome:
    found = known.first(known.select(task.positive))
    positive = there(found)
    if task.negative is None:
        return Outcome(positive.astype(float), np.where(positive, "event", "no_event").astype(object), found)
    other = known.first(known.select(task.negative))
    labels = np.select([positive, there(other)], [1.0, 0.0], np.nan)
    reasons = np.select([positive, there(other)], ["event", "no_event"], "neither").astype(object)
    return Outcome(labels, reasons, np.where(positive, found, other))


def _timed(task: Task, known: EventsAtVisits) -> Outcome:
    found = known.select(task.positive)
    first, undated, day = known.first(found), known.first_undated(found), known.visit_day
    conditions = [~there(first), np.isnat(day), known.days_of(first) <= day, there(undated)]
    prevalent = task.timing == "prevalent"
    labels = np.select(conditions, [0.0, np.nan, 1.0 if prevalent else np.nan, np.nan], 0.0 if prevalent else 1.0)
    names = ["no_event", "unknown_visit_date", "event_before_visit", "unknown_date"]
    reasons = np.select(conditions, names, "event_after_visit").astype(object)
    return Outcome(labels, reasons, np.where(reasons == "unknown_date", undated, first))


def _measured(task: Task, visits: pd.DataFrame, table: pd.DataFrame) -> Outcome:
    values = table[["subject", "visit", task.column]].astype({"subject": "str", "visit": "str"})
    found = visits.merge(values.drop_duplicates(["subject", "visit"]), on=["subject", "visit"], how="left")
    value = found[task.column].to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(value)
    reasons = np.where(known, "measured", "not_measured").astype(object)
    return Outcome(np.where(known, value, np.nan), reasons, nothing(len(visits), "not_measured").shown)
