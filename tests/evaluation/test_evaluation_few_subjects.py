"""Few subjects, resamples without a value, values that never move: no interval that contradicts its own p."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.bootstrap import interval, tail_share, two_sided_p, why_no_interval
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.label_efficiency import label_efficiency
from cardiobind.evaluation.resampler import Resampler
from cardiobind.evaluation.uncertainty.components import named_intervals
from evaluation_fakes import make_predictions

PAIR = [("aligned", "scratch")]


def of(found: dict[str, Any], name: str = "auroc") -> dict[str, Any]:
    entry: dict[str, Any] = next(e for e in found["comparisons"] if e["metric"] == name)
    return entry


@pytest.mark.parametrize("subjects", [2, 3, 4, 5, 6, 10, 40])
def test_defect_an_interval_never_leaves_out_zero_where_500_resamples_cannot_make_p_small(subjects: int) -> None:
    for seed in range(20):
        draws = np.random.default_rng(seed).normal(4, 1, 500)
        bounds, p = interval(draws, subjects), two_sided_p(draws, subjects)
        assert p is not None
        if bounds is None:
            assert p >= 0.05
            assert "few subjects" in str(why_no_interval(draws, subjects))
        elif draws.min() > 0:
            assert p < 0.05 or bounds[0] <= 0
    assert (interval(draws, subjects) is None) == (subjects < 6)


def test_more_resamples_reach_a_smaller_tail() -> None:
    draws = np.random.default_rng(0).normal(size=1100)
    assert 1 / 1101 < tail_share(5) < 1 / 1000
    assert interval(draws, 5) is not None
    assert interval(draws[:999], 5) is None
    assert interval(np.r_[draws[:999], np.full(50, np.nan)], 5) is None


def test_defect_two_positives_have_a_value_and_no_interval_and_say_why() -> None:
    frame = make_predictions(seeds=2, test=100, prevalence=0.02)
    result = evaluate(frame, resamples=500, comparisons=PAIR)
    for entry in (result["cells"][0]["metrics"]["auroc"], of(result)):
        assert (entry["low"], entry["high"]) == (None, None)
        assert "few subjects" in entry["undefined"]
        assert entry["intervals"]["test_subjects"]["undefined"] == entry["undefined"]
    assert of(result)["p"] >= 0.05
    point = result["cells"][0]["net_benefit"]
    assert all("few subjects" in p["gain"]["undefined"] for p in point["points"]) or "undefined" in point


def test_defect_a_factor_of_labels_has_no_ends_that_few_subjects_cannot_give() -> None:
    frame = make_predictions(fractions=(0.1, 1.0), test=100, prevalence=0.03)
    cells = read_cells(frame)
    for entry in label_efficiency(cells, PAIR, Resampler(cells, 200, 0)):
        assert (entry["low"], entry["high"]) == (None, None)
        assert "few subjects" in entry["undefined"]


def test_defect_p_is_refused_where_the_interval_is() -> None:
    draws = np.r_[np.ones(940), np.full(60, np.nan)] + np.random.default_rng(0).normal(0, 0.1, 1000)
    assert interval(draws, 100) is None
    assert two_sided_p(draws, 100) is None
    assert two_sided_p(draws[:980], 100) is not None


def test_defect_both_causes_are_refused_where_the_interval_is() -> None:
    draws = np.random.default_rng(0).normal(size=(2, 1000))
    draws[0, :60] = np.nan
    found = named_intervals(np.array([0.1, 0.3]), draws, None, 100, why_none="no interval: so it is")["intervals"]
    assert found["both"]["low"] is None
    assert found["test_subjects"]["undefined"] == "no interval: so it is"
    assert found["seeds"]["low"] is not None
    draws[0, :60] = draws[1, :60]
    assert named_intervals(np.array([0.1, 0.3]), draws, (0.0, 1.0), 100)["intervals"]["both"]["low"] is not None


def test_defect_a_difference_lies_within_what_two_values_can_differ() -> None:
    frame = make_predictions(seeds=2, test=60, arms={"aligned": 3.0, "scratch": 0.0})
    swapped = (frame["arm"] == "scratch") & (frame["seed"] == 1)
    frame.loc[swapped, "score"] = np.where(frame.loc[swapped, "label"] == 1, 0.01, 0.99)
    entry = of(evaluate(frame, resamples=200, comparisons=PAIR))
    assert all(-1 <= entry["intervals"][k][end] <= 1 for k in ("seeds", "both") for end in ("low", "high"))


def perfect(frame: pd.DataFrame, arm: str) -> pd.DataFrame:
    own = frame["arm"] == arm
    return frame.assign(score=np.where(own, 0.05 + 0.9 * frame["label"] + 0.01 * frame["score"], frame["score"]))


def test_defect_a_perfect_model_has_no_interval_of_no_width_under_any_name() -> None:
    found = evaluate(perfect(make_predictions(seeds=2, arms={"a": 1.0}), "a"), resamples=60)["cells"][0]["metrics"]
    for name in ("test_subjects", "seeds", "both"):
        assert found["auroc"]["intervals"][name]["low"] is None
        assert "same value" in found["auroc"]["intervals"][name]["undefined"]


@pytest.mark.parametrize("prevalence", [0.2, 0.02])
def test_defect_perfect_minus_constant_has_neither_interval_nor_p(prevalence: float) -> None:
    frame = perfect(make_predictions(seeds=2, prevalence=prevalence), "aligned")
    frame.loc[frame["arm"] == "scratch", "score"] = 0.5
    entry = of(evaluate(frame, resamples=60, comparisons=PAIR))
    assert (entry["difference"], entry["low"], entry["high"], entry["p"]) == (0.5, None, None, None)
    assert "same value" in entry["undefined"]
    assert entry["p_holm"] is None


def test_the_same_predictions_differ_by_nothing_however_few_the_resamples() -> None:
    frame = make_predictions(seeds=2, arms={"aligned": 1.0})
    both = pd.concat([frame, frame.assign(arm="scratch")], ignore_index=True)
    entry = of(evaluate(both, resamples=5, comparisons=PAIR))
    assert (entry["difference"], entry["low"], entry["high"], entry["p"]) == (0.0, 0.0, 0.0, 1.0)
