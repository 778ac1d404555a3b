"""The medical facts cardiobind knows: name, unit, plausible range, role, and the UK Biobank field each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "category", "flag"]
Role = Literal["input", "leak"]


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes:
        name: canonical name with its unit.
        kind: number, category (codes in `categories`) or flag (yes / no).
        role: ``input``, or ``leak`` where it states or follows a diagnosis and is refused unless allowed.
        ukb_field: UK Biobank data field.
        low, high: plausible range of a number, in the unit of the name; outside it a value is a data error.
        categories: labels of a category in the order of `ukb_codes`.
        ukb_codes: codes of the categories; for a flag the codes that mean yes.
        ukb_missing: codes that mean "no answer" for this field's coding.
        multiple: the field is a list of codes and the flag asks whether one of `ukb_codes` is among them.
        leaks: tasks for which this column states or follows the label.
    """

    name: str
    kind: Kind
    ukb_field: int
    role: Role = "input"
    low: float = float("-inf")
    high: float = float("inf")
    categories: tuple[str, ...] = ()
    ukb_codes: tuple[int, ...] = ()
    ukb_missing: tuple[int, ...] = ()
    multiple: bool = False
    leaks: tuple[str, ...] = ()


def _number(name: str, field: int, low: float, high: float, missing: tuple[int, ...] = ()) -> Feature:
    return Feature(name, "number", field, low=low, high=high, ukb_missing=missing)


def _category(name: str, field: int, categories: tuple[str, ...], codes: tuple[int, ...]) -> Feature:
    return Feature(name, "category", field, categories=categories, ukb_codes=codes, ukb_missing=(-1, -3))


_UNSURE = (-1, -3)
_CORONARY = ("mi", "mi_prevalent", "mi_incident", "cad")

FEATURES: tuple[Feature, ...] = (
    _number("age_years", 21003, 0, 120),
    _category("sex", 31, ("female", "male"), (0, 1)),
    _number("height_cm", 50, 120, 220),
    _number("weight_kg", 21002, 30, 250),
    _number("bmi_kg_m2", 21001, 10, 80),
    _number("waist_cm", 48, 40, 200),
    _number("hip_cm", 49, 50, 200),
    _number("sbp_mmhg", 4080, 60, 280),
    _number("dbp_mmhg", 4079, 30, 160),
    _number("pulse_bpm", 102, 25, 220),
    _number("stiffness_index_m_s", 21021, 1, 50),
    _category("smoking_status", 20116, ("never", "previous", "current"), (0, 1, 2)),
    _number("pack_years", 20161, 0, 400),
    _category(
        "alcohol_frequency",
        1558,
        ("daily", "three_or_four_a_week", "once_or_twice_a_week", "one_to_three_a_month", "special_occasions", "never"),
        (1, 2, 3, 4, 5, 6),
    ),
    _number("sleep_hours", 1160, 1, 23, _UNSURE),
    _number("tv_hours", 1070, 0, 24, _UNSURE),
    _number("walking_days_per_week", 864, 0, 7, (-1, -2, -3)),
    _number("moderate_activity_days_per_week", 884, 0, 7, _UNSURE),
    _number("vigorous_activity_days_per_week", 904, 0, 7, _UNSURE),
    _category(
        "processed_meat_frequency",
        1349,
        ("never", "less_than_weekly", "weekly", "two_to_four_a_week", "five_or_six_a_week", "daily"),
        (0, 1, 2, 3, 4, 5),
    ),
    _number("vegetables_tablespoons_per_day", 1289, 0, 50, _UNSURE),
    _category("overall_health", 2178, ("excellent", "good", "fair", "poor"), (1, 2, 3, 4)),
    Feature("diabetes", "flag", 2443, ukb_codes=(1,), ukb_missing=_UNSURE, leaks=("diabetes",)),
    Feature(
        "family_heart_disease", "flag", 20107, ukb_codes=(1,), ukb_missing=(-11, -13, -21, -23), multiple=True
    ),
    Feature("bp_medication", "flag", 6177, ukb_codes=(2,), ukb_missing=_UNSURE, multiple=True),
    _number("cholesterol_mmol_l", 30690, 1, 20),
    _number("ldl_mmol_l", 30780, 0.2, 15),
    _number("hdl_mmol_l", 30760, 0.1, 6),
    _number("triglycerides_mmol_l", 30870, 0.1, 30),
    _number("hba1c_mmol_mol", 30750, 10, 200),
    _number("crp_mg_l", 30710, 0, 300),
    _number("creatinine_umol_l", 30700, 10, 2000),
    _number("lipoprotein_a_nmol_l", 30790, 0, 800),
    Feature("statin", "flag", 6177, "leak", ukb_codes=(1,), ukb_missing=_UNSURE, multiple=True, leaks=_CORONARY),
    Feature(
        "heart_attack_by_doctor", "flag", 6150, "leak", ukb_codes=(1,), ukb_missing=(-3,), multiple=True,
        leaks=_CORONARY,
    ),
    Feature(
        "angina_by_doctor", "flag", 6150, "leak", ukb_codes=(2,), ukb_missing=(-3,), multiple=True, leaks=_CORONARY
    ),
    Feature(
        "age_heart_attack_years", "number", 3894, "leak", low=18, high=120, ukb_missing=_UNSURE, leaks=_CORONARY
    ),
    Feature(
        "cardiac_operation", "flag", 20004, "leak", ukb_codes=(1069, 1070, 1095), ukb_missing=(99999,), multiple=True,
        leaks=_CORONARY,
    ),
)  # fmt: skip

FEATURE_BY_NAME = {feature.name: feature for feature in FEATURES}
INPUT_FEATURES = tuple(feature.name for feature in FEATURES if feature.role == "input")
