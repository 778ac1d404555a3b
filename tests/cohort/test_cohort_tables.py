"""What the cohort makes of a source's table and events."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cardiobind.cohort.tables import LABEL_DTYPES, make_labels, tidy_table

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


def test_an_issue_says_what_a_good_value_would_have_been() -> None:
    raw = pd.DataFrame({"subject": list("ab"), "visit": "2", "height_cm": [1.7, 170.0], "sex": ["female", "woman"]})
    by_column = {issue["column"]: issue for issue in tidy_table(raw).issues}
    assert by_column["sex"]["expected"] == "female | male"
    assert by_column["height_cm"]["reason"] == "wrong_unit"
    assert " to " in by_column["height_cm"]["expected"]


def test_a_label_says_what_decided_it() -> None:
    visits = pd.DataFrame({"subject": ["a", "b"], "visit": ["2", "2"], "date": [pd.Timestamp("2020-01-01")] * 2})
    labels = make_labels(SAMPLES, EVENTS, visits).query("task == 'mi'").set_index("subject")
    assert labels.loc["a", ["evidence", "evidence_date"]].tolist() == ["icd10:I210", pd.Timestamp("2019-01-01")]
    assert labels.loc[["b", "c"], "evidence"].tolist() == ["", ""]
    assert labels.reset_index().dtypes.astype(str).to_dict() == LABEL_DTYPES


def test_a_column_of_the_table_is_a_label_where_it_was_measured() -> None:
    visits = SAMPLES.assign(date=pd.Timestamp("2020-01-01"))
    table = SAMPLES.assign(lvef_percent=[60.0, np.nan, 31.5])
    labels = make_labels(SAMPLES, EVENTS, visits, table).query("task == 'lvef_percent'")
    np.testing.assert_equal(labels["label"].to_numpy(), [60.0, np.nan, 31.5])
    assert "lvef_percent" not in set(make_labels(SAMPLES, EVENTS, visits)["task"])
