"""What a cardiologist notes before coronary angiography; none of it is a field of UK Biobank.

Source: Detrano et al., Am J Cardiol 1989;64:304, and the columns of the UCI heart disease data (Janosi et al. 1988).
"""

from __future__ import annotations

from cardiobind.modalities.features.feature import NOT_IN_UKB, Feature, number


def _flag(name: str) -> Feature:
    return Feature(name, "flag", NOT_IN_UKB, ukb_codes=(1,))


CARDIOLOGY_FEATURES: tuple[Feature, ...] = (
    _flag("chest_pain_typical"),
    _flag("chest_pain_atypical"),
    _flag("chest_pain_other"),
    _flag("fasting_glucose_high"),
    _flag("rest_ecg_st_t"),
    _flag("rest_ecg_hypertrophy"),
    number("exercise_heart_rate_bpm", NOT_IN_UKB, 50, 230),
    _flag("exercise_angina"),
    number("exercise_st_depression_mm", NOT_IN_UKB, -5, 10),
    number("exercise_st_slope", NOT_IN_UKB, 1, 3),
    number("coloured_vessels", NOT_IN_UKB, 0, 3),
    _flag("thallium_fixed_defect"),
    _flag("thallium_reversible_defect"),
)
