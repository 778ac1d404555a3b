from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.tabular.cleaning import clean_column, clean_table
from cardiobind.modalities.tabular.units import OTHER_UNITS

CELLS = [
    ("height_cm", 1.75, "wrong_unit"), ("height_cm", 1750.0, "wrong_unit"), ("height_cm", 68.0, "wrong_unit"),
    ("height_cm", 5.0, "out_of_range"), ("weight_kg", 300.0, "wrong_unit"), ("weight_kg", 11.0, "wrong_unit"),
    ("cholesterol_mmol_l", 200.0, "wrong_unit"), ("hba1c_mmol_mol", 5.6, "wrong_unit"),
    ("sbp_mmhg", 16.0, "wrong_unit"), ("creatinine_umol_l", 0.9, "out_of_range"),
    ("creatinine_umol_l", 0.08, "wrong_unit"), ("pack_years", 1000.0, "out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "reason"), CELLS)
def test_a_single_cell_is_a_wrong_unit_if_exactly_one_explains_it(name: str, value: float, reason: str) -> None:
    found = clean_column(pd.Series([value]), FEATURE_BY_NAME[name])
    assert np.isnan(found.codes).all()
    assert found.problems == {reason: 1}


@pytest.mark.parametrize(
    ("name", "values", "unit"),
    [
        ("height_cm", np.linspace(1.5, 1.95, 30), "m (x 100)"),
        ("cholesterol_mmol_l", np.linspace(120, 280, 30), "mg/dL (x 0.0258632)"),
        ("hba1c_mmol_mol", np.linspace(4.6, 8.5, 30), "% (x 10.929 -23.5)"),
        ("dbp_mmhg", np.linspace(8, 13, 30), "kPa (x 7.50062)"),
        ("creatinine_umol_l", np.linspace(0.6, 1.4, 30), "mg/dL (x 88.4017)"),
    ],
)
def test_a_whole_column_names_its_unit_and_converts_nothing(name: str, values: list[float], unit: str) -> None:
    cleaned, problems = clean_table(pd.DataFrame({name: values}))
    assert cleaned[name].isna().all()
    assert problems[["column", "reason", "count"]].to_numpy().tolist() == [[name, "wrong_unit", 30]]
    assert unit in problems["expected"][0]
    assert "30 of 30" in problems["expected"][0]


def test_what_is_right_in_a_mixed_column_stays_and_what_is_doubtful_goes() -> None:
    heights = [1.6, 1.7, 1.8] * 6 + [165.0, 180.0]
    assert clean_column(pd.Series(heights), FEATURE_BY_NAME["height_cm"]).codes[-2:].tolist() == [165.0, 180.0]
    triglycerides = [90.0, 150.0, 210.0] * 6 + [25.0, 0.8]
    found = clean_column(pd.Series(triglycerides), FEATURE_BY_NAME["triglycerides_mmol_l"])
    assert np.isnan(found.codes[-2])  # 25 is possible in both units
    assert found.codes[-1] == 0.8


@given(st.sampled_from(sorted(OTHER_UNITS)), st.lists(st.floats(-1e4, 1e4) | st.just(np.nan), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_counts_are_conserved_and_nothing_is_changed(name: str, values: list[float]) -> None:
    feature = FEATURE_BY_NAME[name]
    found = clean_column(pd.Series(values, dtype=float), feature)
    kept = np.isfinite(found.codes)
    assert found.codes[kept].tolist() == np.array(values)[kept].tolist()
    assert ((found.codes[kept] >= feature.low) & (found.codes[kept] <= feature.high)).all()
    assert kept.sum() + sum(found.problems.values()) == np.isfinite(values).sum()


@given(st.sampled_from(sorted(OTHER_UNITS)), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_plausible_columns_are_left_alone(name: str, random: object) -> None:
    feature = FEATURE_BY_NAME[name]
    values = np.random.default_rng(random.randint(0, 10**6)).uniform(feature.low, feature.high, 40)  # type: ignore[attr-defined]
    found = clean_column(pd.Series(values), feature)
    assert not found.problems
    assert found.expected == f"{feature.low} to {feature.high}"
