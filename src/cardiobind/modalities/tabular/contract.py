"""The contract of a table: which columns, which units and ranges, and how they become numbers for a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import DataContractError
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature, Kind
from cardiobind.modalities.spec import InputSpec
from cardiobind.modalities.tabular.cleaning import clean_cell, clean_column
from cardiobind.registry import did_you_mean


@dataclass(frozen=True)
class TableColumn:
    """One column as the training rows fixed it.

    Attributes:
        name: canonical name with its unit.
        kind: number, category or flag.
        mean: of a number's training values; 0 for other kinds.
        sd: their standard deviation; 0 for a constant column and for other kinds.
        low, high: range outside which a number is refused.
        categories: labels in the order of their codes.
    """

    name: str
    kind: Kind
    mean: float
    sd: float
    low: float
    high: float
    categories: tuple[str, ...]

    @property
    def cardinality(self) -> int:
        """Return 0 for a number, 2 for a flag, else the number of categories."""
        return {"number": 0, "flag": 2}.get(self.kind, len(self.categories))

    @property
    def scale(self) -> float:
        """Return what a value is multiplied by after the mean is taken off."""
        return 1.0 / self.sd if self.sd > 0 else 1.0 if self.cardinality else 0.0

    @cached_property
    def feature(self) -> Feature:
        """Return the column as a definition that values can be checked against."""
        return Feature(self.name, self.kind, 0, low=self.low, high=self.high, categories=self.categories)


@dataclass(frozen=True)
class TableContract:
    """What a model was told about its table; data that break it are refused by the column's name.

    Attributes:
        columns: the columns in the order of the encoded features.
    """

    columns: tuple[TableColumn, ...]

    @classmethod
    def fit(cls, frame: pd.DataFrame, names: Sequence[str]) -> TableContract:
        """Return the contract of the training rows.

        Args:
            frame: the training rows alone; missing values are NaN.
            names: canonical features to use, in this order.

        Raises:
            DataContractError: a name is unknown or twice there, or its column is absent, holds a bad value or no
                value at all.
        """
        if len(set(names)) != len(names) or not names:
            raise DataContractError("a table needs features, each once", got=list(names))
        return cls(tuple(_fit_column(frame, _known(name)) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features in order."""
        return tuple(column.name for column in self.columns)

    def encode(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """Return the rows as numbers, each with whether it was observed.

        Args:
            frame: rows with at least the contract's columns; missing values are NaN.

        Returns:
            (rows, features, 2) float32 of (value, observed): a number as z-score, a category or flag as its index,
            a missing value as (0, 0).

        Raises:
            DataContractError: a column is absent, or holds an unknown category or a value outside its range.
        """
        out = np.zeros((len(frame), len(self.columns), 2), dtype=np.float32)
        for index, column in enumerate(self.columns):
            values = _values(frame, column.feature)
            observed = np.isfinite(values)
            out[:, index, 0] = np.where(observed, (np.where(observed, values, 0.0) - column.mean) * column.scale, 0.0)
            out[:, index, 1] = observed
        return out

    def encode_row(self, facts: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return what `encode` says of a table of one row, (1, features, 2), to the bit and many times faster.

        Args:
            facts: by name at least the contract's columns; missing values are NaN.

        Raises:
            DataContractError: as of `encode`.
        """
        out = np.zeros((1, len(self.columns), 2), dtype=np.float32)
        for index, column in enumerate(self.columns):
            code = _code(facts, column.feature)
            if not math.isnan(code):
                out[0, index] = (code - column.mean) * column.scale, 1.0
        return out

    def decode(self, encoded: NDArray[np.floating[Any]]) -> pd.DataFrame:
        """Return the table that `encode` turned into numbers, in its own units and labels.

        Args:
            encoded: (rows, features, 2) of (value, observed).

        Raises:
            DataContractError: the number of features differs.
        """
        if encoded.ndim != 3 or encoded.shape[1:] != (len(self.columns), 2):
            raise DataContractError(
                "the encoded table has another shape", expected=("rows", len(self.columns), 2), got=encoded.shape
            )
        return pd.DataFrame({c.name: _decode_column(c, encoded[:, i]) for i, c in enumerate(self.columns)})

    def spec(self) -> InputSpec:
        """Return the shape, names and cardinalities of the encoded table."""
        cardinalities = tuple(column.cardinality for column in self.columns)
        return InputSpec("tabular", (len(self.columns), 2), names=self.names, cardinalities=cardinalities)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-compatible description that `from_json` reads back; an open range is None."""
        return {"columns": [_finite_or_none(asdict(column)) for column in self.columns]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TableContract:
        """Return the contract that `to_json` described.

        Raises:
            DataContractError: the description is not one of a contract.
        """
        try:
            return cls(tuple(_column_from_json(column) for column in value["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataContractError("this is not the description of a table contract", got=repr(error)) from error


def _known(name: str) -> Feature:
    if name not in FEATURE_BY_NAME:
        raise DataContractError(
            f"unknown feature {name!r}", where=name, hint=did_you_mean(name, tuple(FEATURE_BY_NAME))
        )
    return FEATURE_BY_NAME[name]


def _fit_column(frame: pd.DataFrame, feature: Feature) -> TableColumn:
    values = _values(frame, feature)
    observed = values[np.isfinite(values)]
    if observed.size == 0:
        raise DataContractError(
            "a feature has no value in the training rows",
            where=feature.name,
            expected="at least one observed value",
            hint="leave the feature out",
        )
    mean, sd = 0.0, 0.0
    if feature.kind == "number":
        mean, sd = float(observed.mean()), float(observed.std())
        sd = sd if sd > 1e-9 * max(1.0, abs(mean)) else 0.0
    return TableColumn(feature.name, feature.kind, mean, sd, feature.low, feature.high, feature.categories)


def _values(frame: pd.DataFrame, feature: Feature) -> NDArray[np.float64]:
    if feature.name not in frame.columns:
        raise DataContractError(
            "a feature of the table is absent", where=feature.name, hint="add the column, with NaN where not known"
        )
    column = frame[feature.name]
    if isinstance(column, pd.DataFrame):
        raise DataContractError("a feature of the table is there more than once", where=feature.name)
    cleaned = clean_column(column, feature)
    for reason, count in cleaned.problems.items():
        raise DataContractError(
            f"a column holds {count} unusable value{'s' if count > 1 else ''}: {reason}",
            where=feature.name,
            expected=cleaned.expected,
            hint="run clean_table first: it turns them into missing values and counts them",
        )
    return cleaned.codes


def _code(facts: Mapping[str, Any], feature: Feature) -> float:
    code = clean_cell(facts[feature.name], feature) if feature.name in facts else None
    return float(_values(pd.DataFrame([dict(facts)]), feature)[0]) if code is None else code


def _decode_column(column: TableColumn, encoded: NDArray[np.floating[Any]]) -> pd.Series[Any]:
    value, observed = encoded[:, 0].astype(np.float64), encoded[:, 1] > 0.5
    if column.kind == "category":
        labels = np.array([*column.categories, np.nan], dtype=object)
        return pd.Series(labels[np.where(observed, np.rint(value), -1).astype(int)], dtype=object)
    scale = column.sd if column.kind == "number" else 1.0
    return pd.Series(np.where(observed, value * scale + column.mean, np.nan))


def _finite_or_none(column: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in column.items()}


def _column_from_json(value: Mapping[str, Any]) -> TableColumn:
    low = -math.inf if value["low"] is None else float(value["low"])
    high = math.inf if value["high"] is None else float(value["high"])
    return TableColumn(**{**value, "low": low, "high": high, "categories": tuple(value["categories"])})
