"""Censoring, risk over time, Brier score, AUROC and calibration at horizons: against loops and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logit
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.over_time.brier import brier_terms, integrated_terms
from cardiobind.evaluation.over_time.horizons import auroc_at, calibration_at
from cardiobind.evaluation.over_time.product_limit import event_free, last_known, uncensored
from cardiobind.evaluation.over_time.proportional import fit_over_time, log_hazard
from cardiobind.evaluation.time_to_event import concordance, concordance_uno, integrated_brier, kaplan_meier

Floats = NDArray[np.float64]


def sample(n: int = 40, seed: int = 0, *, ties: bool = True, censored: bool = True) -> tuple[Floats, Floats, Floats]:
    g = np.random.default_rng(seed)
    x = g.normal(size=n)
    time = g.exponential(np.exp(-x))
    event = (g.random(n) < 0.6).astype(float) if censored else np.ones(n)
    return (np.ceil(4 * time) if ties else time), event, x


def slow_censoring(time: Floats, event: Floats, at: float, *, before: bool) -> float:
    share = 1.0
    for u in sorted(set(time)):
        if u < at or (u == at and not before):
            at_risk = np.sum(time > u) + np.sum((time == u) & (event == 0))
            share *= 1 - np.sum((time == u) & (event == 0)) / at_risk if at_risk else 1.0
    return float(share)


def test_the_share_uncensored_equals_the_product_written_out() -> None:
    time, event, _ = sample()
    steps = uncensored(time, event, np.ones((1, 40)))
    for i in range(40):
        assert steps.before()[0, i] == pytest.approx(slow_censoring(time, event, time[i], before=True))
        assert steps.at(time[i])[0] == pytest.approx(slow_censoring(time, event, time[i], before=False))
    assert steps.at(-1.0)[0] == 1.0


def test_the_event_free_share_is_kaplan_and_meiers() -> None:
    time, event, _ = sample()
    steps, curve = event_free(time, event, np.ones((1, 40))), kaplan_meier(time, event)
    for t in (0.5, 1.0, 2.5, 7.0, 100.0):
        assert steps.at(t)[0] == pytest.approx(curve.at(t))


def test_resampled_shares_equal_those_of_the_drawn_rows() -> None:
    time, event, _ = sample()
    counts = np.random.default_rng(1).poisson(1.0, (5, 40)).astype(float)
    both = [f(time, event, counts).at(3.0) for f in (uncensored, event_free)]
    for row, *found in zip(counts, *both, strict=True):
        drawn = np.repeat(np.arange(40), row.astype(int))
        expected = [f(time[drawn], event[drawn], np.ones((1, len(drawn)))).at(3.0)[0] for f in (uncensored, event_free)]
        assert found == pytest.approx(expected)


def test_last_known_time_needs_an_event_and_somebody_beyond() -> None:
    assert last_known(np.array([1.0, 2, 3]), np.zeros(3)) is None
    assert last_known(np.array([1.0]), np.ones(1)) is None
    assert last_known(np.array([1.0, 2, 3]), np.ones(3)) == 2.0
    assert last_known(np.array([1.0, 2, 3]), np.array([1.0, 0, 1])) == 1.0


def slow_uno(time: Floats, event: Floats, score: Floats) -> float:
    right = pairs = 0.0
    for i in range(len(time)):
        share = slow_censoring(time, event, time[i], before=True)
        for j in range(len(time)):
            later = time[i] < time[j] or (time[i] == time[j] and event[j] == 0)
            if event[i] == 1 and later and share >= 0.05:
                pairs += share**-2
                right += share**-2 * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    return right / pairs


@pytest.mark.parametrize("seed", range(3))
def test_unos_c_equals_the_loop_over_weighted_pairs(seed: int) -> None:
    time, event, x = sample(seed=seed)
    labels = np.stack([time, event], axis=1)
    assert concordance_uno(labels, np.round(x), np.ones((1, 40)))[0] == pytest.approx(
        slow_uno(time, event, np.round(x))
    )


def test_unos_c_without_censoring_is_harrells() -> None:
    time, event, x = sample(censored=False)
    labels, once = np.stack([time, event], axis=1), np.ones((1, 40))
    assert concordance_uno(labels, x, once) == pytest.approx(concordance(labels, x, once))
    assert np.isnan(concordance_uno(np.stack([time, np.zeros(40)], axis=1), x, once)).all()
    assert np.isnan(concordance_uno(labels[:1], x[:1], once[:, :1])).all()


def test_unos_c_does_not_move_with_censoring_where_harrells_does() -> None:
    g = np.random.default_rng(0)
    x = g.normal(size=2500)
    time = g.exponential(np.exp(-x))
    score, once = np.sign(x) * np.abs(x) ** 2, np.ones((1, 2500))
    censor = g.exponential(2.0, 2500)
    seen = np.stack([np.minimum(time, censor), (time <= censor).astype(float)], axis=1)
    whole = concordance(np.stack([time, np.ones(2500)], axis=1), score, once)[0]
    assert concordance_uno(seen, score, once)[0] == pytest.approx(whole, abs=0.015)


def test_the_brier_score_equals_the_loop_over_subjects() -> None:
    time, event, x = sample()
    at = np.array([1.0, 3.0])
    survival = np.exp(-np.exp(x)[:, None] * at * 0.2)
    found = brier_terms(time, event, survival, at)
    for i in range(40):
        for k, t in enumerate(at):
            expected = 0.0
            if time[i] <= t and event[i] == 1:
                expected = survival[i, k] ** 2 / slow_censoring(time, event, time[i], before=True)
            elif time[i] > t:
                expected = (1 - survival[i, k]) ** 2 / slow_censoring(time, event, t, before=False)
            assert found[i, k] == pytest.approx(expected)


def test_the_brier_score_without_censoring_is_the_mean_square_error() -> None:
    time, event, _ = sample(censored=False)
    at = np.array([2.0])
    half = brier_terms(time, event, np.full((40, 1), 0.5), at)
    assert half.mean() == pytest.approx(0.25)
    perfect = brier_terms(time, event, (time > 2.0).astype(float)[:, None], at)
    assert perfect.sum() == 0.0
    grid = np.linspace(0, 2.0, 11)
    assert integrated_terms(time, event, np.full((40, 11), 0.5), grid) == pytest.approx(np.full(40, 0.25))


def test_integrated_scores_are_means_of_what_each_subject_adds() -> None:
    losses = np.array([[0.1, 0.2], [0.3, 0.2]])
    counts = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(integrated_brier(np.zeros((2, 2)), losses, counts), [0.2, 0.1, np.nan])


def test_auroc_at_a_horizon_without_censoring_is_that_of_the_event_by_then() -> None:
    time, event, x = sample(censored=False)
    found = auroc_at(np.stack([time, event], axis=1), x, 3.0, np.ones((1, 40)))[0]
    assert found == pytest.approx(reference.roc_auc_score(time <= 3.0, x))


def test_auroc_at_a_horizon_equals_the_loop_over_weighted_pairs() -> None:
    time, event, x = sample()
    right = pairs = 0.0
    for i in range(40):
        if time[i] <= 3.0 and event[i] == 1:
            weight = 1 / slow_censoring(time, event, time[i], before=True)
            controls = x[time > 3.0]
            pairs += weight * len(controls)
            right += weight * np.sum(x[i] > controls)
    assert auroc_at(np.stack([time, event], axis=1), x, 3.0, np.ones((1, 40)))[0] == pytest.approx(right / pairs)


def test_calibration_at_a_horizon_without_censoring_is_that_of_a_class() -> None:
    time, event, x = sample(300, ties=False, censored=False)
    risks = 1 - np.exp(-np.exp(x))
    found = calibration_at(np.stack([time, event], axis=1), risks, 1.0, np.ones((1, 300)))
    had = (time <= 1.0).astype(float)
    model = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(logit(risks)[:, None], had)
    assert found["calibration_slope"][0] == pytest.approx(model.coef_[0, 0], rel=1e-3)
    assert found["observed"][0] == pytest.approx(had.mean())
    assert found["observed_over_expected"][0] == pytest.approx(had.mean() / risks.mean())


def negative_partial_likelihood(slope: float, x: Floats, time: Floats, event: Floats) -> float:
    return -sum(slope * x[i] - np.log(np.sum(np.exp(slope * x[time >= time[i]]))) for i in range(len(x)) if event[i])


def test_the_risk_over_time_is_coxs_and_breslows() -> None:
    time, event, x = sample(80)
    found = fit_over_time(time, event, x, are_risks=False)
    best = minimize_scalar(negative_partial_likelihood, bracket=(0, 1), args=(x, time, event), tol=1e-10).x
    assert found.slope == pytest.approx(best, abs=1e-5)
    hazard = sum(1 / np.sum(np.exp(found.slope * x[time >= time[i]])) for i in range(80) if event[i] and time[i] <= 3.0)
    assert found.survival(np.zeros(1), np.array([3.0]))[0, 0] == pytest.approx(np.exp(-hazard))
    assert found.without_model(np.array([0.0, 3.0])) == pytest.approx([1.0, kaplan_meier(time, event).at(3.0)])


def test_of_a_cox_models_risk_by_a_horizon_all_its_risks_come_back() -> None:
    g = np.random.default_rng(0)
    x = g.normal(size=6000)
    time = g.exponential(np.exp(-x))
    by_horizon = 1 - np.exp(-0.3 * np.exp(x))
    assert log_hazard(by_horizon, are_risks=True) == pytest.approx(x + np.log(0.3))
    found = fit_over_time(time, np.ones(6000), by_horizon, are_risks=True)
    assert found.slope == pytest.approx(1.0, abs=0.04)
    at = np.array([0.2, 1.0])
    np.testing.assert_allclose(found.survival(by_horizon, at), np.exp(-np.exp(x)[:, None] * at), atol=0.03)


@pytest.mark.parametrize(
    ("time", "event", "scores", "word"),
    [
        ([1, 2, 3, 4], [1, 1, 0, 0], [4, 3, 2, 1], "2 events"),
        ([1, 2, 3, 4], [1, 1, 1, 1], [1, 1, 1, 1], "equal"),
        ([1, 2, 3, 4], [1, 1, 1, 1], [4, 3, 2, 1], "perfectly"),
        ([1, 2, 3, 4], [1, 1, 1, 1], [1, 3, 2, 4], "does not rise"),
        ([], [], [], "0 events"),
    ],
)
def test_no_risk_over_time_without_a_reason_to_trust_it(
    time: list[float], event: list[float], scores: list[float], word: str
) -> None:
    found = fit_over_time(*(np.array(part, float) for part in (time, event, scores)), are_risks=False)
    assert found.reason is not None
    assert word in found.reason
    assert np.isnan(found.survival(np.ones(2), np.ones(1))).all()


def frame(n: int = 500, *, events: bool = True) -> pd.DataFrame:
    g = np.random.default_rng(0)
    x = g.normal(size=n)
    time, censor = g.exponential(4000 * np.exp(-x)), g.uniform(700, 3500, n)
    keys = pd.DataFrame({
        "subject": [f"SIM-{i:06d}" for i in range(n)], "visit": "2", "inputs": "ecg", "fraction": 1.0,
        "task": "mi_survival", "kind": "survival", "split": np.where(np.arange(n) % 2, "validation", "test"), "seed": 0,
        "label": (time <= censor).astype(float) * events, "time_days": np.minimum(time, censor),
    })  # fmt: skip
    good = keys.assign(arm="good", score=1 - np.exp(-0.3 * np.exp(x)))
    return pd.concat([good, keys.assign(arm="poor", score=1 - np.exp(-0.3 * np.exp(g.normal(size=n) + 0.3 * x)))])


def test_results_have_risk_over_time_and_horizons_that_are_reached() -> None:
    result = evaluate(frame(), resamples=100, comparisons=[("good", "poor")])
    json.dumps(result, allow_nan=False)
    cell = result["cells"][0]
    found = cell["over_time"]
    one, three, five, ten = found["horizons"]
    assert [h["years"] for h in found["horizons"]] == [1.0, 3.0, 5.0, 10.0]
    assert "undefined" not in three
    assert "beyond" in ten["undefined"]
    assert five["events"] > three["events"] > one["events"] > 10
    for key in ("auroc", "brier", "observed", "observed_over_expected", "calibration_slope"):
        assert three[key]["low"] < three[key]["value"] < three[key]["high"]
    assert three["brier"]["value"] < three["brier_reference"]
    assert three["observed_over_expected"]["low"] < 1 < three["observed_over_expected"]["high"]
    assert sum(group["n"] for group in three["groups"]) == cell["n"]
    assert 0 < cell["metrics"]["integrated_brier"]["value"] < 0.25
    assert cell["metrics"]["integrated_brier_scaled"]["low"] > 0
    difference = next(e for e in result["comparisons"] if e["metric"] == "integrated_brier")
    assert difference["high"] < 0


def test_without_events_everything_over_time_is_undefined_and_says_why() -> None:
    cell = evaluate(frame(events=False), resamples=20)["cells"][0]
    assert "no event" in cell["over_time"]["undefined"]
    assert cell["metrics"]["concordance_uno"]["value"] is None
    assert "0 events" in cell["metrics"]["integrated_brier"]["undefined"]


def test_scores_that_are_no_risks_are_measured_too() -> None:
    plain = evaluate(frame(), resamples=20)["cells"][0]["over_time"]
    ranks = frame()
    ranks["score"] = log_hazard(ranks["score"].to_numpy(), are_risks=True) + 5
    again = evaluate(ranks, resamples=20)["cells"][0]["over_time"]
    assert again["horizons"][1]["brier"]["value"] == pytest.approx(plain["horizons"][1]["brier"]["value"], rel=1e-6)
