"""Every feature is said in words, with a unit that its name ends in."""

from __future__ import annotations

import pytest

from cardiobind.modalities.features import FEATURE_BY_NAME, FEATURES
from cardiobind.modalities.features.wording import title_and_unit


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sbp_mmhg", ("Systolic blood pressure", "mmHg")),
        ("crp_mg_l", ("CRP", "mg/L")),
        ("bmi_kg_m2", ("BMI", "kg/m²")),
        ("pack_years", ("Pack-years", "")),
        ("pwa_cardiac_index_l_min_m2", ("Pulse wave: cardiac index", "L/min/m²")),
        ("smoking_status", ("Smoking status", "")),
    ],
)
def test_names_are_taken_apart(name: str, said: tuple[str, str]) -> None:
    assert title_and_unit(FEATURE_BY_NAME[name]) == said


def test_no_two_features_read_alike() -> None:
    said = [title_and_unit(feature) for feature in FEATURES]
    assert len(set(said)) == len(said)
    assert all(title[0].isupper() and "_" not in title for title, _ in said)
