"""UK Biobank's answers, RAW codes or labels, to numbers: which label has which code, which codes mean no answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.formats.code_lists import parse_code_list

NO_ANSWER = frozenset({-1, -2, -3, -7, -11, -121, -313, -818, -906, -1001})
"""Codes that mean "no answer" in one coding or another, where the quantity itself cannot be negative."""
LESS_THAN_ONE = -10.0
LESS_THAN_ONE_VALUE = 0.5

SAME_QUESTION: Mapping[int, tuple[int, ...]] = {
    4080: (4080, 93),
    4079: (4079, 94),
    102: (102, 95),
    6177: (6177, 6153),
    20107: (20107, 20110, 20111),
}
"""Fields that ask the same: automated and manual readings; medication of men and women; illnesses of relatives."""

_COMMON = {
    "do not know": -1, "prefer not to answer": -3, "none of the above": -7, "less than one": -10,
    "less than an hour a day": -10, "unable to walk": -2, "do not know (group 1)": -11,
    "prefer not to answer (group 1)": -13, "none of the above (group 1)": -17, "do not know (group 2)": -21,
    "prefer not to answer (group 2)": -23, "none of the above (group 2)": -27, "no": 0, "yes": 1,
}  # fmt: skip
_MEDICATION = {"cholesterol lowering medication": 1, "blood pressure medication": 2, "insulin": 3}
_RELATIVE = {"heart disease": 1, "stroke": 2, "high blood pressure": 8, "diabetes": 9}
_LABELS: Mapping[int, Mapping[str, int]] = {
    31: {"female": 0, "male": 1},
    20116: {"never": 0, "previous": 1, "current": 2},
    1558: {
        "daily or almost daily": 1, "three or four times a week": 2, "once or twice a week": 3,
        "one to three times a month": 4, "special occasions only": 5, "never": 6,
    },
    1349: {
        "never": 0, "less than once a week": 1, "once a week": 2, "2-4 times a week": 3, "5-6 times a week": 4,
        "once or more daily": 5,
    },
    2178: {"excellent": 1, "good": 2, "fair": 3, "poor": 4},
    6150: {"heart attack": 1, "angina": 2, "stroke": 3, "high blood pressure": 4},
    6177: _MEDICATION, 6153: _MEDICATION, 20107: _RELATIVE, 20110: _RELATIVE, 20111: _RELATIVE,
    20004: {"coronary angioplasty (ptca) +/- stent": 1070, "coronary artery bypass grafts (cabg)": 1095},
}  # fmt: skip


def to_codes(column: pd.Series, field: int) -> tuple[NDArray[np.float64], int]:
    """Return a column's numbers, labels replaced by their codes, and how many cells are neither (they become NaN)."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    text = column.notna().to_numpy() & np.isnan(numbers)
    if not text.any():
        return numbers, 0
    known = dict(_COMMON) | dict(_LABELS.get(field, {}))
    cells = column[text].astype(str).str.strip().str.lower()
    numbers[text] = cells.map(known).to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, int(np.isnan(numbers[text]).sum())


def to_code_sets(column: pd.Series, field: int) -> tuple[NDArray[np.int64], list[frozenset[float]]]:
    """Return each cell's place in a list of code sets, and that list; a cell is one code or label, or a list of them.

    The sets are those of the distinct cells, as few of half a million answers differ. A missing cell is the empty set.
    """
    known = dict(_COMMON) | dict(_LABELS.get(field, {}))
    first = next(iter(column.dropna()), None)
    cells = column.map(tuple, na_action="ignore") if isinstance(first, (list, np.ndarray)) else column
    places, distinct = pd.factorize(cells, use_na_sentinel=True)
    sets = [_code_set(cell, known) for cell in distinct]
    return np.where(places < 0, len(sets), places).astype(np.int64), [*sets, frozenset()]


def _code_set(cell: object, known: Mapping[str, int]) -> frozenset[float]:
    tokens = [token.lower() for token in parse_code_list(cell) if token]
    values = [float(known[token]) if token in known else _number(token) for token in tokens]
    return frozenset(value for value in values if not np.isnan(value))


def _number(token: str) -> float:
    try:
        return float(token)
    except ValueError:
        return float("nan")
