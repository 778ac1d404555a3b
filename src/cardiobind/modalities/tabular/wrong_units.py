"""Numbers impossible as they stand and possible in another unit: metres for centimetres, pounds for kilograms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.features import Feature
from cardiobind.modalities.tabular.units import OTHER_UNITS, Conversion

WRONG_UNIT = "wrong_unit"
SHARE_OF_A_COLUMN = 0.5
"""A column is in another unit if that makes possible what is impossible now in at least this share of its cells."""
FEWEST_VALUES = 10
"""A column with fewer numbers is judged cell by cell."""


@dataclass(frozen=True)
class OtherUnit:
    """Cells of a column that seem to be in another unit.

    Attributes:
        cells: (rows,) which; they become missing, for a guess is no measurement.
        suggestion: "; 3 of 5 values fit m (x 100)", or empty.
    """

    cells: NDArray[np.bool_]
    suggestion: str


def in_another_unit(numbers: NDArray[np.float64], feature: Feature) -> OtherUnit:
    """Return which numbers of a column are impossible, but possible if exactly one other unit was meant.

    Where one unit explains at least `SHARE_OF_A_COLUMN` of all cells, the column as a whole is taken to be in it: then
    cells that other units explain as well count too, and so do cells that are possible in both units, since nobody can
    tell which was meant.

    Args:
        numbers: (rows,) NaN where missing.
        feature: its range, and by its name its other units (`OTHER_UNITS`).
    """
    units = OTHER_UNITS.get(feature.name, ())
    possible = _possible(numbers, feature)
    fits = np.array([_possible(unit(numbers), feature) for unit in units], dtype=bool).reshape(len(units), len(numbers))
    explained = fits & ~possible
    counts, total = explained.sum(axis=1), int(np.isfinite(numbers).sum())
    best = (counts >= SHARE_OF_A_COLUMN * total) & (counts == counts.max(initial=0))
    best &= total >= FEWEST_VALUES
    single = explained.sum(axis=0) == 1
    named = np.asarray(best if best.any() else explained[:, single].any(axis=1))
    return OtherUnit(fits[best].any(axis=0) | single, _suggestion(units, named, counts, total))


def _possible(numbers: NDArray[np.float64], feature: Feature) -> NDArray[np.bool_]:
    return np.asarray((numbers >= feature.low) & (numbers <= feature.high))


def _offset(unit: Conversion) -> str:
    return f" {unit.offset:+.4g}" if unit.offset else ""


def _suggestion(units: Iterable[Conversion], named: NDArray[np.bool_], counts: NDArray[np.int64], total: int) -> str:
    texts = [
        f"{count} of {total} values fit {unit.unit} (x {unit.factor:.6g}{_offset(unit)})"
        for unit, name, count in zip(units, named, counts, strict=True)
        if name
    ]
    return "".join(f"; {text}" for text in texts)
