"""Clinical endpoints as a table, and the one rule that turns coded events into labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.registry import Registry

Timing = Literal["any", "prevalent", "incident"]

UNKNOWN_DATES = tuple(
    pd.Timestamp(day) for day in ("1900-01-01", "1901-01-01", "1902-02-02", "1903-03-03", "1909-09-09", "2037-07-07")
)
"""Dates by which UK Biobank says that the date is not known (codings 272 and 819)."""

LABEL_COLUMNS = ["subject", "visit", "label", "reason"]
_PREFIXED = {"icd10", "icd9", "opcs4"}


@dataclass(frozen=True)
class CodeSet:
    """Codes by coding system: prefixes for ICD and OPCS, whole codes for every other system.

    Attributes:
        codes: (system, code) pairs; dots and case of ICD and OPCS codes do not matter.
        alone: codes of the same systems beside which an event does not count ("NORM alone").
    """

    codes: tuple[tuple[str, str], ...]
    alone: tuple[tuple[str, str], ...] = ()

    @property
    def systems(self) -> frozenset[str]:
        return frozenset(system for system, _ in self.codes)

    def matches(self, system: str, code: str) -> bool:
        """Tell whether one event's code is in the set."""
        return _matches(self.codes, system, code)


@dataclass(frozen=True)
class Task:
    """One endpoint.

    Attributes:
        name: as configs and reports name it.
        kind: ``"binary"`` (the kinds to come: multilabel, regression, survival).
        metric: headline metric.
        title: for people.
        positive: events that make a label 1.
        negative: events that make it 0; None means that the absence of a positive event does.
        timing: ``"any"`` at any time; ``"prevalent"`` on the visit's day or before; ``"incident"`` after it, those with
            an earlier event excluded.
    """

    name: str
    kind: str
    metric: str
    title: str
    positive: CodeSet
    negative: CodeSet | None = None
    timing: Timing = "any"


TASKS: Registry[Task] = Registry("task")


def icd10(*prefixes: str) -> CodeSet:
    """Return the set of all ICD-10 codes that begin with one of `prefixes`."""
    return CodeSet(tuple(("icd10", _normal("icd10", prefix)) for prefix in prefixes))


def scp(code: str, *, alone_of: Iterable[str] = ()) -> CodeSet:
    """Return one SCP statement or superclass, if wanted only where none of `alone_of` is beside it."""
    return CodeSet((("scp", code),), tuple(("scp", other) for other in alone_of))


def applicable(task: Task, events: pd.DataFrame) -> bool:
    """Tell whether the data set records any of the coding systems that define the task."""
    return bool(set(events["system"].unique()) & task.positive.systems)


def label(task: Task, events: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Label every visit.

    Args:
        task: the endpoint.
        events: columns subject, visit ("" if it is about the subject), system, code, date (NaT: unknown).
        visits: columns subject, visit, date (NaT: unknown).

    Returns:
        One row a visit in the order of `visits`: subject, visit, label (1, 0 or NaN: unknown or excluded) and reason:
        ``event``, ``no_event``, ``event_after_visit``, ``event_before_visit``, ``unknown_date``,
        ``unknown_visit_date``, ``neither``, ``not_recorded``.

    Raises:
        InputError: a column is missing, or the task's kind is not binary.
    """
    _check(task, events, visits)
    result = visits[["subject", "visit"]].reset_index(drop=True)
    if not applicable(task, events):
        return result.assign(label=np.nan, reason="not_recorded")
    found = _summarise(_select(task.positive, events), visits)
    if task.timing == "any":
        labels, reasons = _any_time(task, events, visits, found)
    else:
        labels, reasons = _timed(task.timing, visits, found)
    return result.assign(label=labels, reason=reasons)


def _any_time(
    task: Task, events: pd.DataFrame, visits: pd.DataFrame, found: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    positive = found["events"].to_numpy() > 0
    if task.negative is None:
        return positive.astype(float), np.where(positive, "event", "no_event").astype(object)
    negative = _summarise(_select(task.negative, events), visits)["events"].to_numpy() > 0
    labels = np.select([positive, negative], [1.0, 0.0], np.nan)
    return labels, np.select([positive, negative], ["event", "no_event"], "neither").astype(object)


def _timed(
    timing: Timing, visits: pd.DataFrame, found: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    day = pd.to_datetime(visits["date"]).dt.normalize().reset_index(drop=True)
    first = found["first"].dt.normalize()
    none = (found["events"] == 0).to_numpy()
    before = (first <= day).to_numpy()
    conditions = [none, day.isna().to_numpy(), before, (found["unknown"] > 0).to_numpy()]
    prevalent = timing == "prevalent"
    labels = np.select(conditions, [0.0, np.nan, 1.0 if prevalent else np.nan, np.nan], 0.0 if prevalent else 1.0)
    reasons = ["no_event", "unknown_visit_date", "event_before_visit", "unknown_date"]
    return labels, np.select(conditions, reasons, "event_after_visit").astype(object)


def _select(codes: CodeSet, events: pd.DataFrame) -> pd.DataFrame:
    chosen = events[_mask(codes.codes, events)]
    if not codes.alone:
        return chosen
    others = events.loc[_mask(codes.alone, events), ["subject", "visit"]]
    beside = pd.MultiIndex.from_frame(chosen[["subject", "visit"]]).isin(pd.MultiIndex.from_frame(others))
    return chosen[~beside]


def _mask(codes: tuple[tuple[str, str], ...], events: pd.DataFrame) -> NDArray[np.bool_]:
    mask = np.zeros(len(events), dtype=bool)
    for system in sorted({system for system, _ in codes}):
        here = (events["system"] == system).to_numpy()
        known = events.loc[here, "code"].unique()
        wanted = [code for code in known if _matches(codes, system, str(code))]
        mask |= here & events["code"].isin(wanted).to_numpy()
    return mask


def _summarise(chosen: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return per visit the number of events, the number without a known date and the first known date."""
    dates = pd.to_datetime(chosen["date"])
    dates = dates.mask(dates.isin(UNKNOWN_DATES))
    table = chosen[["subject", "visit"]].assign(first=dates, unknown=dates.isna().astype(int), events=1)
    whole = table["visit"] == ""
    by_subject = _collapse(table[whole], ["subject"])
    by_visit = _collapse(table[~whole], ["subject", "visit"])
    left = visits[["subject"]].merge(by_subject, on="subject", how="left", validate="many_to_one")
    right = visits[["subject", "visit"]].merge(by_visit, on=["subject", "visit"], how="left")
    return pd.DataFrame(
        {
            "events": left["events"].fillna(0) + right["events"].fillna(0),
            "unknown": left["unknown"].fillna(0) + right["unknown"].fillna(0),
            "first": pd.concat([pd.to_datetime(left["first"]), pd.to_datetime(right["first"])], axis=1).min(axis=1),
        }
    )


def _collapse(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    grouped = table.groupby(keys, sort=False)
    return grouped.agg(first=("first", "min"), unknown=("unknown", "sum"), events=("events", "sum")).reset_index()


def _matches(codes: tuple[tuple[str, str], ...], system: str, code: str) -> bool:
    normal = _normal(system, code)
    if system in _PREFIXED:
        return any(system == s and normal.startswith(_normal(s, prefix)) for s, prefix in codes)
    return (system, normal) in codes


def _normal(system: str, code: str) -> str:
    return code.replace(".", "").strip().upper() if system in _PREFIXED else code.strip()


def _check(task: Task, events: pd.DataFrame, visits: pd.DataFrame) -> None:
    for frame, name, columns in (
        (events, "events", ["subject", "visit", "system", "code", "date"]),
        (visits, "visits", ["subject", "visit", "date"]),
    ):
        absent = [column for column in columns if column not in frame]
        if absent:
            raise InputError(f"{name} lacks columns", expected=", ".join(columns), got=f"without {', '.join(absent)}")
    if task.kind != "binary":
        raise InputError("only binary tasks are labelled by events", where=task.name, expected="binary", got=task.kind)


_INFARCTION = icd10("I21", "I22")
_CORONARY = icd10("I20", "I21", "I22", "I24", "I25")
_HEART_FAILURE = icd10("I11.0", "I13.0", "I13.2", "I25.5", "I42.0", "I42.5", "I42.8", "I42.9", "I50")
_SUPERCLASSES = {
    "norm": ("NORM", "Normal ECG"),
    "mi_superclass": ("MI", "Myocardial infarction on the ECG"),
    "sttc": ("STTC", "ST or T change"),
    "cd": ("CD", "Conduction disturbance"),
    "hyp": ("HYP", "Hypertrophy"),
}


def _add(name: str, title: str, positive: CodeSet, negative: CodeSet | None = None, *, timing: Timing = "any") -> None:
    TASKS.register(name)(Task(name, "binary", "auroc", title, positive, negative, timing))


_add("mi", "Myocardial infarction, any time", _INFARCTION)
_add("mi_prevalent", "Myocardial infarction before imaging", _INFARCTION, timing="prevalent")
_add("mi_incident", "Myocardial infarction after imaging", _INFARCTION, timing="incident")
_add("cad", "Coronary artery disease, any time", _CORONARY)
_add("af", "Atrial fibrillation or flutter, any time", icd10("I48"))
_add("hf", "Heart failure, any time", _HEART_FAILURE)
_add("stroke", "Stroke, any time", icd10("I60", "I61", "I63", "I64"))
_add("diabetes", "Diabetes mellitus, any time", icd10("E10", "E11", "E12", "E13", "E14"))
_add(
    "mi_vs_norm",
    "Myocardial infarction against a normal ECG",
    scp("MI"),
    scp("NORM", alone_of=("MI", "STTC", "CD", "HYP")),
)
for _name, (_code, _title) in _SUPERCLASSES.items():
    _add(_name, _title, scp(_code))
