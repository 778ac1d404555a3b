"""Medical facts that cannot be true together, whoever the person is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from cardiobind.modalities.tabular.cleaning import is_missing

IMPOSSIBLE = "impossible_combination"

_BMI_TOLERANCE = 0.15
"""Rounding of height and weight, and shoes and clothes at one of two measurements, make less."""

RULES: Mapping[tuple[str, ...], Callable[..., bool]] = {
    ("sbp_mmhg", "dbp_mmhg"): lambda systolic, diastolic: systolic <= diastolic,
    ("cholesterol_mmol_l", "ldl_mmol_l"): lambda total, part: part >= total,
    ("cholesterol_mmol_l", "hdl_mmol_l"): lambda total, part: part >= total,
    ("weight_kg", "height_cm", "bmi_kg_m2"): lambda kg, cm, bmi: abs(bmi * (cm / 100) ** 2 / kg - 1) > _BMI_TOLERANCE,
}
"""By the facts it needs: whether they contradict one another."""


def contradictions(facts: Mapping[str, Any] | pd.Series[Any]) -> tuple[tuple[str, ...], ...]:
    """Return the facts that contradict one another, a tuple of names for each contradiction.

    Args:
        facts: of one person by canonical name, none of them impossible by itself; NaN where missing.
    """
    found = []
    for names, broken in RULES.items():
        values: list[Any] = [facts.get(name) for name in names]
        if not any(map(is_missing, values)) and broken(*map(float, values)):
            found.append(names)
    return tuple(found)
