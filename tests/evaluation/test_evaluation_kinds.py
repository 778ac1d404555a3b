"""Numbers, times and several labels: metrics against slow loops and references, intervals, tables and the page."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn import metrics as reference

from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate, markdown_table
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.metrics import METRICS, metrics_of
from cardiobind.evaluation.report import Report, render
from cardiobind.evaluation.time_to_event import kaplan_meier, risk_groups
from cardiobind.tasks.concordance import concordance

KINDS = ("regression", "survival", "multilabel")
LABELS = ("a", "b", "c")


def frame(kind: str, n: int = 120, seeds: int = 2, seed: int = 0) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    state = g.normal(size=n)
    keys = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(n)], "visit": "2", "inputs": "ecg", "fraction": 1.0})
    keys["split"], keys["task"], keys["kind"] = np.where(np.arange(n) % 4 == 0, "validation", "test"), kind, kind
    if kind == "regression":
        keys["label"] = 55 + 8 * state
    if kind == "survival":
        keys["label"], keys["time_days"] = (g.random(n) < 0.5).astype(float), np.ceil(900 * np.exp(-state))
    noise = {"good": 0.5, "poor": 3.0}
    rows = []
    for arm, sd in noise.items():
        for s in range(seeds):
            score = state + sd * g.normal(size=n)
            said = 55 + 8 * score if kind == "regression" else 1 / (1 + np.exp(-score))
            if kind != "multilabel":
                rows.append(keys.assign(arm=arm, seed=s, score=said))
                continue
            for k, name in enumerate(LABELS):
                label = np.where(np.arange(n) % 7 == k, np.nan, (state > 0.3 * k).astype(float))
                rows.append(keys.assign(arm=arm, seed=s, output=name, label=label, score=said))
    return pd.concat(rows, ignore_index=True)


def slow_concordance(time, event, score):
    right = pairs = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] == 1 and (time[i] < time[j] or (time[i] == time[j] and event[j] == 0)):
                pairs += 1
                right += 1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0
    return right / pairs if pairs else float("nan")


@pytest.mark.parametrize("seed", range(4))
def test_concordance_equals_the_loop_over_all_pairs(seed):
    g = np.random.default_rng(seed)
    time, event = g.integers(1, 12, 40).astype(float), (g.random(40) < 0.5).astype(float)
    score = g.integers(0, 9, 40).astype(float)
    assert concordance(time, event, score) == pytest.approx(slow_concordance(time, event, score))


def test_concordance_has_closed_forms():
    time = np.arange(1.0, 9.0)
    assert concordance(time, np.ones(8), -time) == 1.0
    assert concordance(time, np.ones(8), time) == 0.0
    assert concordance(time, np.ones(8), np.zeros(8)) == 0.5
    for event, size in ((np.zeros(8), 8), (np.ones(1), 1), (np.ones(0), 0)):
        assert np.isnan(concordance(time[:size], event[:size], time[:size]))
    score, event = np.random.default_rng(0).normal(size=8), np.array([1, 0, 1, 1, 0, 1, 0, 0.0])
    assert concordance(time, event, score) == pytest.approx(1 - concordance(time, event, -score))
    assert concordance(time, event, score) == pytest.approx(concordance(time**2, event, np.exp(score)))


def test_concordance_without_censoring_at_two_times_is_auroc():
    score, early = np.random.default_rng(0).normal(size=50), np.arange(50) < 20
    found = concordance(np.where(early, 1.0, 2.0), early.astype(float), score)
    assert found == pytest.approx(reference.roc_auc_score(early, score))


@pytest.mark.parametrize("name", ["r2", "mae", "rmse", "pearson"])
def test_numbers_are_measured_as_the_references_do(name):
    g = np.random.default_rng(0)
    y = 50 + 9 * g.normal(size=60)
    v = y + 5 * g.normal(size=60)
    expected = {
        "r2": reference.r2_score(y, v), "mae": reference.mean_absolute_error(y, v),
        "rmse": reference.root_mean_squared_error(y, v), "pearson": pearsonr(y, v)[0],
    }[name]  # fmt: skip
    assert METRICS[name].point(y, v) == pytest.approx(expected)


def test_numbers_without_spread_have_no_share_of_variance():
    y = np.full(5, 3.0)
    assert np.isnan(METRICS["r2"].point(y, y))
    assert np.isnan(METRICS["pearson"].point(y, np.arange(5.0)))
    assert METRICS["mae"].point(y, y) == 0.0
    for name in metrics_of("regression"):
        assert np.isnan(METRICS[name].point(np.empty(0), np.empty(0)))


@pytest.mark.parametrize("kind", KINDS)
def test_resampled_metrics_equal_the_metric_on_the_drawn_rows(kind):
    cell = read_cells(frame(kind))[0]
    counts = np.random.default_rng(0).poisson(1.0, (4, len(cell.labels))).astype(float)
    for metric in metrics_of(kind).values():
        score = cell.values[metric.on][0]
        drawn = [np.repeat(np.arange(len(score)), row.astype(int)) for row in counts]
        expected = [metric.point(cell.labels[rows], score[rows]) for rows in drawn]
        np.testing.assert_allclose(metric.resampled(cell.labels, score, counts), expected, rtol=1e-9)


def test_the_macro_mean_leaves_unknown_labels_out():
    cell = read_cells(frame("multilabel"))[0]
    score = cell.values["score"][0]
    known = np.isfinite(cell.labels)
    each = [reference.roc_auc_score(cell.labels[known[:, k], k], score[known[:, k], k]) for k in range(3)]
    assert METRICS["macro_auroc"].point(cell.labels, score) == pytest.approx(np.mean(each))


def test_kaplan_meier_equals_the_product_written_out():
    time, event = np.array([1.0, 2, 2, 3, 4, 4]), np.array([1.0, 1, 0, 0, 1, 1])
    curve = kaplan_meier(time, event)
    assert curve.time.tolist() == [0, 1, 2, 4]
    assert curve.at_risk.tolist() == [6, 6, 5, 2]
    np.testing.assert_allclose(curve.survival, [1, 5 / 6, 5 / 6 * 4 / 5, 0])
    assert curve.at(3.5) == pytest.approx(2 / 3)
    assert kaplan_meier(np.array([5.0]), np.zeros(1)).survival.tolist() == [1.0]


def test_groups_of_risk_are_equally_large():
    assert np.bincount(risk_groups(np.random.default_rng(0).normal(size=90))).tolist() == [30, 30, 30]
    assert np.unique(risk_groups(np.zeros(9))).size == 1


@pytest.mark.parametrize("kind", KINDS)
def test_results_have_values_intervals_comparisons_and_a_page(kind):
    predictions = frame(kind)
    metrics = evaluate(predictions, resamples=100, comparisons=[("good", "poor")])
    json.dumps(metrics, allow_nan=False)
    cell = metrics["cells"][0]
    assert (cell["kind"], cell["task"], cell["n"]) == (kind, kind, 90)
    first = next(iter(metrics_of(kind)))
    assert cell["metrics"][first]["low"] < cell["metrics"][first]["value"] < cell["metrics"][first]["high"]
    assert set(cell["metrics"]) == set(metrics_of(kind))
    assert cell["thresholds"] == cell["recalibration"] == []
    difference = next(c for c in metrics["comparisons"] if c["metric"] == first)
    assert difference["difference"] > 0
    assert METRICS[first].title in markdown_table(metrics)
    drawn = None if kind == "multilabel" else predictions  # its pictures are those of binary endpoints
    page = render(Report(title="t", metrics=metrics, predictions=drawn))
    assert METRICS[first].title in page
    assert "SIM-" not in page


def test_several_labels_are_also_measured_one_by_one():
    metrics = evaluate(frame("multilabel"), resamples=100)
    tasks = [cell["task"] for cell in metrics["cells"] if cell["arm"] == "good"]
    assert tasks == ["multilabel", *(f"multilabel: {name}" for name in LABELS)]
    one = metrics["cells"][1]
    assert one["kind"] == "binary"
    assert one["thresholds"][0]["value"] is not None
    assert one["n"] < metrics["cells"][0]["n"]


def test_kinds_may_stand_in_one_frame_and_binary_needs_no_column():
    both = pd.concat([frame("regression"), frame("survival")], ignore_index=True)
    assert [cell["kind"] for cell in evaluate(both, resamples=100)["cells"]] == ["regression"] * 2 + ["survival"] * 2
    binary = frame("survival").drop(columns=["kind", "time_days"])
    assert {cell.kind for cell in read_cells(binary)} == {"binary"}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("regression", lambda f: f.assign(score=np.nan), "not finite"),
        ("survival", lambda f: f.drop(columns="time_days"), "without times"),
        ("survival", lambda f: f.assign(time_days=-1.0), "no time and event"),
        ("survival", lambda f: f.assign(label=0.5), "no time and event"),
        ("survival", lambda f: f.assign(time_days=f["time_days"] + f["seed"]), "different labels"),
        ("multilabel", lambda f: f.drop(columns="output"), "without names"),
        ("multilabel", lambda f: f.assign(score=7.0), "outside"),
        ("multilabel", lambda f: f[(f["output"] != "b") | (f["subject"] != "SIM-000001")], "different subjects"),
        ("regression", lambda f: f.assign(kind="ordinal"), "unknown kind"),
    ],
)
def test_rows_that_are_not_of_their_kind_are_refused(kind, change, message):
    with pytest.raises(InputError if message != "unknown kind" else Exception, match=message):
        read_cells(change(frame(kind)))
