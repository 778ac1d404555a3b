"""Units: published pairs of values, and every conversion lands in the plausible range of its feature."""

from __future__ import annotations

import pytest

from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.tabular.units import OTHER_UNITS, conversion

PUBLISHED = [
    ("cholesterol_mmol_l", "mg/dL", 200.0, 5.17),
    ("ldl_mmol_l", "mg/dL", 100.0, 2.59),
    ("hdl_mmol_l", "mg/dL", 40.0, 1.03),
    ("triglycerides_mmol_l", "mg/dL", 150.0, 1.69),
    ("hba1c_mmol_mol", "%", 6.5, 47.5),
    ("hba1c_mmol_mol", "%", 7.0, 53.0),
    ("creatinine_umol_l", "mg/dL", 1.0, 88.4),
    ("sbp_mmhg", "kPa", 16.0, 120.0),
    ("height_cm", "in", 70.0, 177.8),
    ("weight_kg", "lb", 154.0, 69.9),
    ("weight_kg", "st", 11.0, 69.9),
    ("age_years", "days", 18262.5, 50.0),
]


@pytest.mark.parametrize(("feature", "unit", "value", "canonical"), PUBLISHED)
def test_published_pairs(feature: str, unit: str, value: float, canonical: float) -> None:
    convert = conversion(feature, unit)
    assert convert is not None
    assert convert(value) == pytest.approx(canonical, rel=6e-3)


def test_case_and_blanks_do_not_matter_and_the_unknown_is_none() -> None:
    assert conversion("cholesterol_mmol_l", " MG/DL ") is conversion("cholesterol_mmol_l", "mg/dL")
    assert conversion("cholesterol_mmol_l", "furlong") is None
    assert conversion("sex", "m") is None


@pytest.mark.parametrize("name", sorted(OTHER_UNITS))
def test_every_feature_of_the_table_is_a_known_number_with_its_own_unit_apart(name: str) -> None:
    assert FEATURE_BY_NAME[name].kind == "number"
    units = [c.unit.lower() for c in OTHER_UNITS[name]]
    assert len(set(units)) == len(units)
    assert all(c.factor > 0 and (c.factor != 1 or c.offset) for c in OTHER_UNITS[name])
