"""The bootstrap, the paired comparison and ``metrics.json``."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from cardiobind import rng
from cardiobind.errors import InputError, SplitLeakageError, UnknownNameError
from cardiobind.evaluation import evaluate, markdown_table, table_rows
from cardiobind.evaluation.bootstrap import count_blocks, interval, subject_strata, two_sided_p
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.metrics import METRICS, auroc
from cardiobind.evaluation.resampled import auroc as resampled_auroc
from cardiobind.evaluation.resampler import Resampler
from cardiobind.evaluation.tables import estimate_text
from evaluation_fakes import make_predictions

Floats = NDArray[np.float64]


def test_each_class_keeps_its_size_in_each_resample() -> None:
    strata = np.array([0] * 30 + [1] * 7)
    counts = np.concatenate(list(count_blocks(strata, 200, seed=1)))
    assert counts.shape == (200, 37)
    assert (counts[:, strata == 0].sum(axis=1) == 30).all()
    assert (counts[:, strata == 1].sum(axis=1) == 7).all()
    assert counts.std(axis=0).min() > 0


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardiobind.evaluation.bootstrap._BLOCK_ELEMENTS", 100)
    blocks = list(count_blocks(np.zeros(30, np.int64), 10, seed=1))
    assert [len(b) for b in blocks] == [3, 3, 3, 1]


def test_a_subject_is_positive_if_one_visit_is() -> None:
    strata = subject_strata(np.array([0.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 2]))
    np.testing.assert_array_equal(strata, [1, 0, 0])


def test_resampling_equals_a_slow_loop_over_subjects_and_seeds() -> None:
    frame = two_visits(make_predictions(seeds=2, test=60, arms={"a": 1.0}))
    cell = read_cells(frame)[0]
    drawn = Resampler([cell], 8, seed=5).draws(cell, [METRICS["auroc"], METRICS["balanced_accuracy"]])
    fast = {name: found.mean(axis=0) for name, found in drawn.items()}
    strata = subject_strata(cell.labels, cell.subject_index)
    for i, counts in enumerate(next(count_blocks(strata, 8, seed=5))):
        drawn = np.concatenate(
            [np.tile(np.flatnonzero(cell.subject_index == s), int(k)) for s, k in enumerate(counts)]
        ).astype(int)
        for name, values in fast.items():
            metric = METRICS[name]
            slow = np.mean([metric.point(cell.labels[drawn], v[drawn]) for v in cell.values[metric.on]])
            assert values[i] == pytest.approx(slow, abs=1e-12)


def two_visits(frame: pd.DataFrame) -> pd.DataFrame:
    second = frame.assign(visit="3", score=np.clip(frame["score"] * 0.9 + 0.02, 0, 1))
    return pd.concat([frame, second], ignore_index=True)


def test_repeating_every_visit_does_not_narrow_the_interval() -> None:
    once = make_predictions(seeds=1, arms={"a": 1.0})
    twice = pd.concat([once, once.assign(visit="3")], ignore_index=True)
    a, b = (evaluate(f, resamples=200)["cells"][0] for f in (once, twice))
    assert b["n"] == 2 * a["n"]
    assert b["subjects"] == a["subjects"]
    for key in ("value", "low", "high"):
        assert b["metrics"]["auroc"][key] == pytest.approx(a["metrics"]["auroc"][key], abs=1e-12)


def test_interval_is_refused_where_resamples_are_undefined() -> None:
    assert interval(np.full(100, np.nan)) is None
    assert interval(np.r_[np.zeros(90), np.full(10, np.nan)]) is None
    assert interval(np.r_[np.zeros(97), np.full(3, np.nan)]) == (0.0, 0.0)
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


def test_p_is_never_zero_and_never_above_one() -> None:
    assert two_sided_p(np.ones(999)) == pytest.approx(2 / 1000)
    assert two_sided_p(np.zeros(999)) == 1.0
    assert two_sided_p(np.full(9, np.nan)) is None


def coverage(repeats: int, resamples: int, n: int) -> float:
    truth = float(norm.cdf(1 / math.sqrt(2)))
    hits = 0
    for repeat in range(repeats):
        noise = rng.generator(repeat, "test-coverage").normal(size=n)
        labels: Floats = (np.arange(n) < n // 4).astype(float)
        scores = noise + labels
        counts = np.concatenate(list(count_blocks(labels.astype(np.int64), resamples, seed=repeat)))
        bounds = interval(resampled_auroc(labels, scores, counts))
        assert bounds is not None
        hits += bounds[0] <= truth <= bounds[1]
    return hits / repeats


def test_the_interval_holds_the_truth_about_95_times_in_100() -> None:
    assert 0.9 <= coverage(repeats=200, resamples=300, n=120) <= 0.99


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_a_long_simulation() -> None:
    assert 0.93 <= coverage(repeats=2000, resamples=1000, n=200) <= 0.97


def test_values_are_means_over_seeds_and_spread_stands_apart() -> None:
    frame = make_predictions(seeds=3, arms={"a": 1.0})
    estimate = evaluate(frame, resamples=60)["cells"][0]["metrics"]["auroc"]
    test = frame[frame["split"] == "test"]
    values = [auroc(g["label"].to_numpy(), g["score"].to_numpy()) for _, g in test.groupby("seed")]
    assert estimate["value"] == pytest.approx(np.mean(values))
    assert estimate["seed_sd"] == pytest.approx(np.std(values, ddof=1))
    assert (estimate["seed_min"], estimate["seed_max"]) == pytest.approx((min(values), max(values)))
    assert estimate["low"] < estimate["value"] < estimate["high"]


def test_one_seed_has_no_spread() -> None:
    cell = evaluate(make_predictions(seeds=1), resamples=20)["cells"][0]
    assert cell["metrics"]["auroc"]["seed_sd"] is None


def test_the_order_of_rows_never_matters() -> None:
    frame = make_predictions()
    shuffled = frame.sample(frac=1, random_state=3)
    first, second = (evaluate(f, resamples=50, comparisons=[("aligned", "scratch")]) for f in (frame, shuffled))
    by_arm = [sorted(result["cells"], key=lambda c: str(c["arm"])) for result in (first, second)]
    assert json.dumps(by_arm[0]) == json.dumps(by_arm[1])
    assert first["comparisons"] == second["comparisons"]


def test_same_seed_same_numbers_and_another_seed_others() -> None:
    frame = make_predictions()
    one, again, other = (evaluate(frame, resamples=50, seed=s) for s in (1, 1, 2))
    assert json.dumps(one) == json.dumps(again)
    assert one["cells"][0]["metrics"]["auroc"] != other["cells"][0]["metrics"]["auroc"]


def test_paired_difference_of_a_model_with_itself_is_zero() -> None:
    frame = make_predictions(arms={"a": 1.0})
    both = pd.concat([frame, frame.assign(arm="copy")], ignore_index=True)
    for entry in evaluate(both, resamples=50, comparisons=[("a", "copy")])["comparisons"]:
        assert (entry["difference"], entry["low"], entry["high"], entry["p"]) == (0.0, 0.0, 0.0, 1.0)


def test_swapping_the_arms_turns_the_sign() -> None:
    frame = make_predictions()
    result = evaluate(frame, resamples=60, comparisons=[("aligned", "scratch"), ("scratch", "aligned")])
    half = len(result["comparisons"]) // 2
    for a, b in zip(result["comparisons"][:half], result["comparisons"][half:], strict=True):
        assert a["difference"] == pytest.approx(-b["difference"])
        assert (a["low"], a["high"]) == pytest.approx((-b["high"], -b["low"]))
        assert a["p"] == b["p"]


def test_pairing_narrows_the_interval_of_correlated_models() -> None:
    frame = make_predictions(arms={"a": 1.0}, seeds=1)
    noise = np.random.default_rng(0).normal(0, 0.05, len(frame))
    near = frame.assign(arm="b", score=np.clip(frame["score"] + noise, 0, 1))
    result = evaluate(pd.concat([frame, near]), resamples=300, comparisons=[("a", "b")])
    difference = next(e for e in result["comparisons"] if e["metric"] == "auroc")
    single = result["cells"][0]["metrics"]["auroc"]
    assert difference["high"] - difference["low"] < 0.6 * (single["high"] - single["low"])


def test_a_better_model_is_found_better() -> None:
    frame = make_predictions(arms={"good": 2.5, "poor": 0.2}, test=300)
    entry = evaluate(frame, resamples=200, comparisons=[("good", "poor")])["comparisons"][0]
    assert entry["metric"] == "auroc"
    assert entry["low"] > 0
    assert entry["p"] < 0.05


def test_comparison_uses_the_subjects_that_both_were_tested_on() -> None:
    frame = make_predictions()
    gone = (frame["arm"] == "scratch") & frame["subject"].isin(["SIM-100000", "SIM-100159"])
    result = evaluate(frame[~gone], resamples=20, comparisons=[("aligned", "scratch")])
    assert [cell["n"] for cell in result["cells"]] == [160, 158]
    assert {entry["n"] for entry in result["comparisons"]} == {158}


def test_the_result_is_json_without_nan_whatever_is_undefined() -> None:
    frame = make_predictions(inputs=("ecg", "cmr"))
    frame.loc[(frame["inputs"] == "cmr") & (frame["split"] == "test"), "score"] = 0.5
    frame = frame[~((frame["inputs"] == "cmr") & (frame["split"] == "test") & (frame["label"] == 1))]
    result = evaluate(frame, resamples=20, comparisons=[("aligned", "scratch")])
    again = json.loads(json.dumps(result, allow_nan=False))
    cmr = next(cell for cell in again["cells"] if cell["inputs"] == "cmr")
    assert cmr["metrics"]["auroc"] == {
        "value": None, "low": None, "high": None, "undefined": "no positive label in the test split",
    }  # fmt: skip
    undefined = [e for e in again["comparisons"] if e["inputs"] == "cmr" and e["metric"] == "auroc"]
    assert undefined[0]["difference"] is None
    assert "no positive" in undefined[0]["undefined"]


def test_a_model_without_labelled_test_rows_is_listed_and_undefined() -> None:
    frame = make_predictions()
    frame.loc[(frame["arm"] == "scratch") & (frame["split"] == "test"), "label"] = np.nan
    result = evaluate(frame, resamples=20, comparisons=[("aligned", "scratch")])
    empty = json.loads(json.dumps(result, allow_nan=False))["cells"][1]
    assert (empty["n"], empty["subjects"], empty["unlabelled"]) == (0, 0, 160)
    assert empty["metrics"]["brier"]["undefined"] == "no labelled rows in the test split"
    assert all(entry["difference"] is None for entry in result["comparisons"])


def test_unlabelled_rows_are_counted_and_left_out() -> None:
    frame = make_predictions()
    frame.loc[frame["subject"] == "SIM-100003", "label"] = np.nan
    cell = evaluate(frame, resamples=20)["cells"][0]
    assert (cell["n"], cell["unlabelled"]) == (159, 1)


def test_oracle_is_passed_through() -> None:
    oracle = [{"task": "mi", "inputs": "ecg", "metrics": {"auroc": 0.9}}]
    assert evaluate(make_predictions(), resamples=5, oracle=oracle)["oracle"] == oracle


def test_defect_06_labels_paired_with_the_wrong_rows_are_refused() -> None:
    frame = make_predictions()
    rows = (frame["arm"] == "scratch") & (frame["split"] == "test")
    frame.loc[rows, "label"] = frame.loc[rows, "label"].to_numpy()[::-1]
    with pytest.raises(InputError, match="different labels"):
        evaluate(frame, resamples=5)


def broken(column: str, value: object) -> pd.DataFrame:
    frame = make_predictions()
    frame[column] = frame[column].astype(object)
    frame.loc[0, column] = value
    return frame if column == "split" else frame.assign(**{column: frame[column].astype(float)})


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (make_predictions().drop(columns="visit"), "lack columns"),
        (make_predictions().iloc[:0], "no predictions"),
        (broken("split", "train"), "neither validation nor test"),
        (broken("score", 1.2), "outside"),
        (broken("score", np.nan), "outside"),
        (broken("label", 2.0), "other than 0, 1"),
        (pd.concat([make_predictions(), make_predictions().iloc[:1]]), "twice"),
        (make_predictions().drop(index=make_predictions().query("split == 'test'").index[0]), "different subjects"),
    ],
)
def test_frames_that_break_the_contract_are_refused(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        evaluate(frame, resamples=5)
    assert "SIM-" not in str(caught.value)


def test_a_subject_in_validation_and_test_is_refused_without_naming_it() -> None:
    frame = make_predictions()
    frame.loc[frame["subject"] == "SIM-000000", "subject"] = "SIM-100000"
    frame.loc[(frame["subject"] == "SIM-100000") & (frame["split"] == "validation"), "visit"] = "1"
    with pytest.raises(SplitLeakageError, match="1 subjects") as caught:
        evaluate(frame, resamples=5)
    assert "SIM-" not in str(caught.value)


def test_comparisons_that_cannot_be_made_are_refused() -> None:
    frame = make_predictions()
    with pytest.raises(InputError, match="no predictions of that arm"):
        evaluate(frame, resamples=5, comparisons=[("aligned", "nobody")])
    frame.loc[frame["arm"] == "scratch", "inputs"] = "cmr"
    with pytest.raises(InputError, match="share no task"):
        evaluate(frame, resamples=5, comparisons=[("aligned", "scratch")])
    with pytest.raises(InputError, match="resamples"):
        evaluate(make_predictions(), resamples=0)


def test_table_rows_are_rectangular_and_start_with_a_header() -> None:
    metrics = evaluate(make_predictions(fractions=(0.1, 1.0)), resamples=20)
    rows = table_rows(metrics, ["auroc", "ece"])
    assert rows[0][-2:] == ["AUROC", "ECE"]
    assert {len(row) for row in rows} == {8}
    assert [row[3] for row in rows[1:]] == ["10 %", "100 %", "10 %", "100 %"]
    with pytest.raises(UnknownNameError, match="auroc"):
        table_rows(metrics, ["aurocc"])


def test_markdown_table_explains_what_is_undefined() -> None:
    metrics = evaluate(make_predictions(validation=10), resamples=20)
    text = markdown_table(metrics, ["auroc", "balanced_accuracy"])
    assert text.count("\n| aligned") == 0
    assert "| mi | aligned | ecg | 100 % | 2 | 160 (32) |" in text
    assert "at least 3 of each are needed" in text


def test_tables_say_which_interval_they_show() -> None:
    metrics = evaluate(make_predictions(seeds=3), resamples=20)
    of_subjects, of_both = (markdown_table(metrics, ["auroc"], interval=name) for name in ("test_subjects", "both"))
    assert "In brackets: 95 % interval over other test subjects, the trained models as they are" in of_subjects
    assert "over other test subjects and other trainings" in of_both
    shown = metrics["cells"][0]["metrics"]["auroc"]["intervals"]["both"]
    assert f"({shown['low']:.3f}–{shown['high']:.3f})" in of_both
    with pytest.raises(UnknownNameError, match="seeds"):
        table_rows(metrics, ["auroc"], interval="seed")


def test_estimates_read_well() -> None:
    assert estimate_text({"value": 0.8123, "low": 0.77, "high": 0.85}) == "0.812 (0.770–0.850)"
    assert estimate_text({"value": -0.01, "low": -0.02, "high": 0.001}) == "−0.010 (−0.020 to 0.001)"
    assert estimate_text({"value": 0.2, "low": None, "high": None}) == "0.200"
    assert estimate_text({"value": None}) == "–"


def test_a_thousand_resamples_take_little_time() -> None:
    frame = make_predictions(seeds=1, test=500, arms={f"arm {i}": 1.0 for i in range(3)})
    result = evaluate(frame.assign(score=expit(frame["score"])), resamples=1000)
    assert len(result["cells"]) == 3
