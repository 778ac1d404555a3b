"""What validation settles, and that test labels never do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from cardiobind.evaluation.calibration import fit_platt
from cardiobind.evaluation.evaluate import evaluate
from cardiobind.evaluation.metrics import auroc, balanced_accuracy, brier
from cardiobind.evaluation.threshold import choose_threshold
from evaluation_fakes import make_predictions

Floats = NDArray[np.float64]


def sample(n: int = 60, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 4 == 0).astype(float)
    return labels, expit(labels + rng.normal(size=n) - 1)


def test_threshold_has_the_best_balanced_accuracy_of_all() -> None:
    labels, scores = sample()
    chosen = choose_threshold(labels, scores)
    assert chosen.value is not None
    best = max(balanced_accuracy(labels, (scores >= t).astype(float)) for t in np.unique(scores))
    assert balanced_accuracy(labels, (scores >= chosen.value).astype(float)) == pytest.approx(best)


def test_of_equally_good_thresholds_the_lowest_is_chosen() -> None:
    labels = np.array([0, 0, 0, 1, 0, 1, 1, 0, 1], float)
    scores = np.arange(1, 10) / 10
    chosen = choose_threshold(labels, scores)
    values = {t: balanced_accuracy(labels, (scores >= t).astype(float)) for t in np.arange(0.15, 0.9, 0.1)}
    best = max(values.values())
    assert chosen.value == pytest.approx(min(t for t, v in values.items() if v == best))


def test_threshold_separates_neighbouring_floats() -> None:
    low = 0.3
    high = np.nextafter(low, 1)
    labels = np.array([0, 0, 0, 1, 1, 1], float)
    chosen = choose_threshold(labels, np.array([low] * 3 + [high] * 3))
    assert chosen.value == high


@pytest.mark.parametrize(
    ("labels", "scores", "word"),
    [
        ([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4], "0 positive and 4 negative"),
        ([1, 1, 0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "2 positive"),
        ([1, 1, 1, 0, 0, 0], [0.5] * 6, "equal"),
        ([], [], "0 positive and 0 negative"),
    ],
)
def test_no_threshold_without_a_reason_to_trust_it(labels: list[int], scores: list[float], word: str) -> None:
    chosen = choose_threshold(np.array(labels, float), np.array(scores, float))
    assert chosen.value is None
    assert chosen.reason is not None
    assert word in chosen.reason
    assert fit_platt(np.array(labels, float), np.array(scores, float)).slope is None


@settings(max_examples=25, deadline=None)
@given(power=st.floats(0.3, 3.0), seed=st.integers(0, 100))
def test_a_monotone_transform_leaves_the_decisions(power: float, seed: int) -> None:
    labels, scores = sample(seed=seed)
    first, second = choose_threshold(labels, scores), choose_threshold(labels, scores**power)
    assert first.value is not None
    assert second.value is not None
    np.testing.assert_array_equal(scores >= first.value, scores**power >= second.value)


def test_platt_by_scikit_learn_on_softened_targets() -> None:
    labels, scores = sample(200)
    found = fit_platt(labels, scores)
    positives, negatives = labels.sum(), (1 - labels).sum()
    soft = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x, y = np.r_[logit(scores), logit(scores)][:, None], np.r_[np.ones(200), np.zeros(200)]
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(x, y, sample_weight=np.r_[soft, 1 - soft])
    assert found.slope == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert found.intercept == pytest.approx(model.intercept_[0], rel=1e-4)


def test_platt_keeps_the_order_and_mends_the_risk() -> None:
    labels, scores = sample(400)
    inflated = expit(3 * logit(scores) + 2)
    mended = fit_platt(labels, inflated).apply(inflated)
    assert auroc(labels, mended) == pytest.approx(auroc(labels, inflated))
    assert brier(labels, mended) < brier(labels, inflated)
    assert mended.mean() == pytest.approx(labels.mean(), abs=0.02)


def test_platt_is_finite_where_validation_is_separable() -> None:
    labels = np.array([0] * 10 + [1] * 5, float)
    found = fit_platt(labels, np.linspace(0.1, 0.9, 15))
    assert found.slope is not None
    assert np.isfinite(found.slope)


def test_platt_refuses_a_score_that_points_the_wrong_way() -> None:
    labels, scores = sample(200)
    found = fit_platt(labels, 1 - scores)
    assert found.reason is not None
    assert np.isnan(found.apply(scores)).all()


def test_defect_02_auroc_is_of_scores_and_not_of_argmax_labels() -> None:
    frame = make_predictions(seeds=1, arms={"aligned": 1.0})
    test = frame[frame["split"] == "test"]
    labels, scores = test["label"].to_numpy(), test["score"].to_numpy()
    cell = evaluate(frame, resamples=20)["cells"][0]
    of_scores, of_decisions = auroc(labels, scores), auroc(labels, (scores >= 0.5).astype(float))
    assert cell["metrics"]["auroc"]["value"] == pytest.approx(of_scores)
    assert abs(of_scores - of_decisions) > 0.02
    halved = frame.assign(score=frame["score"] / 4)
    assert evaluate(halved, resamples=20)["cells"][0]["metrics"]["auroc"]["value"] == pytest.approx(of_scores)


def test_defect_09_balanced_accuracy_does_not_depend_on_how_classes_were_weighted() -> None:
    frame = make_predictions(seeds=1, arms={"aligned": 1.5})
    doubly_weighted = frame.assign(score=expit(logit(frame["score"]) + 3))
    plain, shifted = (evaluate(f, resamples=20)["cells"][0]["metrics"] for f in (frame, doubly_weighted))
    assert shifted["balanced_accuracy"]["value"] == pytest.approx(plain["balanced_accuracy"]["value"])
    assert shifted["balanced_accuracy_at_half"]["value"] < plain["balanced_accuracy_at_half"]["value"] - 0.05
    assert {"auroc", "auprc"} <= set(plain)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_defect_14_test_labels_never_change_threshold_or_recalibration(seed: int) -> None:
    frame = make_predictions(seeds=1, validation=40, test=40)
    shuffled = frame.copy()
    rng = np.random.default_rng(seed)
    drawn = {s: float(rng.integers(0, 2)) for s in frame.loc[frame["split"] == "test", "subject"].unique()}
    rows = shuffled["split"] == "test"
    shuffled.loc[rows, "label"] = shuffled.loc[rows, "subject"].map(drawn)
    before, after = (evaluate(f, resamples=5)["cells"] for f in (frame, shuffled))
    for a, b in zip(before, after, strict=True):
        assert a["thresholds"] == b["thresholds"]
        assert a["recalibration"] == b["recalibration"]


def test_too_few_validation_positives_leave_decisions_undefined_and_scores_defined() -> None:
    frame = make_predictions(validation=10, prevalence=0.2)
    result = json.loads(json.dumps(evaluate(frame, resamples=50), allow_nan=False))
    for cell in result["cells"]:
        assert all(t["value"] is None and "2 positive" in t["undefined"] for t in cell["thresholds"])
        for name in ("balanced_accuracy", "sensitivity", "specificity", "brier_recalibrated"):
            assert cell["metrics"][name]["value"] is None
            assert "at least 3" in cell["metrics"][name]["undefined"]
        for name in ("auroc", "balanced_accuracy_at_half", "brier"):
            assert cell["metrics"][name]["value"] is not None
