"""Groups of test subjects whose metrics are given apart: sex, age band, which modalities they have."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.cohort import Cohort
from cardiobind.evaluation.cells import GROUP

AGE_BANDS = {"under 50": -np.inf, "50 to 59": 50.0, "60 to 69": 60.0, "70 and over": 70.0}
"""Name of a band -> age in years from which on it holds."""
_MODALITIES = ("cmr", "ecg", "tabular")
_KEYS = ["subject", "visit"]


def with_groups(predictions: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Return predictions with the columns `group_sex`, `group_age` and `group_modalities`.

    Args:
        predictions: rows of subjects and visits of the cohort.
        cohort: whose table says sex and age; where it has no such column, there is none here.
    """
    return predictions.merge(subject_groups(cohort), on=_KEYS, how="left", validate="many_to_one")


def subject_groups(cohort: Cohort) -> pd.DataFrame:
    """Return the groups of each sample of a cohort: subject, visit, and a text a group, ``unknown`` where not known."""
    found = cohort.samples[_KEYS].copy()
    if "sex" in cohort.table:
        found[f"{GROUP}sex"] = cohort.table["sex"].astype(object).fillna("unknown").astype(str)
    if "age_years" in cohort.table:
        found[f"{GROUP}age"] = age_band(cohort.table["age_years"].to_numpy(np.float64))
    held = np.stack([cohort.has(modality) for modality in _MODALITIES], axis=1)
    found[f"{GROUP}modalities"] = ["+".join(np.array(_MODALITIES)[row]) for row in held]
    return found


def age_band(years: NDArray[np.float64]) -> NDArray[np.object_]:
    """Return the band of `AGE_BANDS` that each age lies in, ``unknown`` for NaN."""
    names, starts = np.array([*AGE_BANDS], dtype=object), np.array([*AGE_BANDS.values()])
    place = np.searchsorted(starts, np.nan_to_num(years), side="right") - 1
    return np.where(np.isnan(years), "unknown", names[place]).astype(object)
