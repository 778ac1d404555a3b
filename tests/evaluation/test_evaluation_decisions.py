"""Decisions at a stated specificity, recalibration by three maps, net benefit: against loops and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.calibration import fit_isotonic, fit_temperature
from cardiobind.evaluation.metrics import METRICS, brier
from cardiobind.evaluation.net_benefit import RISK_THRESHOLDS, net_benefit
from cardiobind.evaluation.threshold import choose_specific_threshold
from evaluation_fakes import make_predictions

Floats = NDArray[np.float64]


def sample(n: int = 200, seed: int = 0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 4 == 0).astype(float)
    return labels, expit(labels + rng.normal(size=n) - 1)


def test_sensitivity_at_a_specificity_tries_every_threshold() -> None:
    labels, scores = sample()
    tried = [
        np.mean(scores[labels == 1] >= t) for t in [*scores, 2.0] if np.mean(scores[labels == 0] < t) >= 0.9
    ]  # fmt: skip
    assert METRICS["sensitivity_at_90_specificity"].point(labels, scores) == pytest.approx(max(tried))


def test_sensitivity_at_a_specificity_has_closed_forms() -> None:
    point = METRICS["sensitivity_at_90_specificity"].point
    labels = np.repeat([0.0, 1.0], 10)
    assert point(labels, np.arange(20.0)) == 1.0
    assert point(labels, np.zeros(20)) == 0.0
    assert np.isnan(point(np.zeros(5), np.arange(5.0)))
    one_above = np.r_[np.arange(9.0), 100.0, np.full(10, 50.0)]
    assert point(labels, one_above) == 1.0
    two_above = np.r_[np.arange(8.0), 100.0, 100.0, np.full(10, 50.0)]
    assert point(labels, two_above) == 0.0


def test_the_specific_threshold_is_the_lowest_that_is_specific_enough() -> None:
    labels, scores = sample()
    chosen = choose_specific_threshold(labels, scores).value
    assert chosen is not None
    negatives = scores[labels == 0]
    assert np.mean(negatives < chosen) >= 0.9
    lower = scores[scores < chosen].max()
    assert np.mean(negatives < lower) < 0.9
    tied = choose_specific_threshold(np.array([0, 0, 0, 1, 1, 1.0]), np.array([0.2, 0.9, 0.9, 0.9, 0.1, 0.3])).value
    assert tied is not None
    assert tied > 0.9
    for few in (choose_specific_threshold(labels[:3], scores[:3]), choose_specific_threshold(labels, np.ones(200))):
        assert few.value is None
        assert few.reason


def test_temperature_by_scikit_learn_on_softened_targets() -> None:
    labels, scores = sample()
    positives, negatives = labels.sum(), (1 - labels).sum()
    soft = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    x, y = np.r_[logit(scores), logit(scores)][:, None], np.r_[np.ones(200), np.zeros(200)]
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000, fit_intercept=False)
    model.fit(x, y, sample_weight=np.r_[soft, 1 - soft])
    found = fit_temperature(labels, scores).temperature
    assert found == pytest.approx(1 / model.coef_[0, 0], rel=1e-4)


def test_temperature_undoes_a_temperature() -> None:
    labels, scores = sample(300)
    first = fit_temperature(labels, scores).temperature
    hot = fit_temperature(labels, expit(2 * logit(scores))).temperature
    assert first is not None
    assert hot == pytest.approx(2 * first, rel=1e-6)
    np.testing.assert_allclose(
        fit_temperature(labels, expit(2 * logit(scores))).apply(expit(2 * logit(scores))),
        fit_temperature(labels, scores).apply(scores), atol=1e-9,
    )  # fmt: skip


def pools(labels: Floats, scores: Floats) -> Floats:
    """Return the isotonic fit at the sorted scores by pooling adjacent violators, one at a time."""
    blocks = [[y, 1.0] for y in labels[np.argsort(scores)]]
    place = 0
    while place + 1 < len(blocks):
        if blocks[place][0] > blocks[place + 1][0]:
            (a, m), (b, n) = blocks[place], blocks[place + 1]
            blocks[place : place + 2] = [[(a * m + b * n) / (m + n), m + n]]
            place = max(0, place - 1)
        else:
            place += 1
    return np.concatenate([np.full(int(n), mean) for mean, n in blocks])


def test_isotonic_recalibration_pools_adjacent_violators() -> None:
    labels, scores = sample(60)
    found = fit_isotonic(labels, scores)
    np.testing.assert_allclose(found.apply(np.sort(scores)), pools(labels, scores), atol=1e-12)
    assert found.steps == len(np.unique(pools(labels, scores)))
    assert found.apply(np.array([0.0, 1.0])).tolist() == [found.risks[0], found.risks[-1]]
    assert brier(labels, found.apply(scores)) < brier(labels, scores)


@pytest.mark.parametrize(
    ("labels", "scores"), [([0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]), ([1, 1, 1, 0, 0, 0], [0.5] * 6),
                           ([1, 1, 1, 0, 0, 0], [0.1, 0.1, 0.1, 0.9, 0.9, 0.9])],
)  # fmt: skip
def test_there_is_no_map_without_a_reason_to_trust_it(labels: list[int], scores: list[float]) -> None:
    for fit in (fit_temperature, fit_isotonic):
        found = fit(np.array(labels, float), np.array(scores, float))
        assert found.reason
        assert np.isnan(found.apply(np.array([0.3]))).all()


def test_results_have_all_recalibrations_from_validation_alone() -> None:
    frame = make_predictions(seeds=2, arms={"a": 1.5})
    cell = evaluate(frame, resamples=60)["cells"][0]
    assert [set(entry) for entry in cell["recalibration"]] == [
        {"seed", "slope", "intercept", "temperature", "isotonic_steps"}
    ] * 2
    for way in ("recalibrated", "temperature", "isotonic"):
        assert cell["metrics"][f"brier_{way}"]["low"] is not None
        assert cell["metrics"][f"ece_{way}"]["value"] is not None
    changed = frame.copy()
    changed.loc[changed["split"] == "test", "label"] = 1 - changed.loc[changed["split"] == "test", "label"]
    assert evaluate(changed, resamples=5)["cells"][0]["recalibration"] == cell["recalibration"]
    pairs = zip(cell["thresholds_90"], cell["thresholds"], strict=True)
    assert all(at_90["value"] >= best["value"] for at_90, best in pairs)


def test_net_benefit_equals_the_loop_over_subjects() -> None:
    labels, risks = sample(80)
    counts = np.random.default_rng(0).poisson(1.0, (3, 80)).astype(float)
    thresholds = np.array([0.1, 0.3, 0.55])
    for row, found in zip(counts, net_benefit(labels, risks, thresholds, counts), strict=True):
        for t, value in zip(thresholds, found, strict=True):
            true = sum(c for c, y, r in zip(row, labels, risks, strict=True) if r >= t and y == 1)
            false = sum(c for c, y, r in zip(row, labels, risks, strict=True) if r >= t and y == 0)
            assert value == pytest.approx((true - false * t / (1 - t)) / row.sum())


def test_net_benefit_has_closed_forms() -> None:
    labels, once = np.array([1.0, 0, 0, 0]), np.ones((1, 4))
    thresholds = np.array([0.2, 0.5])
    np.testing.assert_allclose(net_benefit(labels, labels, thresholds, once)[0], 0.25)
    np.testing.assert_allclose(net_benefit(labels, np.zeros(4), thresholds, once)[0], 0.0)
    np.testing.assert_allclose(net_benefit(labels, np.ones(4), thresholds, once)[0], [0.25 - 0.75 * 0.25, -0.5])


def test_results_have_net_benefit_beside_acting_on_all_and_on_none() -> None:
    cell = evaluate(make_predictions(seeds=2, arms={"a": 2.0}, test=400), resamples=200)["cells"][0]
    found = cell["net_benefit"]
    assert [p["threshold"] for p in found["points"]] == list(RISK_THRESHOLDS)
    assert found["prevalence"] == pytest.approx(0.2)
    for point in found["points"]:
        odds = point["threshold"] / (1 - point["threshold"])
        assert point["treat_all"] == pytest.approx(0.2 - 0.8 * odds)
        gain = point["net_benefit"]["value"] - max(0.0, point["treat_all"])
        assert point["gain"]["value"] == pytest.approx(gain)
        assert point["net_benefit"]["low"] <= point["net_benefit"]["value"] <= point["net_benefit"]["high"]
    assert next(p for p in found["points"] if p["threshold"] == 0.2)["gain"]["low"] > 0


def test_no_recalibration_no_net_benefit_and_a_reason() -> None:
    found = evaluate(make_predictions(validation=10), resamples=20)["cells"][0]["net_benefit"]
    assert found["points"] == []
    assert "at least 3" in found["undefined"]
