"""Each statistic against scikit-learn, a slow loop or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from cardiobind.evaluation import metrics, resampled
from cardiobind.evaluation.bootstrap import count_blocks
from cardiobind.evaluation.logistic import fit_line, fit_shift
from cardiobind.evaluation.metrics import METRICS, metrics_of

Floats = NDArray[np.float64]


def sample(n: int = 90, seed: int = 0, *, ties: bool = False) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(float)
    scores = expit(1.2 * labels + rng.normal(size=n))
    return labels, np.round(scores, 1) if ties else scores


def counts_for(labels: Floats, resamples: int = 6) -> Floats:
    return next(count_blocks(labels.astype(np.int64), resamples, seed=3))


def pairs_auroc(labels: Floats, scores: Floats) -> float:
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0 for p in scores[labels == 1] for n in scores[labels == 0]
    ]  # fmt: skip
    return sum(wins) / len(wins)


def slow_average_precision(labels: Floats, scores: Floats) -> float:
    total, recall = 0.0, 0.0
    for level in sorted(set(scores), reverse=True):
        called = scores >= level
        new_recall = labels[called].sum() / labels.sum()
        total += (new_recall - recall) * labels[called].mean()
        recall = new_recall
    return float(total)


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_counts_pairs(ties: bool) -> None:
    labels, scores = sample(ties=ties)
    assert metrics.auroc(labels, scores) == pytest.approx(pairs_auroc(labels, scores), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_auprc_is_average_precision(ties: bool) -> None:
    labels, scores = sample(ties=ties)
    assert metrics.auprc(labels, scores) == pytest.approx(slow_average_precision(labels, scores), abs=1e-12)


def test_auprc_of_a_constant_score_is_the_prevalence() -> None:
    labels, _ = sample()
    assert metrics.auprc(labels, np.full(len(labels), 0.3)) == pytest.approx(labels.mean())


def test_decision_metrics_by_the_confusion_matrix() -> None:
    labels, scores = sample()
    decisions = (scores >= 0.6).astype(float)
    (tn, fp), (fn, tp) = reference.confusion_matrix(labels, decisions)
    assert metrics.sensitivity(labels, decisions) == pytest.approx(tp / (tp + fn))
    assert metrics.specificity(labels, decisions) == pytest.approx(tn / (tn + fp))
    assert metrics.balanced_accuracy(labels, decisions) == pytest.approx((tp / (tp + fn) + tn / (tn + fp)) / 2)


def test_brier_of_the_prevalence_is_its_variance() -> None:
    labels, _ = sample()
    share = labels.mean()
    assert metrics.brier(labels, np.full(len(labels), share)) == pytest.approx(share * (1 - share))


def test_ece_by_a_slow_loop() -> None:
    labels, scores = sample(200)
    order = np.argsort(scores)
    slow = sum(len(part) / 200 * abs(scores[part].mean() - labels[part].mean()) for part in np.split(order, 10))
    assert metrics.ece(labels, scores) == pytest.approx(slow, abs=1e-12)


def test_ece_of_risks_that_are_frequencies_is_zero() -> None:
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 1], float)
    assert metrics.ece(labels, np.repeat([0.25, 0.75], 4)) == pytest.approx(0.0, abs=1e-12)


def test_calibration_line_by_scikit_learn() -> None:
    labels, scores = sample(300)
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(logit(scores)[:, None], labels)
    intercept, slope = fit_line(logit(scores), labels, np.ones((1, 300)))[0]
    assert slope == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert intercept == pytest.approx(model.intercept_[0], rel=1e-4)
    assert metrics.calibration_slope(labels, scores) == pytest.approx(slope)


def test_calibration_intercept_makes_the_mean_risk_right() -> None:
    labels, scores = sample(300)
    shift = metrics.calibration_intercept(labels, scores)
    assert expit(logit(scores) + shift).mean() == pytest.approx(labels.mean(), abs=1e-9)


def test_a_calibrated_model_has_slope_one_and_intercept_zero() -> None:
    rng = np.random.default_rng(1)
    risk = expit(rng.normal(size=200_000))
    labels = (rng.random(200_000) < risk).astype(float)
    assert metrics.calibration_slope(labels, risk) == pytest.approx(1.0, abs=0.03)
    assert metrics.calibration_intercept(labels, risk) == pytest.approx(0.0, abs=0.03)


def test_separated_or_constant_scores_have_no_slope() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1], float)
    assert math.isnan(metrics.calibration_slope(labels, np.array([0.1, 0.2, 0.3, 0.7, 0.8, 0.9])))
    assert math.isnan(metrics.calibration_slope(labels, np.full(6, 0.4)))
    assert metrics.calibration_intercept(labels, np.full(6, 0.5)) == pytest.approx(0.0)


def test_scores_of_exactly_zero_and_one_are_finite() -> None:
    labels = np.array([0, 1, 0, 1, 0, 1], float)
    scores = np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])
    assert math.isfinite(metrics.calibration_slope(labels, scores))


@pytest.mark.parametrize("name", sorted(name for name, metric in metrics_of("binary").items() if metric.resampled))
@pytest.mark.parametrize("ties", [False, True])
def test_resampled_metrics_equal_the_metric_on_the_drawn_rows(name: str, ties: bool) -> None:
    metric = METRICS[name]
    assert metric.resampled is not None
    labels, values = sample(ties=ties)
    if metric.on.startswith("decision"):
        values = (values >= 0.5).astype(float)
    counts = counts_for(labels)
    for row, value in zip(counts, metric.resampled(labels, values, counts), strict=True):
        drawn = np.repeat(np.arange(len(labels)), row.astype(int))
        assert value == pytest.approx(metric.point(labels[drawn], values[drawn]), abs=1e-7)


@pytest.mark.parametrize("name", sorted(metrics_of("binary")))
def test_metrics_without_a_class_are_undefined_and_say_why(name: str) -> None:
    metric = METRICS[name]
    for label, word in ((0.0, "positive"), (1.0, "negative")):
        labels, values = np.full(5, label), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
        value = metric.point(labels, values)
        assert math.isnan(value) == (int(1 - label) in metric.needs)
        if math.isnan(value):
            assert metric.why_undefined(labels) == f"no {word} label in the test split"
    assert math.isnan(metric.point(np.empty(0), np.empty(0)))
    assert metric.why_undefined(np.empty(0)) == "no labelled rows in the test split"


def test_resampled_metrics_are_nan_where_a_resample_lacks_a_class() -> None:
    labels, scores = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.5, 0.6])
    counts = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, 1.0]])
    for function in (resampled.auroc, resampled.balanced_accuracy, resampled.calibration_intercept):
        value = function(labels, scores, counts)
        assert math.isnan(value[0])
        assert math.isfinite(value[1])
    only_positive = resampled.auprc(labels, scores, np.array([[0.0, 1.0, 1.0]]))
    assert math.isnan(only_positive[0])


def test_shift_of_many_resamples_equals_one_by_one() -> None:
    labels, scores = sample()
    counts = counts_for(labels)
    together = fit_shift(logit(scores), labels, counts)
    for row, shift in zip(counts, together, strict=True):
        assert fit_shift(logit(scores), labels, row[None])[0] == pytest.approx(shift, abs=1e-9)


def test_a_slope_needs_classes_that_overlap_strictly() -> None:
    x = np.array([0.0, 1.0, 2.0])
    for targets in ([0, 0, 1], [0, 1, 1], [1, 0, 0]):
        assert np.isnan(fit_line(x, np.array(targets, float), np.ones((1, 3)))).all()
    tied = fit_line(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]), np.ones((1, 3)))
    assert np.isnan(tied).all()
    assert np.isfinite(fit_line(x, np.array([0.0, 1.0, 0.0]), np.ones((1, 3)))).all()


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(st.booleans(), st.integers(-12, 12)), min_size=3, max_size=30))
def test_a_finite_line_is_a_maximum(rows: list[tuple[bool, int]]) -> None:
    targets, x = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows], float)
    intercept, slope = fit_line(x, targets, np.ones((1, len(rows))))[0]
    overlap = (targets == 1).any() and (targets == 0).any()
    overlap = (
        overlap and x[targets == 1].min() < x[targets == 0].max() and x[targets == 0].min() < x[targets == 1].max()
    )
    assert np.isfinite(slope) == overlap
    if overlap:
        residual = targets - expit(intercept + slope * x)
        assert abs(residual.sum()) < 1e-5
        assert abs((residual * x).sum()) < 1e-4


score_lists = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=40)


@settings(max_examples=40, deadline=None)
@given(rows=score_lists)
def test_a_monotone_transform_leaves_ranking_metrics(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([r[0] for r in rows], float)
    scores = np.array([r[1] for r in rows]) / 20
    for metric in (metrics.auroc, metrics.auprc):
        np.testing.assert_allclose(metric(labels, scores), metric(labels, scores**3 / 2 + 0.1), atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(rows=score_lists, seed=st.integers(0, 1000))
def test_the_order_of_rows_never_matters(rows: list[tuple[bool, int]], seed: int) -> None:
    labels = np.array([r[0] for r in rows], float)
    scores = np.array([r[1] for r in rows]) / 20
    order = np.random.default_rng(seed).permutation(len(rows))
    for metric in {metric.point: metric for metric in metrics_of("binary").values()}.values():
        values = (scores >= 0.5).astype(float) if metric.on.startswith("decision") else scores
        np.testing.assert_allclose(
            metric.point(labels, values), metric.point(labels[order], values[order]), atol=1e-6, rtol=1e-6
        )


@settings(max_examples=40, deadline=None)
@given(rows=score_lists)
def test_swapping_classes_and_scores_mirrors_auroc(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([r[0] for r in rows], float)
    scores = np.array([r[1] for r in rows]) / 20
    np.testing.assert_allclose(metrics.auroc(labels, scores), metrics.auroc(1 - labels, 1 - scores), atol=1e-12)
