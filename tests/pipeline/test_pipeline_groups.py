"""Groups of test subjects: from the cohort's table to the columns that the evaluation reads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from cardiobind.cohort import Cohort
from cardiobind.pipeline.groups import age_band, subject_groups, with_groups


def cohort(table: pd.DataFrame) -> Cohort:
    """Stand for a cohort of three samples, the last of which has no ECG."""
    samples = pd.DataFrame({"subject": ["9000001", "9000002", "9000003"], "visit": "2"})
    held = {"cmr": [False] * 3, "ecg": [True, True, False], "tabular": [True] * 3}
    fake: Any = SimpleNamespace(samples=samples, table=table, has=lambda modality: np.array(held[modality]))
    return cast(Cohort, fake)


def test_ages_fall_into_bands_that_meet() -> None:
    ages = np.array([49.9, 50.0, 59.9, 60.0, 69.99, 70.0, 95.0, np.nan])
    assert age_band(ages).tolist() == [
        "under 50", "50 to 59", "50 to 59", "60 to 69", "60 to 69", "70 and over", "70 and over", "unknown",
    ]  # fmt: skip


def test_each_sample_has_its_groups_and_what_is_not_known_is_unknown() -> None:
    table = pd.DataFrame({"sex": ["female", None, "male"], "age_years": [48.0, np.nan, 71.0]})
    found = subject_groups(cohort(table)).set_index("subject")
    assert found.loc["9000001"].tolist() == ["2", "female", "under 50", "ecg+tabular"]
    assert found.loc["9000002"].tolist() == ["2", "unknown", "unknown", "ecg+tabular"]
    assert found.loc["9000003", "group_modalities"] == "tabular"


def test_a_table_without_sex_and_age_leaves_the_modalities() -> None:
    found = subject_groups(cohort(pd.DataFrame({"bmi_kg_m2": [1.0, 2.0, 3.0]})))
    assert list(found.columns) == ["subject", "visit", "group_modalities"]


def test_every_prediction_keeps_its_row_and_gets_its_groups() -> None:
    predictions = pd.DataFrame({"subject": ["9000003", "9000001", "9000003"], "visit": "2", "score": [0.1, 0.2, 0.3]})
    table = pd.DataFrame({"sex": ["female", "female", "male"], "age_years": [48.0, 55.0, 71.0]})
    found = with_groups(predictions, cohort(table))
    assert found["score"].tolist() == [0.1, 0.2, 0.3]
    assert found["group_sex"].tolist() == ["male", "female", "male"]
