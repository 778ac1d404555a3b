"""The 33 inputs of the demo and five leaks: what every simulated table holds, frozen with the simulator."""

from __future__ import annotations

from cardiobind.modalities.features.feature import UNSURE, Feature, amount, category, number

CORONARY = ("mi", "mi_prevalent", "mi_incident", "cad")

CORE_FEATURES: tuple[Feature, ...] = (
    number("age_years", 21003, 0, 120),
    category("sex", 31, ("female", "male"), (0, 1)),
    number("height_cm", 50, 120, 220),
    number("weight_kg", 21002, 30, 250),
    number("bmi_kg_m2", 21001, 10, 80),
    number("waist_cm", 48, 40, 200),
    number("hip_cm", 49, 50, 200),
    number("sbp_mmhg", 4080, 60, 280),
    number("dbp_mmhg", 4079, 30, 160),
    number("pulse_bpm", 102, 25, 220),
    number("stiffness_index_m_s", 21021, 1, 50),
    category("smoking_status", 20116, ("never", "previous", "current"), (0, 1, 2)),
    number("pack_years", 20161, 0, 400),
    category(
        "alcohol_frequency",
        1558,
        ("daily", "three_or_four_a_week", "once_or_twice_a_week", "one_to_three_a_month", "special_occasions", "never"),
        (1, 2, 3, 4, 5, 6),
    ),
    number("sleep_hours", 1160, 1, 23, UNSURE),
    amount("tv_hours", 1070, 0, 24),
    number("walking_days_per_week", 864, 0, 7, (-1, -2, -3)),
    number("moderate_activity_days_per_week", 884, 0, 7, UNSURE),
    number("vigorous_activity_days_per_week", 904, 0, 7, UNSURE),
    category(
        "processed_meat_frequency",
        1349,
        ("never", "less_than_weekly", "weekly", "two_to_four_a_week", "five_or_six_a_week", "daily"),
        (0, 1, 2, 3, 4, 5),
    ),
    amount("vegetables_tablespoons_per_day", 1289, 0, 50),
    category("overall_health", 2178, ("excellent", "good", "fair", "poor"), (1, 2, 3, 4)),
    Feature("diabetes", "flag", 2443, ukb_codes=(1,), ukb_missing=UNSURE, leaks=("diabetes",)),
    Feature(
        "family_heart_disease", "flag", 20107, ukb_codes=(1,), ukb_missing=(-11, -13, -21, -23), multiple=True
    ),
    Feature("bp_medication", "flag", 6177, ukb_codes=(2,), ukb_missing=UNSURE, multiple=True),
    number("cholesterol_mmol_l", 30690, 1, 20),
    number("ldl_mmol_l", 30780, 0.2, 15),
    number("hdl_mmol_l", 30760, 0.1, 6),
    number("triglycerides_mmol_l", 30870, 0.1, 30),
    number("hba1c_mmol_mol", 30750, 10, 200),
    number("crp_mg_l", 30710, 0, 300),
    number("creatinine_umol_l", 30700, 10, 2000),
    number("lipoprotein_a_nmol_l", 30790, 0, 800),
    Feature("statin", "flag", 6177, "leak", ukb_codes=(1,), ukb_missing=UNSURE, multiple=True, leaks=CORONARY),
    Feature(
        "heart_attack_by_doctor", "flag", 6150, "leak", ukb_codes=(1,), ukb_missing=(-3,), multiple=True,
        leaks=CORONARY,
    ),
    Feature(
        "angina_by_doctor", "flag", 6150, "leak", ukb_codes=(2,), ukb_missing=(-3,), multiple=True, leaks=CORONARY
    ),
    Feature(
        "age_heart_attack_years", "number", 3894, "leak", low=18, high=120, ukb_missing=UNSURE, leaks=CORONARY
    ),
    Feature(
        "cardiac_operation", "flag", 20004, "leak", ukb_codes=(1069, 1070, 1095), ukb_missing=(99999,), multiple=True,
        leaks=CORONARY,
    ),
)  # fmt: skip
