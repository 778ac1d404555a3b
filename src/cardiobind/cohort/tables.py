"""The table of a cohort made safe, its samples, and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.errors import InputError
from cardiobind.modalities.features import FEATURES
from cardiobind.modalities.tabular.cleaning import clean_table
from cardiobind.tasks import TASKS, EventTable, applicable
from cardiobind.tasks.labelling import label_all

KEYS = ["subject", "visit"]
DUPLICATE_ROW = "duplicate_record"
NO_VALUES = "no_values"
NO_SUBJECT = "no_subject"
_TEXT_KEYS = dict.fromkeys(KEYS, "str")
LABEL_DTYPES = {
    "subject": "str", "visit": "str", "task": "str", "label": "float64", "reason": "str", "time_days": "float64",
    "evidence": "str", "evidence_date": "datetime64[ns]", "approximate": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class TidyTable:
    """A table whose every value is missing or plausible and whose every row is a visit.

    Attributes:
        rows: subject, visit and known features, sorted; numbers and flags float64, categories labels.
        quarantine: subject, visit, modality ("tabular"), reason, detail.
        issues: values set to missing: reason, column, count, expected.
        read: number of rows there were.
    """

    rows: pd.DataFrame
    quarantine: pd.DataFrame
    issues: list[dict[str, Any]]
    read: int


def tidy_table(raw: pd.DataFrame) -> TidyTable:
    """Set implausible values to missing and take out rows that cannot be used; both are listed, none is silent.

    Args:
        raw: subject, visit and any of the known features; other columns are left out.

    Raises:
        InputError: there is no subject or visit column.
    """
    if not set(KEYS) <= set(raw.columns):
        raise InputError("the table has no key", expected=KEYS, got=list(raw.columns)[:10])
    names = [f.name for f in FEATURES if f.name in raw.columns]
    cleaned, problems = clean_table(raw[[*KEYS, *names]])
    reasons = _row_reasons(cleaned)
    rejected = cleaned.loc[reasons != "", KEYS].assign(modality="tabular", reason=reasons[reasons != ""], detail="")
    rows = cleaned[reasons == ""].astype(_TEXT_KEYS).sort_values(KEYS, ignore_index=True)
    issues = [
        {"reason": str(p.reason), "column": str(p.column), "count": int(p.count), "expected": str(p.expected)}
        for p in _rows(problems)
    ]
    return TidyTable(rows, rejected.fillna("").astype("str"), issues, len(raw))


def make_samples(index: pd.DataFrame, table: pd.DataFrame, raw: pd.DataFrame) -> pd.DataFrame:
    """Join the modalities: one row a (subject, visit) that has at least one, sorted.

    Args:
        index: subject, visit, modality and `position` (row within all shards of the modality).
        table: tidy table.
        raw: raw table, for the official ``fold`` where it has one.

    Returns:
        subject, visit, one column a modality (row there, or -1) and fold (NaN where there is none).
    """
    rows = table[KEYS].assign(modality="tabular", position=np.arange(len(table)))
    every = pd.concat([index[[*KEYS, "modality", "position"]], rows]).astype(_TEXT_KEYS)
    wide = every.pivot(index=KEYS, columns="modality", values="position")
    wide = wide.reindex(columns=["ecg", "cmr", "tabular"]).astype("float64").fillna(-1).astype("int64").sort_index()
    samples = wide.rename_axis(columns=None).reset_index().astype(_TEXT_KEYS)
    return samples.assign(fold=_fold_of(samples, raw))


def make_labels(
    samples: pd.DataFrame, events: pd.DataFrame, visits: pd.DataFrame, table: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Label every sample for every endpoint that the data set records.

    Args:
        samples: subject and visit of each sample.
        events: coded diagnoses, as `Source.events`.
        visits: dates of visits, as `Source.visits`; nothing is known of a sample that is not among them, so that it has
            no label: a file without a row in the table is not a healthy subject.
        table: tidy table, for the endpoints that are a column of it.

    Returns:
        subject, visit, task, label (NaN where unknown or excluded), reason, time_days (survival), and what decided:
        evidence, evidence_date, approximate; tasks in the order of the registry. A multilabel task has no rows of its
        own: its labels are those of its members.
    """
    known = EventTable(events)
    dated = samples[KEYS].merge(visits.astype(_TEXT_KEYS).drop_duplicates(KEYS), on=KEYS, how="left")
    tasks = [task for task in map(TASKS.get, TASKS) if applicable(task, known, table)]
    every = _without_unknown(label_all(tasks, known, dated, table)[list(LABEL_DTYPES)], visits)
    return every.fillna({"reason": "", "evidence": ""}).astype(LABEL_DTYPES)


def _without_unknown(labels: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    known = pd.MultiIndex.from_frame(visits[KEYS].astype(_TEXT_KEYS))
    unknown = ~pd.MultiIndex.from_frame(labels[KEYS].astype(_TEXT_KEYS)).isin(known)
    nothing = {"label": np.nan, "reason": "not_in_table", "time_days": np.nan, "evidence": "", "approximate": False}
    nothing["evidence_date"] = pd.NaT
    return labels.assign(**{name: labels[name].mask(unknown, value) for name, value in nothing.items()})


def _row_reasons(cleaned: pd.DataFrame) -> pd.Series[str]:
    filled = cleaned["subject"].notna() & cleaned["visit"].notna() & (cleaned["subject"].astype("str") != "")
    named = filled.to_numpy(dtype=bool)
    valued = cleaned.drop(columns=KEYS).notna().any(axis=1).to_numpy(dtype=bool)
    repeated = np.zeros(len(cleaned), dtype=bool)
    repeated[named & valued] = cleaned[named & valued].duplicated(KEYS)
    reasons = np.select([~named, ~valued, repeated], [NO_SUBJECT, NO_VALUES, DUPLICATE_ROW], default="")
    return pd.Series(reasons, index=cleaned.index)


def _fold_of(samples: pd.DataFrame, raw: pd.DataFrame) -> pd.Series[float]:
    if "fold" not in raw.columns:
        return pd.Series(np.nan, index=samples.index)
    folds = raw[[*KEYS, "fold"]].dropna().drop_duplicates(KEYS).astype(_TEXT_KEYS)
    return samples[KEYS].merge(folds, on=KEYS, how="left")["fold"].astype("float64")


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))
