"""One canonical feature at one visit from the columns of a UK Biobank table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.formats.tables.ukb_headers import Column
from cardiobind.modalities.features import Feature
from cardiobind.modalities.features.feature import NOT_IN_UKB
from cardiobind.sources.ukb_codes import SAME_QUESTION, answers, to_code_sets, to_codes

Columns = Mapping[int, Sequence[Column]]


@dataclass
class Values:
    """A feature's values at one visit.

    Attributes:
        values: (rows,) float or labels; NaN where missing.
        instance: (rows,) assessment the value is from, -1 where missing.
        problems: count of unusable cells by reason.
    """

    values: NDArray[np.float64] | NDArray[np.object_]
    instance: NDArray[np.int8]
    problems: dict[str, int] = field(default_factory=dict)


def field_groups(feature: Feature) -> list[tuple[int, ...]]:
    """Return the data fields that a feature is read from: those of a group count alike, a later group fills gaps."""
    if feature.ukb_field == NOT_IN_UKB:
        return []
    groups = [SAME_QUESTION.get(feature.ukb_field, (feature.ukb_field,))]
    return groups if feature.ukb_fallback is None else [*groups, (feature.ukb_fallback,)]


def fields_of(feature: Feature) -> tuple[int, ...]:
    """Return the data fields that a feature is read from."""
    return tuple(number for group in field_groups(feature) for number in group)


def columns_of(feature: Feature, columns: Columns) -> list[Column]:
    """Return the columns of the table that a feature is read from."""
    return [column for number in fields_of(feature) for column in columns.get(number, ())]


def feature_at(feature: Feature, visit: int, frame: pd.DataFrame, columns: Columns) -> Values:
    """Return a feature at a visit: from that assessment, else the baseline one (0), repeated readings by their mean.

    A label is taken from the visit itself or not at all.

    Args:
        feature: what to read.
        visit: assessment (UK Biobank's instance).
        frame: the table.
        columns: its columns by field.
    """
    coded = np.full(len(frame), np.nan)
    instance = np.full(len(frame), -1, np.int8)
    problems: dict[str, int] = {}
    visits = (visit,) if feature.role == "label" else tuple(dict.fromkeys((visit, 0)))
    for wanted, group in product(visits, field_groups(feature)):
        chosen = [column for number in group for column in columns.get(number, ())]
        here = [c for c in chosen if c.instance == wanted or (c.instance is None and wanted == visit)]
        if here:
            found = _combine(feature, frame, here, problems)
            fill = np.isnan(coded) & ~np.isnan(found)
            coded[fill], instance[fill] = found[fill], wanted
    if feature.kind == "category":
        return Values(_to_labels(feature, coded), instance, problems)
    return Values(coded, instance, problems)


def _combine(
    feature: Feature, frame: pd.DataFrame, columns: Sequence[Column], problems: dict[str, int]
) -> NDArray[np.float64]:
    if feature.multiple:
        return _any_code(feature, frame, columns)
    readings = []
    for column in columns:
        codes, unreadable = to_codes(frame[column.header], answers(feature, column.field))
        _count(problems, "not_a_number", unreadable)
        readings.append(_answers(feature, codes, problems))
    stacked = np.stack(readings)
    if feature.kind == "number":
        return _mean(stacked)
    first = np.argmax(~np.isnan(stacked), axis=0)
    return np.asarray(np.take_along_axis(stacked, first[None], axis=0)[0])


def _answers(feature: Feature, codes: NDArray[np.float64], problems: dict[str, int]) -> NDArray[np.float64]:
    answered = np.where(np.isin(codes, feature.ukb_missing), np.nan, codes)
    if feature.kind == "number":
        for code, meant in feature.ukb_stands_for:
            answered[answered == code] = meant
        return answered
    if feature.kind == "flag":
        return np.where(np.isnan(answered), np.nan, np.isin(answered, feature.ukb_codes).astype(float))
    known = np.isin(answered, feature.ukb_codes)
    _count(problems, "unknown_category", int((~known & ~np.isnan(answered)).sum()))
    return np.where(known, answered, np.nan)


def _any_code(feature: Feature, frame: pd.DataFrame, columns: Sequence[Column]) -> NDArray[np.float64]:
    yes, missing = frozenset(map(float, feature.ukb_codes)), frozenset(map(float, feature.ukb_missing))
    result = np.full(len(frame), np.nan)
    for column in columns:
        places, sets = to_code_sets(frame[column.header], answers(feature, column.field))
        answered = np.array([bool(codes - missing) for codes in sets])[places]
        said_yes = np.array([bool(codes & yes) for codes in sets])[places]
        result = np.where(answered & np.isnan(result), 0.0, result)
        result[said_yes] = 1.0
    return result


def _mean(readings: NDArray[np.float64]) -> NDArray[np.float64]:
    count = (~np.isnan(readings)).sum(axis=0)
    total = np.nansum(readings, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _to_labels(feature: Feature, codes: NDArray[np.float64]) -> NDArray[np.object_]:
    labels = np.full(len(codes), np.nan, dtype=object)
    for code, name in zip(feature.ukb_codes, feature.categories, strict=True):
        labels[codes == code] = name
    return labels


def _count(problems: dict[str, int], reason: str, number: int) -> None:
    if number:
        problems[reason] = problems.get(reason, 0) + number
