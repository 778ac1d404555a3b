"""The cohort in numbers, as a "Table 1" wants them: no row of it belongs to one person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.cohort.ingest.prepare import SIGNALS
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.tasks import TASKS

MODALITY_COLUMNS = (*SIGNALS, "tabular")


def summarise(
    samples: pd.DataFrame,
    table: pd.DataFrame,
    labels: pd.DataFrame,
    index: pd.DataFrame,
    quarantine: pd.DataFrame,
    issues: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return counts, shares and moments of a cohort, JSON-compatible and without identifiers.

    Args:
        samples: subject, visit and the row of each modality or -1.
        table: clean table.
        labels: subject, visit, task, label, reason, time_days.
        index: kept records with their quality codes and confidence.
        quarantine: rejected records with their reasons.
        issues: values of the table that were set to missing.
    """
    return {
        "samples": len(samples),
        "subjects": int(samples["subject"].nunique()),
        "modalities": {m: int((samples[m] >= 0).sum()) for m in MODALITY_COLUMNS},
        "availability": _availability(samples),
        "features": {str(name): _feature(str(name), table[name], len(samples)) for name in table.columns[2:]},
        "tasks": {str(task): _task(str(task), rows) for task, rows in labels.groupby("task", sort=False)},
        "quality": _quality(index),
        "quarantine": _counts(quarantine, ["modality", "reason"]),
        "table_issues": issues,
    }


def _availability(samples: pd.DataFrame) -> dict[str, int]:
    has = [np.where(samples[m] >= 0, f"+{m}", "") for m in MODALITY_COLUMNS]
    patterns = pd.Series(has[0].astype(object) + has[1] + has[2], dtype="object").str.lstrip("+")
    return {str(k): int(v) for k, v in sorted(patterns.value_counts().items(), key=lambda kv: (-kv[1], str(kv[0])))}


def _feature(name: str, column: pd.Series, samples: int) -> dict[str, Any]:
    feature, observed = FEATURE_BY_NAME[name], column.dropna()
    facts: dict[str, Any] = {
        "kind": feature.kind, "role": feature.role, "observed": len(observed),
        "missing_share": 1 - len(observed) / samples if samples else None,
    }  # fmt: skip
    if feature.kind == "number":
        return facts | _moments(observed.astype(float))
    levels = feature.categories if feature.kind == "category" else (0.0, 1.0)
    titles = levels if feature.kind == "category" else ("no", "yes")
    shares = [float((observed == level).mean()) if len(observed) else None for level in levels]
    return facts | {"shares": dict(zip(titles, shares, strict=True))}


def _moments(values: pd.Series) -> dict[str, float | None]:
    if not len(values):
        return dict.fromkeys(("mean", "sd", "median", "q1", "q3"))
    q1, median, q3 = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "sd": sd, "median": median, "q1": q1, "q3": q3}


def _task(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    known, kind = rows["label"].dropna(), TASKS.get(name).kind
    unknown = rows.loc[rows["label"].isna(), "reason"].value_counts()
    facts: dict[str, Any] = {"kind": kind, "labelled": len(known)}
    if kind == "regression":
        facts |= {"positive": None, "prevalence": None, "values": _moments(known)}
    else:
        facts |= {
            "positive": int((known > 0.5).sum()),
            "prevalence": float((known > 0.5).mean()) if len(known) else None,
        }
    if kind == "survival":
        facts["follow_up_days"] = _moments(rows["time_days"].dropna())
    return facts | {"unlabelled": {str(k): int(v) for k, v in sorted(unknown.items(), key=lambda kv: str(kv[0]))}}


def _quality(index: pd.DataFrame) -> dict[str, dict[str, Any]]:
    facts: dict[str, dict[str, Any]] = {}
    for modality, rows in index.groupby("modality"):
        codes = rows["quality"].str.split(";").explode()
        confidence = rows["confidence"].dropna()
        facts[str(modality)] = {
            "codes": {str(k): int(v) for k, v in sorted(codes[codes != ""].value_counts().items())},
            "confidence": _moments(confidence.astype(float)),
        }
    return facts


def _counts(frame: pd.DataFrame, columns: list[str]) -> dict[str, Mapping[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (first, second), rows in frame.groupby(columns):
        counts.setdefault(str(first), {})[str(second)] = len(rows)
    return dict(counts)
