"""Subgroups, missing modalities, labels that a baseline needs, the gap to the oracle."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression

from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate
from cardiobind.evaluation.label_efficiency import labels_needed, rising
from cardiobind.evaluation.subgroups import SMALL_LEVELS
from evaluation_fakes import make_predictions

ECG_AND_TABLE = "ecg+tabular"


def with_sex(frame: pd.DataFrame) -> pd.DataFrame:
    number = frame["subject"].str[-3:].astype(int)
    return frame.assign(
        group_sex=np.where(number % 4 == 0, "female", "male"), group_age=np.where(number < 6, "old", None)
    )


def test_subgroups_count_all_rows_and_equal_the_evaluation_of_their_rows() -> None:
    frame = with_sex(make_predictions(seeds=2, arms={"a": 1.0}, test=400))
    groups = evaluate(frame, resamples=60)["cells"][0]["subgroups"]
    assert [(g["group"], g["level"], g["n"], g["positives"]) for g in groups] == [
        ("sex", "female", 100, 20), ("sex", "male", 300, 60), ("age", "unknown", 394, 74),
        ("age", SMALL_LEVELS, 6, None),
    ]  # fmt: skip
    women = frame[(frame["group_sex"] == "female") | (frame["split"] == "validation")]
    alone = evaluate(women.drop(columns=["group_sex", "group_age"]), resamples=60)["cells"][0]
    for name, estimate in groups[0]["metrics"].items():
        assert estimate["value"] == pytest.approx(alone["metrics"][name]["value"])
        assert estimate["low"] == pytest.approx(alone["metrics"][name]["low"])


def test_groups_with_too_few_of_a_class_are_counted_and_not_measured() -> None:
    frame = make_predictions(seeds=1, test=400)
    old = frame["subject"].str[-3:].astype(int).between(71, 95)
    groups = evaluate(frame.assign(group_age=np.where(old, "old", "young")), resamples=20)["cells"][0]["subgroups"]
    assert (groups[0]["level"], groups[0]["n"], groups[0]["metrics"]) == ("old", 25, {})
    assert groups[0]["undefined"] == "too few: 9 positive and 16 negative subjects, 10 of each needed"


def test_nobody_is_known_by_a_level() -> None:
    frame = make_predictions(seeds=1, validation=5, test=15)
    named = frame.assign(group_patient=frame["subject"])
    found = evaluate(named, resamples=5, comparisons=[("aligned", "scratch")])
    assert "SIM-" not in json.dumps(found)
    (alone,) = found["cells"][0]["subgroups"]
    assert (alone["level"], alone["n"], alone["positives"], alone["metrics"]) == (SMALL_LEVELS, 15, None, {})
    assert found["subgroup_differences"] == []


def test_a_column_of_too_many_levels_is_refused_without_a_word_of_them() -> None:
    frame = make_predictions(seeds=1)
    with pytest.raises(InputError, match="too many levels") as caught:
        evaluate(frame.assign(group_patient=frame["subject"]), resamples=5)
    assert "group_patient" in str(caught.value)
    assert "SIM-" not in str(caught.value)


def test_differences_in_a_group_are_those_of_its_subjects_alone() -> None:
    frame = with_sex(make_predictions(seeds=2, test=400))
    pair = [("aligned", "scratch")]
    found = evaluate(frame, resamples=60, comparisons=pair)["subgroup_differences"]
    women = frame[(frame["group_sex"] == "female") | (frame["split"] == "validation")]
    alone = evaluate(women, resamples=60, comparisons=pair)["comparisons"]
    for name in ("auroc", "balanced_accuracy"):
        one = next(e for e in found if (e["level"], e["metric"]) == ("female", name))
        other = next(e for e in alone if e["metric"] == name)
        assert [one[k] for k in ("n", "difference", "low", "high", "p")] == [
            other[k] for k in ("n", "difference", "low", "high", "p")
        ]
        assert one["family"] == f"subgroup_differences: {name}"
    assert {(e["group"], e["level"]) for e in found} == {("sex", "female"), ("sex", "male"), ("age", "unknown")}


def test_without_group_columns_there_are_no_subgroups() -> None:
    assert evaluate(make_predictions(), resamples=5)["cells"][0]["subgroups"] == []


def test_missing_modalities_are_compared_with_all_of_them_on_the_same_subjects() -> None:
    frame = make_predictions(inputs=("ecg", ECG_AND_TABLE), arms={"a": 2.0}, test=200)
    gone = (frame["inputs"] == ECG_AND_TABLE) & (frame["split"] == "test") & (frame["subject"] > "SIM-100149")
    entries = evaluate(frame[~gone], resamples=50)["missingness"]
    assert {(e["full"], e["shown"], e["removed"], e["n"]) for e in entries} == {(ECG_AND_TABLE, "ecg", "tabular", 150)}
    first = entries[0]
    assert first["metric"] == "auroc"
    assert first["difference"] == pytest.approx(first["value"] - first["value_full"])
    assert first["family"] == "missingness: auroc"
    assert first["low"] < first["difference"] < first["high"]


def test_a_modality_that_a_model_does_not_see_is_no_gain_and_no_test() -> None:
    """A risk score has the table alone, whatever set it is scored on; it shall not make the family larger."""
    sees = make_predictions(inputs=("tabular", "cmr+ecg+tabular"), arms={"network": 1.0})
    blind = make_predictions(inputs=("tabular",), arms={"risk score": 1.0})
    fewer = blind[blind["subject"] < "SIM-100120"]
    frame = pd.concat([sees, blind, fewer.assign(inputs=ECG_AND_TABLE), fewer.assign(inputs="cmr+ecg+tabular")])
    found = evaluate(frame, resamples=30)
    assert {e["arm"] for e in found["missingness"]} == {"network"}
    assert found["smaller_inputs"] == []
    assert {e["family_size"] for e in found["missingness"]} == {1}
    one_seed_differs = frame["score"].where(
        ~((frame["inputs"] == ECG_AND_TABLE) & (frame["seed"] == 1)), frame["score"] * 0.9
    )
    entries = evaluate(frame.assign(score=one_seed_differs), resamples=30)
    assert {(e["full"], e["shown"]) for e in entries["smaller_inputs"]} == {(ECG_AND_TABLE, "tabular")}


def test_other_sets_of_inputs_are_not_missing_ones() -> None:
    assert evaluate(make_predictions(inputs=("ecg", "cmr")), resamples=5)["missingness"] == []


def test_rising_curves_are_scikit_learns_isotonic_regression() -> None:
    values = np.random.default_rng(0).normal(size=(20, 5))
    expected = [IsotonicRegression().fit(np.arange(5), row).predict(np.arange(5)) for row in values]
    np.testing.assert_allclose(rising(values), expected, atol=1e-12)


def test_labels_needed_have_closed_forms() -> None:
    fractions = np.array([0.01, 0.1, 1.0])
    curve = np.array([[0.6, 0.7, 0.8]])

    def share(wanted: float, values: Any = curve) -> float:
        return float(np.exp(labels_needed(fractions, values, np.array([wanted]))[0]))

    assert share(0.6) == pytest.approx(0.01)
    assert share(0.7) == pytest.approx(0.1)
    assert share(0.75) == pytest.approx(np.sqrt(0.1))
    assert share(0.81) == np.inf
    assert share(0.59) == 0.0
    assert np.isnan(share(np.nan))
    assert np.isnan(share(0.6, np.array([[0.6, np.nan, 0.8]])))
    assert share(0.7, np.array([[0.6, 0.7, 0.7]])) == pytest.approx(0.1)
    assert share(0.65, np.array([[0.7, 0.6, 0.8]])) == pytest.approx(0.01)


def curve_of(effects: dict[float, float], arm: str) -> pd.DataFrame:
    frames = [make_predictions(arms={arm: effect}, fractions=(f,), test=400) for f, effect in effects.items()]
    return pd.concat(frames, ignore_index=True)


def factors(strong: dict[float, float]) -> dict[float, dict[str, Any]]:
    frame = pd.concat([curve_of({0.01: 0.5, 0.1: 1.0, 1.0: 1.5}, "base"), curve_of(strong, "strong")])
    result = evaluate(frame, resamples=60, comparisons=[("strong", "base")])
    json.dumps(result, allow_nan=False)
    return {e["fraction"]: e for e in result["label_efficiency"] if e["metric"] == "auroc"}


def test_the_factor_is_the_labels_of_the_baseline_over_those_of_the_arm() -> None:
    found = factors({0.01: 1.0, 0.1: 1.25, 1.0: 3.0})
    assert found[0.01]["factor"] == pytest.approx(10.0, rel=0.5)
    assert found[0.01]["low"] < 10 < found[0.01]["high"]
    assert found[0.1]["factor"] == pytest.approx(np.sqrt(10), rel=0.5)
    assert (found[1.0]["factor"], found[1.0]["bound"]) == (1.0, ">")
    assert found[1.0]["baseline_fractions"] == [0.01, 0.1, 1.0]


def test_an_arm_equal_to_the_baseline_needs_as_many_labels() -> None:
    found = factors({0.01: 0.5, 0.1: 1.0, 1.0: 1.5})
    assert [round(e["factor"], 6) for e in found.values()] == [1.0, 1.0, 1.0]
    assert found[0.1]["low"] <= 1.0 <= found[0.1]["high"]


def test_factors_beyond_the_shares_that_were_tried_are_censored() -> None:
    found = factors({0.01: 2.5, 0.1: 0.1, 1.0: 1.5})
    assert (found[0.01]["factor"], found[0.01]["bound"], found[0.01]["high_bound"]) == (100.0, ">", ">")
    assert (round(found[0.1]["factor"], 6), found[0.1]["bound"]) == (0.1, "<")


def test_one_share_of_labels_has_no_factor() -> None:
    entry = evaluate(make_predictions(), resamples=5, comparisons=[("aligned", "scratch")])["label_efficiency"][0]
    assert entry["factor"] is None
    assert "one share" in entry["undefined"]


def gap(best: float, arm: float = 1.0) -> dict[str, Any]:
    frame = make_predictions(arms={"arm": arm, "base": 0.3}, test=500)
    oracle = make_predictions(arms={"oracle": best}, test=500, seeds=1)
    result = evaluate(frame, resamples=100, comparisons=[("arm", "base")], ceiling=oracle)
    assert result["oracle"][0]["arm"] == "oracle"
    found: dict[str, Any] = next(e for e in result["gap_closed"] if e["metric"] == "auroc")
    return found


def test_the_share_of_the_gap_is_the_gain_over_what_could_be_gained() -> None:
    found = gap(2.5)
    parts = [found[k] for k in ("arm_value", "baseline_value", "oracle_value")]
    assert found["share"] == pytest.approx((parts[0] - parts[1]) / (parts[2] - parts[1]))
    assert found["low"] < found["share"] < found["high"]
    assert found["intervals"]["both"]["low"] is not None


def test_there_is_no_share_of_a_gap_that_is_none() -> None:
    assert "no gap" in gap(0.0)["undefined"]
    unclear = gap(0.45)
    assert unclear["share"] is not None
    assert unclear["low"] is None
    assert "gap is not above 0" in unclear["undefined"]


def test_comparisons_of_unknown_arms_are_refused_here_too() -> None:
    with pytest.raises(InputError, match="no predictions of that arm"):
        evaluate(make_predictions(), resamples=5, comparisons=[("aligned", "nobody")])


def test_of_numbers_agreement_has_closed_forms() -> None:
    g = np.random.default_rng(0)
    keys = pd.DataFrame({
        "subject": [f"SIM-{i:06d}" for i in range(200)], "visit": "2", "arm": "a", "inputs": "ecg", "fraction": 1.0,
        "seed": 0, "task": "lvef_percent", "kind": "regression",
        "split": np.where(np.arange(200) < 50, "validation", "test"),
        "label": 55 + 8 * g.normal(size=200),
    })  # fmt: skip
    frame = keys.assign(score=0.5 * keys["label"] + 30 + g.normal(size=200))
    found = evaluate(frame, resamples=100)["cells"][0]["metrics"]
    test = frame[frame["split"] == "test"]
    difference = test["score"] - test["label"]
    assert found["bias"]["value"] == pytest.approx(difference.mean())
    limits = difference.mean() - 1.96 * difference.std(ddof=1), difference.mean() + 1.96 * difference.std(ddof=1)
    assert (found["loa_low"]["value"], found["loa_high"]["value"]) == pytest.approx(limits)
    assert found["linear_slope"]["value"] == pytest.approx(np.polyfit(test["score"], test["label"], 1)[0])
    assert found["loa_low"]["low"] < limits[0] < found["loa_low"]["high"]
