"""Answers about health beyond the core: diagnoses told, medication, mood, falls."""

from __future__ import annotations

from dataclasses import replace

from cardiobind.modalities.features.feature import UNSURE, Feature, answer, category, chosen

_PREFER_NOT = (-3,)
_PAIN_QUESTIONNAIRE_DATE = 120128

HISTORY_FEATURES: tuple[Feature, ...] = (
    chosen("stroke_by_doctor", 6150, 3, _PREFER_NOT, leaks=("stroke",)),
    chosen("high_bp_by_doctor", 6150, 4, _PREFER_NOT),
    chosen("insulin", 6177, 3, UNSURE, leaks=("diabetes",)),
    chosen("hormone_replacement", 6153, 4, UNSURE),
    chosen("oral_contraceptive", 6153, 5, UNSURE),
    answer("pacemaker", 3079, leaks=("af", "hf")),
    replace(
        answer("ever_diabetes_online", 120007, (-121, -818), leaks=("diabetes",)),
        ukb_date_field=_PAIN_QUESTIONNAIRE_DATE,
    ),
    answer("long_standing_illness", 2188),
    answer("breathless_on_level_ground", 4717),
    answer("worrier", 1980),
    answer("tense", 1990),
    category("falls_last_year", 2296, ("none", "one", "several"), (1, 2, 3), _PREFER_NOT),
    category("weight_change_last_year", 2306, ("same", "gained", "lost"), (0, 2, 3)),
)
