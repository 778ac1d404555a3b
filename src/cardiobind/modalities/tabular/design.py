"""An encoded table as the columns of a linear model: gaps filled by the median, and told by a column of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import DataContractError
from cardiobind.modalities.tabular.contract import TableColumn

Encoded = NDArray[np.float32]


@dataclass(frozen=True)
class Design:
    """How encoded rows become a matrix without gaps; fitted on training rows alone.

    Attributes:
        columns: of the encoded rows, in order.
        medians: of the training rows' observed values, one a column; of a category its commonest level.
        gaps: which columns have missing values in the training rows and so an indicator of them.
    """

    columns: tuple[TableColumn, ...]
    medians: tuple[float, ...]
    gaps: tuple[bool, ...]

    @classmethod
    def fit(cls, columns: Sequence[TableColumn], encoded: Encoded) -> Design:
        """Return the design of training rows.

        Args:
            columns: of the table.
            encoded: (rows, columns, 2) of (value, observed), as `TableContract.encode` returns it.

        Raises:
            DataContractError: the rows have another number of columns, or there are none.
        """
        if encoded.ndim != 3 or encoded.shape[1:] != (len(columns), 2) or len(encoded) == 0:
            expected = ("at least one row", len(columns), 2)
            raise DataContractError("rows of another table", expected=expected, got=encoded.shape)
        observed = [encoded[encoded[:, j, 1] > 0.5, j, 0] for j in range(len(columns))]
        medians = tuple(_usual(values, c) for values, c in zip(observed, columns, strict=True))
        return cls(tuple(columns), medians, tuple(len(values) < len(encoded) for values in observed))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the matrix's columns: of a category ``name=level``, of an indicator ``name missing``."""
        values = [name for column in self.columns for name in _names(column)]
        return (*values, *(f"{c.name} missing" for c, gap in zip(self.columns, self.gaps, strict=True) if gap))

    def matrix(self, encoded: Encoded) -> NDArray[np.float32]:
        """Return the rows as numbers without gaps, (rows, len(names)) float32."""
        observed = encoded[:, :, 1] > 0.5
        filled = np.where(observed, encoded[:, :, 0], np.array(self.medians, np.float32))
        values = [_levels(filled[:, j], column) for j, column in enumerate(self.columns)]
        indicators = ~observed[:, np.array(self.gaps, dtype=bool)]
        return np.concatenate([*values, indicators.astype(np.float32)], axis=1)


def gaps_as_nan(encoded: Encoded) -> NDArray[np.float32]:
    """Return encoded rows (rows, columns, 2) as (rows, columns) with NaN where nothing was observed, for trees."""
    return np.where(encoded[:, :, 1] > 0.5, encoded[:, :, 0], np.float32(np.nan))


def _usual(values: Encoded, column: TableColumn) -> float:
    if not len(values):
        return 0.0
    if column.kind == "category":
        return float(np.bincount(values.astype(int)).argmax())
    return float(np.median(values))


def _names(column: TableColumn) -> list[str]:
    return [f"{column.name}={level}" for level in column.categories] if column.kind == "category" else [column.name]


def _levels(values: NDArray[np.float32], column: TableColumn) -> NDArray[np.float32]:
    if column.kind != "category":
        return values[:, None]
    return np.asarray(values[:, None] == np.arange(len(column.categories)), dtype=np.float32)
