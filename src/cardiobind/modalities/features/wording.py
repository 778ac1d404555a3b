"""The name of a feature taken apart for people: words, and the unit it ends in."""

from __future__ import annotations

from cardiobind.modalities.features.feature import Feature

_UNITS = {
    "l_min_m2": "L/min/m²", "mmol_mol": "mmol/mol", "mmol_l": "mmol/L", "nmol_l": "nmol/L", "umol_l": "µmol/L",
    "mg_l": "mg/L", "l_min": "L/min", "kg_m2": "kg/m²", "m_s": "m/s", "min_per_day": "min/day",
    "hours_per_week": "h/week", "days_per_week": "days/week", "tablespoons_per_day": "tablespoons/day",
    "years": "years", "hours": "h", "percent": "%", "mmhg": "mmHg", "bpm": "/min", "kj": "kJ", "ohm": "Ω", "m2": "m²",
    "cm": "cm", "mm": "mm", "kg": "kg", "ms": "ms", "ml": "mL", "g": "g",
}  # fmt: skip
_WORDS = {
    "bmi": "BMI", "sbp": "systolic blood pressure", "dbp": "diastolic blood pressure", "ldl": "LDL cholesterol",
    "hdl": "HDL cholesterol", "hba1c": "HbA1c", "crp": "CRP", "tv": "TV",
    "bp": "blood pressure", "lvef": "LV ejection fraction", "lvedv": "LV end-diastolic volume",
    "lvesv": "LV end-systolic volume", "lvsv": "LV stroke volume", "lv": "LV", "rvedv": "RV end-diastolic volume",
    "rvesv": "RV end-systolic volume", "rvsv": "RV stroke volume", "rvef": "RV ejection fraction", "ecg": "ECG",
    "p": "P", "qrs": "QRS", "pq": "PQ", "rr": "RR", "pp": "PP", "st": "ST", "t": "T", "dxa": "DXA",
    "pwa": "pulse wave:", "diy": "DIY",
}  # fmt: skip
_WHOLE = {"pack_years": ("Pack-years", ""), "lipoprotein_a_nmol_l": ("Lipoprotein(a)", "nmol/L")}


def title_and_unit(feature: Feature) -> tuple[str, str]:
    """Return the name of a feature in words and its unit, as two texts."""
    if feature.name in _WHOLE:
        return _WHOLE[feature.name]
    stem, unit = feature.name, ""
    if feature.kind == "number":
        for ending, written in _UNITS.items():
            if feature.name.endswith(f"_{ending}"):
                stem, unit = feature.name.removesuffix(f"_{ending}"), written
                break
    words = " ".join(_WORDS.get(word, word) for word in stem.split("_"))
    return words[0].upper() + words[1:], unit
