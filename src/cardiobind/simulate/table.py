"""The medical facts of synthetic subjects: canonical features with realistic gaps, dated diagnoses, visit dates."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from cardiobind.modalities.features import CORE_FEATURES, FEATURE_BY_NAME
from cardiobind.rng import generator
from cardiobind.simulate.settings import VISIT, SimulationSettings

Array = NDArray[np.float64]

FIRST_VISIT = np.datetime64("2014-05-02")
_TEXT = ("subject", "visit", "system", "code")
LAST_FOLLOW_UP = np.datetime64("2024-03-31")
_BLOOD = (
    "cholesterol_mmol_l", "ldl_mmol_l", "hdl_mmol_l", "triglycerides_mmol_l", "hba1c_mmol_mol", "crp_mg_l",
    "creatinine_umol_l", "lipoprotein_a_nmol_l",
)  # fmt: skip
_LIFESTYLE = (
    "smoking_status", "pack_years", "alcohol_frequency", "sleep_hours", "tv_hours", "walking_days_per_week",
    "moderate_activity_days_per_week", "vigorous_activity_days_per_week", "processed_meat_frequency",
    "vegetables_tablespoons_per_day", "overall_health",
)  # fmt: skip
_NEVER_MISSING = ("age_years", "sex")
SIMULATED_INPUTS = tuple(feature.name for feature in CORE_FEATURES if feature.role == "input")
# Missing at random, by field, as in the showcase of UK Biobank: pulse wave and pack-years are often absent.
_MISSING_SHARE = {"stiffness_index_m_s": 0.32, "pack_years": 0.12, "lipoprotein_a_nmol_l": 0.19, "hdl_mmol_l": 0.08}


def availability(hearts: pd.DataFrame, settings: SimulationSettings) -> pd.DataFrame:
    """Return which raw files each subject has: subject, ecg, cmr, tabular (bool); independent of the disease."""
    return pd.DataFrame(
        {
            "subject": hearts["subject"].to_numpy(),
            "ecg": (hearts["u_ecg"] < settings.ecg_fraction).to_numpy(),
            "cmr": (hearts["u_cmr"] < settings.cmr_fraction).to_numpy(),
            "tabular": np.ones(len(hearts), dtype=bool),
        }
    )


def simulate_table(hearts: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a source hands it over.

    Gaps are of three kinds: single values at random, the whole blood sample or the whole pulse-wave test (missing at
    random), and lifestyle answers that the ill and the heavy leave out more often (missing not at random).

    Args:
        hearts: rows of `draw_hearts`.

    Returns:
        Columns subject, visit and the core features: numbers and flags as float with NaN, categories as labels.
    """
    values = complete_table(hearts)
    noise = _noise(hearts)
    frame = values.mask(_gaps(hearts, values, noise))
    frame = frame.astype({f.name: object if f.kind == "category" else float for f in CORE_FEATURES})
    frame.insert(0, "subject", hearts["subject"].to_numpy())
    frame.insert(1, "visit", VISIT)
    return frame.where(frame.notna(), np.nan)


def complete_table(hearts: pd.DataFrame) -> pd.DataFrame:
    """Return the features of `simulate_table` without gaps, in the order of `CORE_FEATURES`."""
    noise = _noise(hearts)
    columns = _measured(hearts) | _answers(hearts, noise) | _blood_sample(hearts, noise) | _leaks(hearts, noise)
    ordered = {f: columns[f.name] for f in CORE_FEATURES}
    return pd.DataFrame({f.name: values if f.kind == "category" else values + 0.0 for f, values in ordered.items()})


def visit_dates(hearts: pd.DataFrame) -> NDArray[np.datetime64]:
    """Return the date of the imaging visit of each subject."""
    return FIRST_VISIT + hearts["visit_day"].to_numpy().astype("timedelta64[D]")


def simulate_visits(hearts: pd.DataFrame) -> pd.DataFrame:
    """Return the imaging visits, columns subject, visit, date."""
    return pd.DataFrame({"subject": hearts["subject"].to_numpy(), "visit": VISIT, "date": _dates(visit_dates(hearts))})


def simulate_events(hearts: pd.DataFrame) -> pd.DataFrame:
    """Return diagnoses: columns subject, visit (empty), system ("icd10"), code (no dot), date; sorted.

    Some lie before the imaging visit and some after it; none after the end of follow-up. A silent infarct has no code.
    """
    rows = [_coded(hearts, *rule) for rule in _event_rules(hearts)]
    events = pd.concat(rows, ignore_index=True)
    events = events[events["date"] <= pd.Timestamp(LAST_FOLLOW_UP)].astype(dict.fromkeys(_TEXT, str))
    return events.drop_duplicates().sort_values(["subject", "visit", "system", "code", "date"], ignore_index=True)


def _event_rules(h: pd.DataFrame) -> list[tuple[NDArray[np.bool_], NDArray[np.str_], Array]]:
    """Return (who, code, years from the visit) of each kind of diagnosis."""
    n = len(h)
    which = h["territory"].to_numpy(dtype=int)
    acute = np.where(h["infarct_size"] > 0.09, np.array(["I210", "I211", "I212", "I219"])[which], "I214")
    before, after = -h["mi_years_before"].to_numpy(), h["mi_years_after"].to_numpy()
    old = h["mi_prevalent"].to_numpy(dtype=bool)

    def fixed(code: str) -> NDArray[np.str_]:
        return np.full(n, code)

    def late(name: str) -> Array:
        return h[name].to_numpy(dtype=float)

    fibrillation = np.where(h["af_now"], -np.abs(late("af_years")), late("af_years"))
    pressure = np.minimum(-0.3, -(h["age"].to_numpy() - 50) / 3)
    return [
        (old, acute, before),
        (h["mi_incident"].to_numpy(dtype=bool), fixed("I219"), after),
        (old & (before < -1.0), fixed("I252"), before + 0.8),
        (old, fixed("I251"), before + 0.02),
        (h["angina"].to_numpy(dtype=bool), fixed("I209"), late("angina_years")),
        (h["af"].to_numpy(dtype=bool), fixed("I489"), fibrillation),
        (h["hf"].to_numpy(dtype=bool), fixed("I500"), late("hf_years")),
        (h["dcm"].to_numpy(dtype=bool), fixed("I420"), -np.abs(late("hf_years"))),
        (h["stroke"].to_numpy(dtype=bool), fixed("I639"), late("stroke_years")),
        (h["diabetes"].to_numpy(dtype=bool), fixed("E119"), -late("diabetes_years")),
        (h["bp_treated"].to_numpy(dtype=bool), fixed("I10"), pressure),
        (h["lbbb"].to_numpy(dtype=bool), fixed("I447"), np.full(n, -0.7)),
    ]


def _coded(h: pd.DataFrame, who: NDArray[np.bool_], code: NDArray[np.str_], years: Array) -> pd.DataFrame:
    years = np.maximum(years[who], 20 - h["age"].to_numpy()[who])
    dates = visit_dates(h)[who] + np.rint(years * 365.25).astype("timedelta64[D]")
    subject = h["subject"].to_numpy()[who]
    return pd.DataFrame(
        {"subject": subject, "visit": "", "system": "icd10", "code": code[who].astype(object), "date": _dates(dates)}
    )


def _dates(values: NDArray[np.datetime64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(values.astype("datetime64[ns]"))


def _noise(hearts: pd.DataFrame) -> NDArray[np.float64]:
    """Return 96 standard normal numbers a subject for measurement and gaps; new uses take columns at the end."""
    rows = [
        generator(int(seed), "simulate.table", int(i)).standard_normal(96)
        for seed, i in zip(hearts["seed"], hearts["subject_index"], strict=True)
    ]
    return np.array(rows).reshape(len(hearts), 96)


def pressure_readings(hearts: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return two readings each of both pressures and pulse, {feature: (subjects, 2)}; their mean counts."""
    noise = _noise(hearts)
    means = {"sbp_mmhg": hearts["sbp"], "dbp_mmhg": hearts["dbp"], "pulse_bpm": hearts["heart_rate_bpm"] + 4}
    spread = {"sbp_mmhg": 6.0, "dbp_mmhg": 4.0, "pulse_bpm": 4.0}
    readings = {}
    for k, (name, mean) in enumerate(means.items()):
        error = noise[:, 3 * k, None] + 0.6 * noise[:, 3 * k + 1 : 3 * k + 3]
        value = mean.to_numpy()[:, None] + spread[name] * error
        feature = FEATURE_BY_NAME[name]
        readings[name] = np.rint(np.clip(value, feature.low + 1, feature.high - 1))
    return readings


def _measured(h: pd.DataFrame) -> dict[str, Array]:
    male, bmi = h["male"].to_numpy(), h["bmi"].to_numpy()
    weight = np.round(h["weight_kg"].to_numpy(), 1)
    height = np.round(h["height_cm"].to_numpy(), 0)
    means = {name: values.mean(axis=1) for name, values in pressure_readings(h).items()}
    return means | {
        "age_years": np.floor(h["age"].to_numpy()),
        "sex": np.where(male > 0, "male", "female").astype(object),
        "height_cm": height,
        "weight_kg": weight,
        "bmi_kg_m2": np.round(weight / (height / 100) ** 2, 4),
        "waist_cm": np.round(88 + 8 * male + 2.3 * (bmi - 26.5) + 5.0 * h["waist_part"].to_numpy() - 4, 0),
        "hip_cm": np.round(101 - 1.0 * male + 1.7 * (bmi - 26.5) + 4.0 * h["hip_part"].to_numpy(), 0),
        "stiffness_index_m_s": np.round(h["stiffness"].to_numpy(), 2),
    }


def _answers(h: pd.DataFrame, noise: Array) -> dict[str, Array]:
    status = np.where(h["smoking_current"] > 0, 2, np.where(h["smoking_previous"] > 0, 1, 0))
    active, diet = h["activity"].to_numpy(), h["diet"].to_numpy()
    return {
        "smoking_status": _labels("smoking_status", status),
        "pack_years": np.round(h["pack_years"].to_numpy(), 1),
        "alcohol_frequency": _cut("alcohol_frequency", h["alcohol"].to_numpy(), [-1.0, -0.25, 0.45, 0.95, 1.5]),
        "sleep_hours": np.clip(np.rint(7.15 + 1.0 * noise[:, 12]), 3, 13),
        "tv_hours": np.clip(np.rint(2.5 - 0.5 * active + 1.4 * noise[:, 13]), 0, 12),
        "walking_days_per_week": np.clip(np.rint(5.3 + 0.5 * active + 2.0 * noise[:, 14]), 0, 7),
        "moderate_activity_days_per_week": np.clip(np.rint(3.6 + 1.0 * active + 2.0 * noise[:, 15]), 0, 7),
        "vigorous_activity_days_per_week": np.clip(np.rint(1.8 + 1.0 * active + 1.6 * noise[:, 16]), 0, 7),
        "processed_meat_frequency": _cut(
            "processed_meat_frequency", 0.9 * noise[:, 17] - 0.4 * diet, [-1.35, -0.45, 0.40, 1.35, 1.95]
        ),
        "vegetables_tablespoons_per_day": np.clip(np.rint(np.exp(0.85 + 0.18 * diet + 0.45 * noise[:, 18])), 0, 40),
        "overall_health": _cut("overall_health", h["poor_health"].to_numpy(), [-0.85, 0.95, 1.95]),
        "diabetes": h["diabetes"].to_numpy(dtype=float),
        "family_heart_disease": h["family"].to_numpy(dtype=float),
        "bp_medication": h["bp_treated"].to_numpy(dtype=float),
    }


def _blood_sample(h: pd.DataFrame, noise: Array) -> dict[str, Array]:
    def measured(name: str, column: int, error: float, decimals: int = 2) -> Array:
        return np.asarray(np.round(h[name].to_numpy() * np.exp(error * noise[:, column]), decimals))

    ldl, hdl, fat = measured("ldl", 20, 0.07), measured("hdl", 21, 0.06), measured("triglycerides", 22, 0.15)
    return {
        "cholesterol_mmol_l": np.round(ldl + hdl + 0.45 * fat, 2),
        "ldl_mmol_l": ldl,
        "hdl_mmol_l": hdl,
        "triglycerides_mmol_l": np.clip(fat, 0.2, 11.0),
        "hba1c_mmol_mol": np.clip(measured("hba1c", 23, 0.025, 1), 15, 180),
        "crp_mg_l": np.clip(measured("crp", 24, 0.35), 0.08, 80),
        "creatinine_umol_l": np.clip(measured("creatinine", 25, 0.05, 1), 20, 600),
        "lipoprotein_a_nmol_l": measured("lipoprotein_a", 26, 0.05),
    }


def _leaks(h: pd.DataFrame, noise: Array) -> dict[str, Array]:
    prevalent = h["mi_prevalent"].to_numpy(dtype=bool)
    told = prevalent & (noise[:, 30] < _upper(0.07))
    age = np.floor(h["age"].to_numpy() - h["mi_years_before"].to_numpy())
    revascularised = h["revascularised"].to_numpy(dtype=bool)
    return {
        "statin": h["statin"].to_numpy(dtype=float),
        "heart_attack_by_doctor": told.astype(float),
        "angina_by_doctor": (h["angina"] & (h["angina_years"] < 0)).to_numpy(dtype=float),
        "age_heart_attack_years": np.where(told, age, np.nan),
        "cardiac_operation": revascularised.astype(float),
    }


def _gaps(h: pd.DataFrame, values: pd.DataFrame, noise: Array) -> pd.DataFrame:
    gaps = pd.DataFrame(False, index=values.index, columns=values.columns)
    reticence = 0.25 * h["poor_health"].to_numpy() + 0.03 * (h["bmi"].to_numpy() - 26)
    for k, name in enumerate(n for n in SIMULATED_INPUTS if n not in _NEVER_MISSING):
        share = _MISSING_SHARE.get(name, 0.012)
        shift = reticence if name in _LIFESTYLE else 0.0
        gaps[name] = noise[:, 40 + k] + shift > _upper(share)
    no_blood = noise[:, 90] > _upper(0.055)
    for name in _BLOOD:
        gaps[name] |= no_blood
    no_answers = noise[:, 91] + reticence > _upper(0.008)
    for name in _LIFESTYLE:
        gaps[name] |= no_answers
    for name in ("waist_cm", "hip_cm", "weight_kg", "bmi_kg_m2"):
        gaps[name] |= noise[:, 92] > _upper(0.015)
    for name in ("sbp_mmhg", "dbp_mmhg", "pulse_bpm"):
        gaps[name] = noise[:, 93] > _upper(0.05)
    gaps["statin"] |= gaps["bp_medication"]
    gaps["age_heart_attack_years"] |= values["age_heart_attack_years"].isna()
    gaps["cardiac_operation"] |= values["cardiac_operation"] == 0
    return gaps


def _upper(share: float) -> float:
    return float(-ndtri(share))


def _labels(name: str, index: NDArray[np.int64]) -> Array:
    return np.asarray(np.array(FEATURE_BY_NAME[name].categories, dtype=object)[index])


def _cut(name: str, value: Array, borders: list[float]) -> Array:
    return _labels(name, np.digitize(value, borders))
