"""The ceiling: what the best predictor of each set of modalities could score.

What it is: for each set of modalities, the best of a linear model, a boosted one and their mean, fitted on a large
independent sample of the same simulator and chosen by log loss on yet other subjects (a smaller set's, unless the
larger one is better by a standard error), fed with the noise-free latent quantities that those modalities express:

* ecg: the front of each segment (``front``), strain, rate, intervals, axis, voltage, blocks, fibrillation;
* cmr: thickness and shortening of each segment, volumes, mass and ejection fraction of both ventricles;
* tabular: the 33 input features without gaps, with the error of their measurement.

What it is not: it is no recogniser of recordings and no exact Bayes rule. The models are fitted on finitely many
subjects, so they lie a little under the true posterior of those quantities; and those quantities are more than noise,
projection on twelve leads and pixels let through, so they lie over what a network can reach. Hidden risk, label noise
(silent infarcts, infarcts without scar) and what people differ in by nature are in it: hence a ceiling below one.
Endpoints with few cases (incident infarction, stroke, heart failure) need a larger `fit_subjects` than the default.
The diabetes flag is among the 33 features, so that endpoint's ceiling with the table is one.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.modalities.features import FEATURE_BY_NAME, Feature
from cardiobind.modalities.spec import MODALITIES
from cardiobind.rng import integer
from cardiobind.simulate.anatomy import segment_columns
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.settings import SimulationSettings
from cardiobind.simulate.table import SIMULATED_INPUTS, complete_table, simulate_events, simulate_visits

Array = NDArray[np.float64]
Candidate = tuple[Array, Array]

FIT_SUBJECTS = 12_000
# ICD-10 prefixes of the endpoints, as in `cardiobind.tasks`, and where the event lies from the visit.
ENDPOINTS: dict[str, tuple[tuple[str, ...], str]] = {
    "mi": (("I21", "I22"), "any"),
    "mi_prevalent": (("I21", "I22"), "prevalent"),
    "mi_incident": (("I21", "I22"), "incident"),
    "cad": (("I20", "I21", "I22", "I24", "I25"), "any"),
    "af": (("I48",), "any"),
    "hf": (("I110", "I130", "I132", "I255", "I420", "I425", "I428", "I429", "I50"), "any"),
    "stroke": (("I60", "I61", "I63", "I64"), "any"),
    "diabetes": (("E10", "E11", "E12", "E13", "E14"), "any"),
}
TIMES = {f"{name}_survival": f"{name}_incident" for name in ("mi",)}
"""Times to an event whose order is scored by the probability of the event until the end of the records."""
NUMBERS = ("lvef_percent", "lvedv_ml", "lvesv_ml", "lv_mass_g")
"""Latent numbers that are endpoints themselves."""
KNOWN = (*ENDPOINTS, *TIMES, *NUMBERS)
"""Tasks with a ceiling."""
_ECG = (
    *segment_columns("front"), "heart_rate_bpm", "axis_turn_deg", "rotation_deg", "voltage", "pr_ms", "qrs_ms",
    "qtc_ms", "t_amplitude", "strain", "af_now", "lbbb", "rbbb",
)  # fmt: skip
_CMR = (
    *segment_columns("wall"), *segment_columns("shortening"), "lvedv_ml", "lvesv_ml", "lvef_percent", "lv_mass_g",
    "lv_length_mm", "rvedv_ml", "rvef_percent", "heart_rate_bpm",
)  # fmt: skip


def oracle(settings: SimulationSettings, task: str, fit_subjects: int = FIT_SUBJECTS) -> pd.DataFrame:
    """Return the ceiling's score of every subject of a cohort for every set of modalities.

    Args:
        settings: of the cohort; who has which recording does not matter here.
        task: one of `KNOWN`.
        fit_subjects: size of the independent sample.

    Returns:
        Columns subject, inputs ("ecg", "cmr", "ecg+tabular", ..., see `input_sets`), score in [0, 1], or a number
        in its unit.

    Raises:
        ConfigError: unknown task.
    """
    if task not in KNOWN:
        raise ConfigError("there is no ceiling for this task", where=task, expected=" | ".join(KNOWN))
    other = SimulationSettings(
        2 * fit_subjects, integer(settings.seed, "simulate.oracle") >> 20, settings.mi_prevalence
    )
    cohorts = [draw_hearts(other), draw_hearts(other, fit_subjects, fit_subjects // 2), draw_hearts(settings)]
    fitted, judge, wanted = (expressed(hearts) for hearts in cohorts)
    labels, truth = endpoint(cohorts[0], task), endpoint(cohorts[1], task)
    best: dict[str, Candidate] = {}
    candidates = _numbers if task in NUMBERS else _candidates
    for inputs in input_sets():
        chosen = inputs.split("+")
        x, x_judge, x_wanted = (np.hstack([part[m] for m in chosen]) for part in (fitted, judge, wanted))
        smaller = [best[few] for few in best if set(few.split("+")) < set(chosen)]
        best[inputs] = _chosen(candidates(x, labels, x_judge, truth, x_wanted), smaller)
    parts = [pd.DataFrame({"subject": cohorts[2]["subject"], "inputs": s, "score": best[s][1]}) for s in best]
    return pd.concat(parts, ignore_index=True)


def _chosen(own: list[Candidate], smaller: list[Candidate]) -> Candidate:
    """Return the best of a set's own models, or of its subsets' where it is not better by a standard error."""
    mine = min(own, key=lambda c: c[0].mean())
    if not smaller:
        return mine
    other = min(smaller, key=lambda c: c[0].mean())
    gain = other[0] - mine[0]
    return mine if gain.mean() > gain.std() / np.sqrt(len(gain)) else other


def _candidates(x: Array, labels: Array, x_judge: Array, truth: Array, x_wanted: Array) -> list[Candidate]:
    """Return (log loss of each judging subject, scores of the cohort) of a linear, a boosted model and their mean."""
    known, judged = ~np.isnan(labels), ~np.isnan(truth)
    linear, boosted = _linear(), _boosted()
    models = [model.fit(x[known], labels[known]) for model in (linear, boosted)]
    at_judge, at_cohort = (np.stack([m.predict_proba(part)[:, 1] for m in models]) for part in (x_judge, x_wanted))
    pairs = zip([*at_judge, at_judge.mean(0)], [*at_cohort, at_cohort.mean(0)], strict=True)
    return [(_log_loss(truth[judged], at[judged]), scores) for at, scores in pairs]


def _numbers(x: Array, labels: Array, x_judge: Array, truth: Array, x_wanted: Array) -> list[Candidate]:
    """Return (squared error of each judging subject, values of the cohort) of the same three models of a number."""
    models = [model.fit(x, labels) for model in (_line(), _boosted_number())]
    at_judge, at_cohort = (np.stack([m.predict(part) for m in models]) for part in (x_judge, x_wanted))
    pairs = zip([*at_judge, at_judge.mean(0)], [*at_cohort, at_cohort.mean(0)], strict=True)
    return [(np.square(truth - at), values) for at, values in pairs]


def _log_loss(labels: Array, score: Array) -> Array:
    return np.asarray(-np.log(np.clip(np.where(labels == 1, score, 1 - score), 1e-12, 1)))


def _linear() -> Any:
    from sklearn.linear_model import LogisticRegression  # late: worker processes need none of it
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))  # type: ignore[no-untyped-call]


def _boosted() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(  # type: ignore[no-untyped-call]
        learning_rate=0.07, max_iter=100, max_leaf_nodes=12, min_samples_leaf=40, l2_regularization=5.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip


def _line() -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge(alpha=1.0))  # type: ignore[no-untyped-call]


def _boosted_number() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(  # type: ignore[no-untyped-call]
        learning_rate=0.07, max_iter=100, max_leaf_nodes=12, min_samples_leaf=40, l2_regularization=5.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip


def input_sets() -> tuple[str, ...]:
    """Return all sets of modalities, small ones first, as "ecg", "ecg+tabular" (alphabetical within a set)."""
    sets = (combination for size in (1, 2, 3) for combination in combinations(sorted(MODALITIES), size))
    return tuple("+".join(combination) for combination in sets)


def endpoint(hearts: pd.DataFrame, task: str) -> Array:
    """Return the label of each heart: 1, 0, or NaN where the event lies on the wrong side of the visit; or a number."""
    if task in NUMBERS:
        return np.asarray(hearts[task], dtype=float)
    prefixes, timing = ENDPOINTS[TIMES.get(task, task)]
    events = simulate_events(hearts)
    first_dates = events[events["code"].str.startswith(prefixes)].groupby("subject")["date"].min()
    first = first_dates.reindex(hearts["subject"]).to_numpy()
    visit = simulate_visits(hearts)["date"].to_numpy()
    ever, before = np.asarray(~np.isnat(first)), np.asarray(first <= visit)
    if timing == "any":
        return np.asarray(ever, dtype=float)
    if timing == "prevalent":
        return before.astype(float)
    return np.asarray(np.where(before, np.nan, ever.astype(float)))


def expressed(hearts: pd.DataFrame) -> dict[str, Array]:
    """Return the noise-free quantities that each modality expresses, {modality: (hearts, quantities)}."""
    table = complete_table(hearts)
    codes = np.stack([_number(FEATURE_BY_NAME[name], table[name]) for name in SIMULATED_INPUTS], axis=1)
    return {
        "ecg": hearts[list(_ECG)].to_numpy(dtype=float),
        "cmr": hearts[list(_CMR)].to_numpy(dtype=float),
        "tabular": codes,
    }


def _number(feature: Feature, values: pd.Series) -> Array:
    known = values.map({label: k for k, label in enumerate(feature.categories)}) if feature.categories else values
    return np.asarray(known, dtype=float)
