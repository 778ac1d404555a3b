"""Audit of features that state the label instead of predicting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cardiobind.cohort.audit.suspicion import count_tests, suspicions
from cardiobind.errors import InputError, LabelLeakageError
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature

LABEL = "label"


@dataclass(frozen=True)
class Finding:
    """One reason to distrust a feature.

    Attributes:
        feature: its name.
        reason: ``label`` (it is itself one, never an input), ``declared`` (it follows a diagnosis by definition),
            ``dated_after`` (values of it were taken after the visit at which the prediction is made), ``separates``
            (its value alone almost tells the label, chance allowed for), ``level`` (one of its categories almost tells
            a positive label) or ``missingness`` (whether it was recorded almost tells it).
        detail: the number behind the reason.
    """

    feature: str
    reason: str
    detail: str


def audit_leakage(
    table: pd.DataFrame,
    names: Sequence[str],
    task: str | None,
    labels: ArrayLike | None,
    days_after_visit: pd.DataFrame | None = None,
) -> list[Finding]:
    """List features that define or follow the label.

    The statistical part allows for the number of features: where none of them tells the label, the chance that any is
    suspected is at most `cardiobind.cohort.audit.suspicion.FALSE_ALARM`.

    Args:
        table: training rows alone, one column a feature.
        names: features to be used as inputs.
        task: endpoint; None for pre-training, where every feature with the role ``leak`` is declared.
        labels: (n,) 0 or 1, or numbers, NaN unknown, of the rows of `table`; None for no statistical audit.
        days_after_visit: (n, features) days from the visit to the day a value is from, NaN unknown; None if no value
            is dated.

    Returns:
        Findings in the order of `names`; an empty list means nothing suspicious.

    Raises:
        InputError: `labels` are not one a row.
    """
    values = None if labels is None else np.asarray(labels, dtype=float)
    if values is not None and values.shape != (len(table),):
        raise InputError("labels are not one a row", expected=(len(table),), got=values.shape)
    tests = count_tests([FEATURE_BY_NAME[name] for name in names])
    findings: list[Finding] = []
    for name in names:
        findings += declared_leaks([name], task)
        if days_after_visit is not None and name in days_after_visit:
            findings += _dated_after(name, table[name], days_after_visit[name])
        if values is not None:
            known = np.isfinite(values)
            told = suspicions(FEATURE_BY_NAME[name], table.loc[known, name], values[known], tests)
            findings += [Finding(name, reason, detail) for reason, detail in told]
    return findings


def declared_leaks(names: Sequence[str], task: str | None) -> list[Finding]:
    """List features that are labels themselves, or state or follow the endpoint by definition.

    Args:
        names: features to be used as inputs.
        task: endpoint; a feature that leaks ``hf`` leaks ``hf_incident`` and every other form of it as well.
    """
    found = []
    for name in names:
        feature = FEATURE_BY_NAME[name]
        if feature.role == "label":
            found.append(Finding(name, LABEL, "is read off the images and itself a label"))
        elif _declared(feature, task):
            found.append(Finding(name, "declared", f"states or follows {task or 'a diagnosis'}"))
    return found


def refuse_leaks(findings: Iterable[Finding], allow: Sequence[str] = ()) -> None:
    """Refuse suspicious features, unless the user takes them on their own responsibility.

    Args:
        findings: result of `audit_leakage`.
        allow: names of features that may be used all the same.

    Raises:
        LabelLeakageError: a finding concerns a feature that is not in `allow`, or one that is itself a label.
    """
    refused = [f for f in findings if f.feature not in allow or f.reason == LABEL]
    if refused:
        raise LabelLeakageError(
            "features that give the label away",
            where=", ".join(sorted({f.feature for f in refused})),
            got="; ".join(f"{f.feature}: {f.reason} ({f.detail})" for f in refused),
            hint="leave them out of the features, or name those that are no labels in allow_leaks if they are known at "
            "prediction time",
        )


def _declared(feature: Feature, task: str | None) -> bool:
    if task is None:
        return feature.role == "leak"
    return any(task == leak or task.startswith(f"{leak}_") for leak in feature.leaks)


def _dated_after(name: str, column: pd.Series, days: pd.Series) -> Iterator[Finding]:
    late = column.notna().to_numpy() & (days > 0).to_numpy(dtype=bool)
    if late.any():
        share = f"{int(late.sum())} of {int(column.notna().sum())} values"
        yield Finding(name, "dated_after", f"{share} from up to {int(days[late].max())} days after the visit")
