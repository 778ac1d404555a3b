"""What the cohort makes of a source's table and events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cardiobind.cohort.tables import make_labels

SAMPLES = pd.DataFrame({"subject": ["a", "b", "c"], "visit": ["2", "2", "2"]})
EVENTS = pd.DataFrame(
    {"subject": ["a"], "visit": [""], "system": ["icd10"], "code": ["I210"], "date": [pd.Timestamp("2019-01-01")]}
)


def test_a_sample_of_which_the_table_knows_nothing_has_no_label() -> None:
    visits = pd.DataFrame({"subject": ["a", "b"], "visit": ["2", "2"], "date": [pd.Timestamp("2020-01-01")] * 2})
    labels = make_labels(SAMPLES, EVENTS, visits).query("task == 'mi'").set_index("subject")
    assert labels.loc["a", "label"] == 1.0
    assert labels.loc["b", "label"] == 0.0
    assert np.isnan(labels.loc["c", "label"])
    assert labels.loc["c", "reason"] == "not_in_table"
