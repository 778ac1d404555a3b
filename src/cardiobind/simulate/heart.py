"""The latent state of each synthetic subject: risk, disease, ventricle and conduction.

One heart drives all three modalities; nothing else couples them. Every number of subject i is a function of (seed, i).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from cardiobind.rng import generator
from cardiobind.simulate.anatomy import SEGMENTS
from cardiobind.simulate.settings import SimulationSettings, eid
from cardiobind.simulate.ventricle import State, conduction, infarct, left_ventricle, right_ventricle

Array = NDArray[np.float64]

# The order is frozen: a new number is added at the end, so that the numbers before it stay the same.
_NUMBERS = (
    "age", "sex", "height", "bmi", "waist", "hip", "sbp", "dbp", "pulse", "stiffness", "smoking", "pack_years",
    "alcohol", "ldl", "hdl", "triglycerides", "hba1c", "crp", "creatinine", "lipoprotein_a", "diabetes", "family",
    "bp_treated", "statin", "hidden", "mi", "silent", "scarless", "mi_years", "territory", "infarct_angle",
    "infarct_depth", "infarct_size", "angina", "af", "af_now", "af_years", "stroke", "stroke_years", "lbbb", "rbbb",
    "dcm", "lvh", "edv", "mass", "length", "ef", "rvedv", "rvef", "heart_rate", "axis", "rotation", "voltage", "pr",
    "qrs", "qtc", "t_amplitude", "has_ecg", "has_cmr", "activity", "diet", "health", "visit_day", "revascularised",
    "hf", "hf_years", "angina_years", "diabetes_years", "baseline_gap", "statin_start",
)  # fmt: skip
_WIDTH = 3 * SEGMENTS + len(_NUMBERS)
_REFERENCE_SUBJECTS = 20_000
_REFERENCE_SEED = 20241105
INCIDENT_SHARE = 0.25
SILENT_RATIO = 0.35
SCARLESS_SHARE = 0.12


class Draws:
    """Independent standard normal numbers, one row a subject, found by name.

    Args:
        values: (subjects, numbers) standard normal.
    """

    def __init__(self, values: Array) -> None:
        self._values = values

    @classmethod
    def of_subjects(cls, seed: int, first: int, count: int) -> Draws:
        """Return the numbers of some subjects of a cohort, each from a stream of its own."""
        rows = [generator(seed, "simulate.heart", i).standard_normal(_WIDTH) for i in range(first, first + count)]
        return cls(np.array(rows).reshape(count, _WIDTH))

    def normal(self, name: str) -> Array:
        """Return standard normal numbers, (subjects,)."""
        return np.asarray(self._values[:, 3 * SEGMENTS + _NUMBERS.index(name)])

    def uniform(self, name: str) -> Array:
        """Return numbers uniform in (0, 1), (subjects,)."""
        return np.asarray(ndtr(self.normal(name)))

    def segments(self, number: int) -> Array:
        """Return one of three sets of standard normal numbers a segment, (subjects, 17)."""
        return np.asarray(self._values[:, number * SEGMENTS : (number + 1) * SEGMENTS])


def draw_hearts(settings: SimulationSettings, first: int = 0, count: int | None = None) -> pd.DataFrame:
    """Return the latent state of subjects `first` to `first + count`, one row each.

    Args:
        settings: of the cohort.
        first: index of the first subject.
        count: number of subjects, or None for all from `first` to the last of the settings.

    Returns:
        subject, subject_index, seed, then the state; lengths in mm, volumes in ml, mass in g, times in ms, voltage as a
        factor, angles in degrees, flags as bool; ``scar_01`` to ``scar_17`` is transmurality from 0 to 1, and the other
        segmental columns are those of `ventricle`. A row depends only on (seed, index) and the prevalence.

    Source:
        Petersen et al., JCMR 2017;19:18 (volumes and mass of UK Biobank); Fry et al., Am J Epidemiol 2017;186:1026
        (participants); the risk weights are named in `risk_score`.
    """
    count = settings.subjects - first if count is None else count
    draws = Draws.of_subjects(settings.seed, first, count)
    index = np.arange(first, first + count)
    state: State = {"subject_index": index, "seed": np.full(count, settings.seed)}
    state |= _person(draws)
    state |= _infarction(draws, state, _intercept(settings.mi_prevalence))
    state |= _other_disease(draws, state)
    state |= _medication(draws, state)
    state |= left_ventricle(draws, state)
    state |= right_ventricle(draws, state)
    state |= conduction(draws, state)
    state |= {"u_ecg": draws.uniform("has_ecg"), "u_cmr": draws.uniform("has_cmr")}
    state |= _heart_failure(draws, state)
    frame = pd.DataFrame(state)
    frame.insert(0, "subject", [eid(int(i)) for i in index])
    return frame


def risk_score(state: State) -> Array:
    """Return the linear predictor of infarction, in log odds around its mean, without its intercept.

    The weights are near those of the pooled cohort equations and of INTERHEART: age, male sex, smoking, pressure, LDL,
    HDL, diabetes, family history, lipoprotein(a). The hidden part (all that no table holds) has standard deviation 0.9,
    so that the table does not decide the outcome: the C statistic of such scores is about 0.7 to 0.75.

    Source:
        Goff et al., Circulation 2014;129:S49; Yusuf et al., Lancet 2004;364:937; Kamstrup et al., JAMA 2009;301:2331.
    """
    return (
        0.55 * (state["age"] - 64) / 10
        + 0.85 * (state["male"] - 0.5)
        + 0.70 * state["smoking_current"]
        + 0.25 * state["smoking_previous"]
        + 0.012 * (state["pack_years"] - 6)
        + 0.30 * (state["sbp_untreated"] - 135) / 20
        + 0.35 * (state["ldl_untreated"] - 3.7)
        - 0.45 * (state["hdl"] - 1.45)
        + 0.60 * state["diabetes"]
        + 0.45 * state["family"]
        + 0.20 * (np.log(state["lipoprotein_a"]) - 3)
        + 0.90 * state["hidden"]
    )


@lru_cache(maxsize=16)
def _intercept(prevalence: float) -> float:
    score = _reference_scores()
    low, high = -15.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(score + middle).mean() < prevalence else (low, middle)
    return low


@lru_cache(maxsize=1)
def _reference_scores() -> Array:
    values = generator(_REFERENCE_SEED, "simulate.reference").standard_normal((_REFERENCE_SUBJECTS, _WIDTH))
    return risk_score(_person(Draws(values)))


def _person(d: Draws) -> State:
    age = np.clip(64.0 + 7.7 * d.normal("age"), 45, 82)
    male = (d.uniform("sex") < 0.48).astype(float)
    height = np.where(male > 0, 176.0, 163.0) + np.where(male > 0, 6.6, 6.2) * d.normal("height")
    bmi = np.clip(np.exp(np.log(26.2 + 0.6 * male) + 0.155 * d.normal("bmi")), 16.5, 55)
    smoking = d.uniform("smoking")
    current, previous = (smoking < 0.055).astype(float), ((smoking >= 0.055) & (smoking < 0.40)).astype(float)
    person = {
        "age": age, "male": male, "height_cm": height, "bmi": bmi, "weight_kg": bmi * (height / 100) ** 2,
        "bsa_m2": 0.007184 * height**0.725 * (bmi * (height / 100) ** 2) ** 0.425,
        "smoking_current": current, "smoking_previous": previous, "hidden": d.normal("hidden"),
        "pack_years": np.where(current + previous > 0, np.exp(2.7 + 0.7 * d.normal("pack_years")), 0.0),
        "family": (d.uniform("family") < 0.38).astype(float),
        "activity": d.normal("activity") - 0.05 * (bmi - 26), "diet": d.normal("diet"),
    }  # fmt: skip
    return person | _blood(d, person)


def _blood(d: Draws, p: State) -> State:
    bmi, male, age = p["bmi"], p["male"], p["age"]
    diabetes = (d.normal("diabetes") < -1.85 + 0.09 * (bmi - 26) + 0.02 * (age - 64) + 0.15 * male).astype(float)
    return {
        "diabetes": diabetes,
        "diabetes_years": np.exp(1.9 + 0.7 * d.normal("diabetes_years")),
        "sbp_untreated": 133 + 0.45 * (age - 60) + 0.9 * (bmi - 26) + 4 * male + 16 * d.normal("sbp"),
        "dbp_part": d.normal("dbp"),
        "ldl_untreated": np.clip(3.75 + 0.85 * d.normal("ldl"), 1.2, 9),
        "hdl": np.clip(1.62 - 0.32 * male - 0.02 * (bmi - 26) + 0.32 * d.normal("hdl"), 0.5, 3.5),
        "triglycerides": np.exp(0.35 + 0.2 * male + 0.035 * (bmi - 26) + 0.42 * d.normal("triglycerides")),
        "hba1c": 35.2 + 0.12 * (age - 60) + 3.2 * d.normal("hba1c")
        + diabetes * np.exp(2.6 + 0.5 * d.normal("hba1c")),
        "crp": np.exp(0.15 + 0.07 * (bmi - 26) + 0.95 * d.normal("crp")),
        "creatinine": 64 + 17 * male + 0.15 * (age - 60) + 11 * d.normal("creatinine"),
        "lipoprotein_a": np.clip(np.exp(3.0 + 1.25 * d.normal("lipoprotein_a")), 3.8, 600),
    }  # fmt: skip


def _infarction(d: Draws, s: State, intercept: float) -> State:
    """Return who had an infarct, when, whether it was diagnosed, and its scar.

    A quarter of the diagnosed have their first event after the visit, so their hearts still hold no scar. Silent
    infarcts leave a scar and no diagnosis; some diagnosed ones leave no scar.

    Source:
        Schelbert et al., JAMA 2012;308:890 and Barbier et al., JACC 2006;48:1372 (unrecognised infarcts, smaller than
        recognised ones); Stone et al., JACC 2016;67:1674 and Ibrahim et al., Heart 2010 (size after treatment).
    """
    probability, u = expit(risk_score(s) + intercept), d.uniform("mi")
    prevalent = u < probability * (1 - INCIDENT_SHARE)
    incident = ~prevalent & (u < probability)
    silent = ~prevalent & (d.uniform("silent") < SILENT_RATIO * probability)
    scarred = silent | (prevalent & (d.uniform("scarless") >= SCARLESS_SHARE))
    size = np.exp(np.where(silent, np.log(0.045), np.log(0.105)) + 0.65 * d.normal("infarct_size"))
    years = np.exp(1.75 + 0.8 * d.normal("mi_years"))
    return {
        "risk": probability, "mi_prevalent": prevalent, "mi_incident": incident, "mi_silent": silent,
        "mi_years_before": np.where(prevalent | silent, np.minimum(years, s["age"] - 38), np.nan),
        "mi_years_after": np.where(incident, 0.15 + 4.5 * d.uniform("mi_years"), np.nan),
        "revascularised": prevalent & (d.uniform("revascularised") < 0.72),
    } | infarct(d, np.where(scarred, np.clip(size, 0.012, 0.42), 0.0))  # fmt: skip


def _other_disease(d: Draws, s: State) -> State:
    """Return hypertrophy, dilated cardiomyopathy, fibrillation, blocks, angina, stroke.

    Source:
        Levy et al., Ann Intern Med 1988;108:7 and Petersen 2017 (hypertrophy with pressure); Hershberger et al., Nat
        Rev Cardiol 2013;10:531 (dilated 1:250); Benjamin et al., JAMA 1994;271:840 (fibrillation); Eriksson et al.,
        Circulation 1998;98:2494 and Bussink et al., Eur Heart J 2013;34:138 (blocks by age and sex).
    """
    older, scar = (s["age"] - 64) / 10, s["infarct_size"]
    dcm = d.uniform("dcm") < 0.004
    lvh = d.uniform("lvh") < expit(-3.1 + 0.75 * (s["sbp_untreated"] - 135) / 20 + 0.03 * (s["bmi"] - 26))
    af = d.uniform("af") < expit(-3.75 + 0.75 * older + 0.45 * s["male"] + 1.2 * dcm + 0.5 * lvh + 3 * scar)
    return {
        "dcm": dcm, "lvh": lvh, "af": af, "af_now": af & (d.uniform("af_now") < 0.45),
        "af_years": 4.0 * d.normal("af_years") - 2.0,
        "lbbb": d.uniform("lbbb") < expit(-5.0 + 0.8 * older + 2.5 * dcm + 5 * scar + 0.5 * lvh),
        "rbbb": d.uniform("rbbb") < expit(-4.1 + 0.8 * older + 0.6 * s["male"] + 2 * scar),
        "angina": d.uniform("angina") < expit(-4.2 + 0.8 * np.log(s["risk"] / 0.06) + 3.2 * s["mi_prevalent"]),
        "angina_years": 6.0 * d.normal("angina_years") - 3.0,
        "stroke": d.uniform("stroke") < expit(-4.3 + 0.7 * older + 0.35 * (s["sbp_untreated"] - 135) / 20 + 0.9 * af),
        "stroke_years": 5.0 * d.normal("stroke_years") - 2.0,
        "visit_day": np.floor(2900 * d.uniform("visit_day")),
    }  # fmt: skip


def _medication(d: Draws, s: State) -> State:
    """Return treatment, which follows disease, and what it leaves of pressure and LDL.

    Blood was taken at the baseline visit, 4 to 9 years before imaging, so statins begun since do not show in it.

    Source:
        Law et al., BMJ 2003;326:1423 (statins, LDL) and BMJ 2009;338:b1665 (pressure); Kotseva et al., Lancet
        2009;373:929 (EUROASPIRE: treatment after coronary disease).
    """
    ill, older = s["mi_prevalent"] | s["angina"], (s["age"] - 64) / 10
    bp_logit = -1.95 + 1.3 * (s["sbp_untreated"] - 140) / 20 + 1.7 * ill + 0.7 * s["diabetes"] + 0.4 * older
    statin_logit = -2.3 + 0.9 * (s["ldl_untreated"] - 3.8) + 3.9 * ill + 1.6 * s["diabetes"] + 0.5 * older
    bp_treated, statin = d.uniform("bp_treated") < expit(bp_logit), d.uniform("statin") < expit(statin_logit)
    started_years = np.where(s["mi_prevalent"], s["mi_years_before"], 14 * d.uniform("statin_start"))
    early = statin & (started_years > 4 + 5 * d.uniform("baseline_gap"))
    sbp = np.clip(s["sbp_untreated"] - 13 * bp_treated - 4 * (s["infarct_size"] > 0.2), 92, 215)
    return {
        "bp_treated": bp_treated, "statin": statin, "sbp": sbp,
        "dbp": np.clip(79 + 0.32 * (sbp - 135) - 0.25 * (s["age"] - 60) + 7.5 * s["dbp_part"], 48, 125),
        "ldl": s["ldl_untreated"] * np.where(early, 0.66, 1.0),
        "stiffness": np.clip(9.3 + 0.06 * (s["age"] - 60) + 0.5 * s["male"] + 2.6 * d.normal("stiffness"), 3, 24),
        "poor_health": d.normal("health") + 0.06 * (s["bmi"] - 26) + 0.6 * ill + 0.5 * s["diabetes"],
        "waist_part": d.normal("waist"), "hip_part": d.normal("hip"), "alcohol": d.normal("alcohol"),
    }  # fmt: skip


def _heart_failure(d: Draws, s: State) -> State:
    """Return heart failure, mostly of those with a low ejection fraction (McDonagh, Eur Heart J 2021;42:3599)."""
    logit = -5.2 + 0.13 * (55 - s["lvef_percent"]) + 1.0 * s["af"] + 0.6 * (s["age"] - 64) / 10
    return {"hf": d.uniform("hf") < expit(logit), "hf_years": 3.5 * d.normal("hf_years") - 1.0}
