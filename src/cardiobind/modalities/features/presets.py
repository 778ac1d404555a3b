"""Named sets of features, so that an experiment can say ``features = "paper_33"``.

- ``paper_33``: what Girlanda et al. 2024 (arXiv 2411.05900) describe as 33 features of lifestyle, demographics and
  laboratory. The paper lists no columns: the set is reconstructed, its size and groups are theirs.
- ``best_of_both_worlds_118``: the 68 continuous and 50 categorical columns of Hager et al. 2023 (CVPR), in the order of
  the last cell of their public notebook, which names every column. Fields are those that the data dictionary has under
  these titles; "Total mass" and "Height" are taken to be 23283 and 12144. Days a week of activity are numbers here,
  categories there; diabetes is one answer here, the answers of all visits there. The set holds leaks and phenotypes of
  the images, so that it is refused as it stands; it is here to be compared with.
- ``best_of_both_worlds_leak_free``: those of them with the role input, without blood pressure medication (which follows
  a coronary diagnosis) and without what was asked online, years after many of the imaging visits.
- ``minimal``: inputs of the pooled cohort equations (Goff et al., Circulation 2014) but for race.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardiobind.errors import ConfigError
from cardiobind.modalities.features import CORE_FEATURES, FEATURE_BY_NAME
from cardiobind.registry import did_you_mean

CONTINUOUS_68 = (
    "stiffness_index_m_s", "sbp_mmhg", "dbp_mmhg", "pulse_bpm", "body_fat_percent", "body_fat_mass_kg",
    "fat_free_mass_kg", "body_water_mass_kg", "bmi_kg_m2", "vegetables_tablespoons_per_day",
    "salad_tablespoons_per_day", "cardiac_operation", "total_mass_dxa_kg", "basal_metabolic_rate_kj", "impedance_ohm",
    "waist_cm", "hip_cm", "height_cm", "height_at_imaging_cm", "sitting_height_cm", "weight_kg",
    "ecg_ventricular_rate_bpm", "ecg_p_duration_ms", "ecg_qrs_duration_ms", "ecg_pq_interval_ms", "ecg_rr_interval_ms",
    "ecg_pp_interval_ms", "inline_cardiac_output_l_min", "inline_cardiac_index_l_min_m2", "scan_heart_rate_bpm",
    "body_surface_area_m2", "walk_min_per_day", "moderate_activity_min_per_day", "vigorous_activity_min_per_day",
    "tv_hours", "computer_hours", "driving_hours", "pwa_heart_rate_bpm", "pwa_brachial_sbp_mmhg",
    "pwa_brachial_dbp_mmhg", "pwa_peripheral_pulse_pressure_mmhg", "pwa_central_sbp_mmhg",
    "pwa_central_pulse_pressure_mmhg", "pwa_beats", "pwa_augmentation_pressure_mmhg", "pwa_augmentation_index_percent",
    "pwa_cardiac_output_l_min", "pwa_end_systolic_pressure_mmhg", "pwa_end_systolic_pressure_index",
    "pwa_peripheral_resistance", "pwa_stroke_volume_ml", "pwa_mean_arterial_pressure_mmhg",
    "pwa_cardiac_index_l_min_m2", "sleep_hours", "smoke_at_home_hours_per_week", "smoke_outside_home_hours_per_week",
    "pack_years", "pack_years_share_of_life", "lvedv_ml", "lvesv_ml", "lvsv_ml", "lvef_percent",
    "lv_cardiac_output_l_min", "lv_mass_g", "rvedv_ml", "rvesv_ml", "rvsv_ml", "rvef_percent",
)  # fmt: skip

CATEGORICAL_50 = (
    "worrier", "breathless_on_level_ground", "sex", "diabetes", "heart_attack_by_doctor", "angina_by_doctor",
    "stroke_by_doctor", "high_bp_by_doctor", "statin", "bp_medication", "insulin", "hormone_replacement",
    "oral_contraceptive", "pacemaker", "ever_diabetes_online", "long_standing_illness", "tense", "ever_smoked",
    "insomnia", "heavy_diy_frequency", "alcohol_frequency", "processed_meat_frequency", "beef_frequency",
    "pork_frequency", "lamb_frequency", "overall_health", "alcohol_with_meals", "alcohol_status",
    "alcohol_frequency_online", "six_units_frequency", "drinks_on_a_typical_day", "falls_last_year",
    "weight_change_last_year", "walking_days_per_week", "moderate_activity_days_per_week",
    "vigorous_activity_days_per_week", "walking_pace", "stair_climbing", "pleasure_walk_frequency",
    "pleasure_walk_length", "strenuous_sport_frequency", "strenuous_sport_length", "light_diy_length",
    "heavy_diy_length", "other_exercise_frequency", "other_exercise_length", "current_smoking", "past_smoking",
    "smokers_in_household", "smoking_status",
)  # fmt: skip

RISK_FACTORS = (
    "age_years", "sex", "sbp_mmhg", "dbp_mmhg", "smoking_status", "pack_years", "cholesterol_mmol_l", "ldl_mmol_l",
    "hdl_mmol_l", "triglycerides_mmol_l", "diabetes",
)  # fmt: skip
"""What a clinical risk score is made of: age, sex, blood pressure, smoking, lipids and diabetes."""

_FOLLOWS_A_DIAGNOSIS = ("bp_medication",)


def _leak_free(names: tuple[str, ...]) -> tuple[str, ...]:
    features = [FEATURE_BY_NAME[name] for name in names if name not in _FOLLOWS_A_DIAGNOSIS]
    return tuple(f.name for f in features if f.role == "input" and f.ukb_date_field is None)


PRESETS: Mapping[str, tuple[str, ...]] = {
    "paper_33": tuple(f.name for f in CORE_FEATURES if f.role == "input"),
    "best_of_both_worlds_118": CONTINUOUS_68 + CATEGORICAL_50,
    "best_of_both_worlds_leak_free": _leak_free(CONTINUOUS_68 + CATEGORICAL_50),
    "minimal": (
        "age_years", "sex", "sbp_mmhg", "bp_medication", "cholesterol_mmol_l", "hdl_mmol_l", "smoking_status",
        "diabetes",
    ),
}  # fmt: skip


def preset(name: str) -> tuple[str, ...]:
    """Return the features of a named set, in its order.

    Raises:
        ConfigError: there is no such set; the message suggests the nearest.
    """
    if name not in PRESETS:
        known = ("all_inputs", *PRESETS)
        raise ConfigError(
            f"unknown set of features {name!r}", where="tabular.features", expected=" | ".join(known),
            hint=did_you_mean(name, known),
        )  # fmt: skip
    return PRESETS[name]
