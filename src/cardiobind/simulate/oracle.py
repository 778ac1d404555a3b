"""The ceiling: what the best predictor of each set of modalities could score.

What it is: for each set of modalities, a gradient-boosted classifier fitted on a large independent sample of the same
simulator, fed with the noise-free latent quantities that those modalities express:

* ecg: what each segment still contributes to QRS (``gain``), T changes of strain and scar, rate, intervals, axis,
  voltage, blocks, fibrillation;
* cmr: thickness and shortening of each segment, volumes, mass and ejection fraction of both ventricles;
* tabular: the 33 input features without gaps, with the error of their measurement.

What it is not: it is no recogniser of recordings and no exact Bayes rule. The classifier is fitted on finitely many
subjects, so it lies a little under the true posterior of those quantities; and those quantities are more than noise,
projection on twelve leads and pixels let through, so it lies over what a network can reach. Hidden risk, label noise
(silent infarcts, infarcts without scar) and what people differ in by nature are in it: hence a ceiling below one.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from cardiobind.errors import ConfigError
from cardiobind.modalities.features import INPUT_FEATURES
from cardiobind.modalities.spec import MODALITIES
from cardiobind.rng import integer
from cardiobind.simulate.anatomy import segment_columns
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.settings import SimulationSettings
from cardiobind.simulate.table import complete_table, simulate_events, simulate_visits

Array = NDArray[np.float64]

FIT_SUBJECTS = 20_000
# ICD-10 prefixes of the endpoints, as in `cardiobind.tasks`, and whether the event must come before or after the visit.
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
_ECG = (
    *segment_columns("gain"), "heart_rate_bpm", "axis_turn_deg", "rotation_deg", "voltage", "pr_ms", "qrs_ms", "qtc_ms",
    "t_amplitude", "strain", "af_now", "lbbb", "rbbb",
)  # fmt: skip
_CMR = (
    *segment_columns("wall"), *segment_columns("shortening"), "lvedv_ml", "lvesv_ml", "lvef_percent", "lv_mass_g",
    "lv_length_mm", "rvedv_ml", "rvef_percent", "heart_rate_bpm",
)  # fmt: skip


def oracle(settings: SimulationSettings, task: str, fit_subjects: int = FIT_SUBJECTS) -> pd.DataFrame:
    """Return the ceiling's score of every subject of a cohort for every set of modalities.

    Args:
        settings: of the cohort; who has which recording does not matter here.
        task: one of `ENDPOINTS`.
        fit_subjects: size of the independent sample.

    Returns:
        Columns subject, inputs ("ecg", "cmr", "ecg+tabular", ..., see `input_sets`), score in [0, 1].

    Raises:
        ConfigError: unknown task.
    """
    if task not in ENDPOINTS:
        raise ConfigError("there is no ceiling for this task", where=task, expected=" | ".join(ENDPOINTS))
    other = SimulationSettings(fit_subjects, integer(settings.seed, "simulate.oracle") >> 20, settings.mi_prevalence)
    train, test = draw_hearts(other), draw_hearts(settings)
    labels = endpoint(train, task)
    known = ~np.isnan(labels)
    drivers, wanted = expressed(train), expressed(test)
    parts = []
    for inputs in input_sets():
        chosen = inputs.split("+")
        model = _classifier().fit(np.hstack([drivers[m] for m in chosen])[known], labels[known])
        score = model.predict_proba(np.hstack([wanted[m] for m in chosen]))[:, 1]
        parts.append(pd.DataFrame({"subject": test["subject"], "inputs": inputs, "score": score}))
    return pd.concat(parts, ignore_index=True)


def input_sets() -> tuple[str, ...]:
    """Return all sets of modalities, small ones first, as "ecg", "ecg+tabular" (alphabetical within a set)."""
    sets = (combination for size in (1, 2, 3) for combination in combinations(sorted(MODALITIES), size))
    return tuple("+".join(combination) for combination in sets)


def endpoint(hearts: pd.DataFrame, task: str) -> Array:
    """Return the label of each heart: 1, 0, or NaN where the task excludes it (event on the wrong side of the visit)."""
    prefixes, timing = ENDPOINTS[task]
    events = simulate_events(hearts)
    events = events[events["code"].str.startswith(prefixes)].groupby("subject")["date"].min()
    first = events.reindex(hearts["subject"]).to_numpy()
    visit = simulate_visits(hearts)["date"].to_numpy()
    ever, before = ~np.isnat(first), first <= visit
    if timing == "any":
        return ever.astype(float)
    if timing == "prevalent":
        return before.astype(float)
    return np.where(before, np.nan, ever.astype(float))


def expressed(hearts: pd.DataFrame) -> dict[str, Array]:
    """Return the noise-free quantities that each modality expresses, {modality: (hearts, quantities)}."""
    table = complete_table(hearts)[list(INPUT_FEATURES)]
    codes = table.apply(lambda column: column if column.dtype != object else pd.factorize(column, sort=True)[0])
    return {
        "ecg": hearts[list(_ECG)].to_numpy(dtype=float),
        "cmr": hearts[list(_CMR)].to_numpy(dtype=float),
        "tabular": codes.to_numpy(dtype=float),
    }


def _classifier() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=0.05, max_iter=150, max_leaf_nodes=12, min_samples_leaf=40, l2_regularization=5.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
