"""UK Biobank's answers, RAW codes or labels, to numbers: which label has which code in a field's own coding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.formats.tables.code_lists import parse_code_list
from cardiobind.modalities.features import Feature
from cardiobind.sources.ukb_labels import LABELS, LESS_THAN_ONE_LABELS, NO_ANSWER_LABELS, NONE_LABELS

SAME_QUESTION: Mapping[int, tuple[int, ...]] = {
    4080: (4080, 93),
    4079: (4079, 94),
    102: (102, 95),
    6177: (6177, 6153),
    20107: (20107, 20110, 20111),
}
"""Fields that ask the same: automated and manual readings; medication of men and women; illnesses of relatives."""

_YES_NO = {"no": 0, "yes": 1, "false": 0, "true": 1}


def answers(feature: Feature, field: int) -> dict[str, int]:
    """Return label -> code of one field of a feature; a label that the field's coding has not is none.

    Args:
        feature: with the codes that mean "no answer" in its coding.
        field: one of the feature's fields.
    """
    unknown = {text: c for text, codes in NO_ANSWER_LABELS.items() for c in codes if c in feature.ukb_missing}
    less = {text: code for text in LESS_THAN_ONE_LABELS for code, _ in feature.ukb_stands_for}
    none = NONE_LABELS if feature.multiple else {}
    yes_no = _YES_NO if feature.kind == "flag" and not feature.multiple else {}
    return {**unknown, **less, **none, **yes_no, **LABELS.get(field, {})}


def to_codes(column: pd.Series, known: Mapping[str, int]) -> tuple[NDArray[np.float64], int]:
    """Return a column's numbers, labels replaced by their codes, and how many cells are neither (they become NaN)."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.where(np.isfinite(numbers), numbers, np.nan)
    text = column.notna().to_numpy() & np.isnan(numbers)
    if not text.any():
        return numbers, 0
    cells = column[text].astype(str).str.strip().str.lower()
    numbers[text] = cells.map(dict(known)).to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, int(np.isnan(numbers[text]).sum())


def to_code_sets(column: pd.Series, known: Mapping[str, int]) -> tuple[NDArray[np.int64], list[frozenset[float]]]:
    """Return each cell's place in a list of code sets, and that list; a cell is one code or label, or a list of them.

    The sets are those of the distinct cells, as few of half a million answers differ. A missing cell is the empty set.
    """
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
