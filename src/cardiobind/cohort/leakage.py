"""Audit of features that state the label instead of predicting it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cardiobind.errors import InputError, LabelLeakageError
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature

SUSPICIOUS_AUROC = 0.9
SUSPICIOUS_SHARE = 0.9
SUSPICIOUS_ODDS_RATIO = 20.0
MINIMUM_ROWS = 10
LABEL = "label"


@dataclass(frozen=True)
class Finding:
    """One reason to distrust a feature.

    Attributes:
        feature: its name.
        reason: ``label`` (it is itself one, never an input), ``declared`` (it follows a diagnosis by definition),
            ``separates`` (its value alone almost tells the label, chance allowed for), ``level`` (one of its categories almost tells a positive label) or
            ``missingness`` (whether it was recorded almost tells it).
        detail: the number behind the reason.
    """

    feature: str
    reason: str
    detail: str


def audit_leakage(
    table: pd.DataFrame, names: Sequence[str], task: str | None, labels: ArrayLike | None
) -> list[Finding]:
    """List features that define or follow the label.

    Args:
        table: training rows alone, one column a feature.
        names: features to be used as inputs.
        task: endpoint; None for pre-training, where every feature with the role ``leak`` is declared.
        labels: (n,) 0 or 1, NaN unknown, of the rows of `table`; None for no statistical audit.

    Returns:
        Findings in the order of `names`; an empty list means nothing suspicious.

    Raises:
        InputError: `labels` are not one a row.
    """
    values = None if labels is None else np.asarray(labels, dtype=float)
    if values is not None and values.shape != (len(table),):
        raise InputError("labels are not one a row", expected=(len(table),), got=values.shape)
    findings: list[Finding] = []
    for name in names:
        feature = FEATURE_BY_NAME[name]
        if feature.role == "label":
            findings.append(Finding(name, LABEL, "is read off the images and itself a label"))
        elif _declared(feature, task):
            findings.append(Finding(name, "declared", f"states or follows {task or 'a diagnosis'}"))
        if values is not None:
            known = np.isfinite(values)
            findings += _suspicions(feature, table.loc[known, name], values[known] > 0.5)
    return findings


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
    return feature.role == "leak" if task is None else task in feature.leaks


def _suspicions(feature: Feature, column: pd.Series, positive: NDArray[np.bool_]) -> Iterator[Finding]:
    observed = column.notna().to_numpy()
    for state, rows in (("observed", observed), ("missing", ~observed)):
        if (detail := _tells_label(rows, positive)) is not None:
            yield Finding(feature.name, "missingness", f"{state}: {detail}")
    if feature.kind == "number":
        yield from _separation(feature.name, column[observed], positive[observed])
        return
    for level in sorted(column[observed].unique()):
        if (detail := _tells_label((column == level).to_numpy(dtype=bool), positive)) is not None:
            yield Finding(feature.name, "level", f"{level}: {detail}")


def _separation(name: str, column: pd.Series, positive: NDArray[np.bool_]) -> Iterator[Finding]:
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if min(positives, negatives) < MINIMUM_ROWS:
        return
    ranks = column.astype(float).rank().to_numpy()
    area = float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    if _lower_bound(max(area, 1 - area), positives, negatives) > SUSPICIOUS_AUROC:
        yield Finding(name, "separates", f"AUROC {area:.3f} on its own")


def _lower_bound(area: float, positives: int, negatives: int) -> float:
    """Return the lower end of the 95 % interval of an AUROC (Hanley and McNeil, Radiology 1982)."""
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (positives - 1) * (both_positive - area**2) + (negatives - 1) * (both_negative - area**2)
    ) / (positives * negatives)
    return area - 1.96 * sqrt(max(variance, 0.0))


def _tells_label(rows: NDArray[np.bool_], positive: NDArray[np.bool_]) -> str | None:
    count = int(rows.sum())
    if count < MINIMUM_ROWS or count == len(rows):
        return None
    hits, others = int((rows & positive).sum()), int((~rows & positive).sum())
    odds_ratio = (hits + 0.5) * (len(rows) - count - others + 0.5) / ((count - hits + 0.5) * (others + 0.5))
    if hits / count < SUSPICIOUS_SHARE or odds_ratio < SUSPICIOUS_ODDS_RATIO:
        return None
    return f"{hits / count:.0%} positive, odds ratio {odds_ratio:.0f}"
