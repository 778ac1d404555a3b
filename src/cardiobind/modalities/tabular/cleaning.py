"""Turns impossible values of a table into missing ones, and counts them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_scalar

from cardiobind.modalities.features import FEATURE_BY_NAME, Feature
from cardiobind.modalities.tabular.wrong_units import WRONG_UNIT, in_another_unit


@dataclass(frozen=True)
class CleanColumn:
    """One column after cleaning.

    Attributes:
        codes: (rows,) float64: a number's value, a flag as 0 or 1, a category's index; NaN where missing.
        problems: reason -> how many values were turned into missing for it.
        expected: what a good value looks like, for error messages.
    """

    codes: NDArray[np.float64]
    problems: dict[str, int]
    expected: str


def clean_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table whose known features hold only plausible values, and what was removed.

    Args:
        frame: any columns; those named in `FEATURES` are cleaned, others kept as they are.

    Returns:
        The table (numbers and flags as float64, categories as labels, NaN where missing: an impossible value is never
        replaced by another) and a frame of (column, reason, count, expected) with reason out_of_range, wrong_unit,
        not_a_number, not_a_flag or unknown_category; `expected` names the unit that a column seems to be in.
    """
    cleaned = frame.copy()
    problems: list[tuple[str, str, int, str]] = []
    for name in [str(column) for column in frame.columns if column in FEATURE_BY_NAME]:
        feature = FEATURE_BY_NAME[name]
        column = clean_column(frame[name], feature)
        cleaned[name] = _as_series(column.codes, feature, frame.index)
        problems += [(name, reason, count, column.expected) for reason, count in column.problems.items()]
    return cleaned, pd.DataFrame(problems, columns=["column", "reason", "count", "expected"])


def clean_column(values: pd.Series[Any], feature: Feature) -> CleanColumn:
    """Return one column as numbers, with impossible values missing.

    Args:
        values: raw values; a number may be text, no boolean; a flag 0, 1 or boolean; a category one of its labels.
        feature: what the column should hold.
    """
    if feature.kind == "category":
        return _clean_category(values, feature)
    numbers, not_numbers = _to_numbers(values, truths=feature.kind == "flag")
    if feature.kind == "flag":
        bad = np.isfinite(numbers) & ~np.isin(numbers, (0.0, 1.0))
        counts = {"not_a_number": not_numbers, "not_a_flag": int(bad.sum())}
        return CleanColumn(np.where(bad, np.nan, numbers), _positive(counts), "0 or 1")
    return _clean_number(numbers, not_numbers, feature)


def clean_cell(value: object, feature: Feature) -> float | None:
    """Return what `clean_column` makes of a column of one value, without its detour over arrays.

    Args:
        value: as in a column.
        feature: what it should be.

    Returns:
        The code of a good value, NaN of one that is missing; None of one that is no good, of which `clean_column` says
        why.
    """
    if is_missing(value):
        return math.nan
    if feature.kind == "category":
        known = isinstance(value, str) and value in feature.categories
        return float(feature.categories.index(value)) if known else None
    number = _to_number(value, feature.kind == "flag")
    good = number in (0.0, 1.0) if feature.kind == "flag" else feature.low <= number <= feature.high
    return number if good else None


def is_missing(value: Any) -> bool:
    """Return whether a cell of a table holds nothing: None, NaN, NaT or NA."""
    return value is None or (is_scalar(value) and bool(pd.isna(value)))


def _clean_number(numbers: NDArray[np.float64], not_numbers: int, feature: Feature) -> CleanColumn:
    other = in_another_unit(numbers, feature)
    outside = np.isfinite(numbers) & ((numbers < feature.low) | (numbers > feature.high)) & ~other.cells
    counts = {
        "not_a_number": not_numbers, "out_of_range": int(outside.sum()), WRONG_UNIT: int(other.cells.sum()),
    }  # fmt: skip
    expected = f"{feature.low} to {feature.high}{other.suggestion}"
    return CleanColumn(np.where(outside | other.cells, np.nan, numbers), _positive(counts), expected)


def _clean_category(values: pd.Series[Any], feature: Feature) -> CleanColumn:
    missing = values.isna().to_numpy()
    code_of: dict[object, float] = {label: float(code) for code, label in enumerate(feature.categories)}
    codes = np.array([code_of.get(v, np.nan) if isinstance(v, str) else np.nan for v in values], dtype=np.float64)
    unknown = np.isnan(codes) & ~missing
    counts = {"unknown_category": int(unknown.sum())}
    return CleanColumn(codes, _positive(counts), " | ".join(feature.categories))


def _to_numbers(values: pd.Series[Any], *, truths: bool) -> tuple[NDArray[np.float64], int]:
    missing = values.isna().to_numpy()
    numbers = np.array([_to_number(value, truths) for value in values.astype(object)], dtype=np.float64)
    return numbers, int((np.isnan(numbers) & ~missing).sum())


def _to_number(value: Any, truths: bool) -> float:
    if isinstance(value, bool | np.bool_) and not truths:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _positive(counts: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in counts.items() if count}


def _as_series(codes: NDArray[np.float64], feature: Feature, index: pd.Index[Any]) -> pd.Series[Any]:
    if feature.kind != "category":
        return pd.Series(codes, index=index)
    labels = np.array([*feature.categories, np.nan], dtype=object)
    positions = np.where(np.isnan(codes), len(feature.categories), codes).astype(int)
    return pd.Series(labels[positions], index=index, dtype=object)
