from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from cardiobind.errors import ConfigError
from cardiobind.simulate import SimulationSettings, draw_hearts, oracle
from cardiobind.simulate.oracle import ENDPOINTS, endpoint, input_sets

COHORT = SimulationSettings(subjects=1000, seed=21, mi_prevalence=0.15)


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return oracle(COHORT, "mi_prevalent", fit_subjects=1000)


def test_every_subject_has_a_score_for_every_set(scores: pd.DataFrame) -> None:
    assert set(scores["inputs"]) == set(input_sets())
    assert len(scores) == 1000 * 7
    assert scores["score"].between(0, 1).all()


def test_more_modalities_are_not_worse(scores: pd.DataFrame) -> None:
    labels = endpoint(draw_hearts(COHORT), "mi_prevalent")
    wide = {name: part["score"].to_numpy() for name, part in scores.groupby("inputs")}
    area = {name: roc_auc_score(labels, score) for name, score in wide.items()}
    loss = {name: log_loss(labels, score) for name, score in wide.items()}
    for few in input_sets():
        for more in input_sets():
            if set(few.split("+")) < set(more.split("+")):
                assert area[more] > area[few] - 0.02
                assert loss[more] < loss[few] + 0.01
    assert 0.75 < area["cmr+ecg+tabular"] < 0.99
    assert area["cmr"] > area["ecg"]


def test_labels_follow_the_dates() -> None:
    hearts = draw_hearts(COHORT)
    np.testing.assert_array_equal(endpoint(hearts, "mi_prevalent") == 1, hearts["mi_prevalent"])
    incident = endpoint(hearts, "mi_incident")
    assert np.isnan(incident[hearts["mi_prevalent"]]).all()
    np.testing.assert_array_equal(endpoint(hearts, "mi") == 1, hearts["mi_prevalent"] | (incident == 1))


@pytest.mark.parametrize("task", ENDPOINTS)
def test_every_endpoint_has_cases(task: str) -> None:
    assert np.nansum(endpoint(draw_hearts(COHORT), task)) > 3


def test_unknown_task_is_refused() -> None:
    with pytest.raises(ConfigError, match="mi_prevalent"):
        oracle(COHORT, "gout")
