"""DeLong, variance by cause, many comparisons: against loops, references and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, norm
from scipy.stats import t as student

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.bootstrap import class_sizes, interval, tail_share, two_sided_p
from cardiobind.evaluation.uncertainty.components import components, named_intervals, nothing_by_both
from cardiobind.evaluation.uncertainty.delong import delong, delong_interval, delong_test
from cardiobind.evaluation.uncertainty.multiplicity import adjust_by_metric, benjamini_hochberg, holm
from evaluation_fakes import make_predictions

Floats = NDArray[np.float64]


def sample(n: int = 50, *, ties: bool = False) -> tuple[Floats, Floats]:
    g = np.random.default_rng(1)
    labels = (np.arange(n) % 4 == 0).astype(float)
    scores = labels + g.normal(size=(2, n)) + g.normal(size=n)
    return labels, np.round(scores) if ties else scores


def placements(labels: Floats, scores: Floats) -> tuple[Floats, Floats]:
    x, y = scores[:, labels == 1], scores[:, labels == 0]
    wins = (x[:, :, None] > y[:, None]) + 0.5 * (x[:, :, None] == y[:, None])
    return wins.mean(axis=2), wins.mean(axis=1)


@pytest.mark.parametrize("ties", [False, True])
def test_delong_equals_the_covariance_of_placements_over_all_pairs(ties: bool) -> None:
    labels, scores = sample(ties=ties)
    of_positives, of_negatives = placements(labels, scores)
    expected = np.cov(of_positives) / of_positives.shape[1] + np.cov(of_negatives) / of_negatives.shape[1]
    found = delong(labels, scores, np.arange(len(labels)))
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-10)
    np.testing.assert_allclose(found.auroc, of_positives.mean(axis=1))


def test_delong_of_subjects_with_several_rows_equals_the_loop_over_subjects() -> None:
    labels, scores = sample(48)
    subject = np.arange(48) // 3
    x, y = placements(labels, scores)
    theta, m, n = x.mean(axis=1), x.shape[1], y.shape[1]
    sums = np.zeros((2, 2, 16))
    for s in range(16):
        sums[0, :, s] = (x[:, subject[labels == 1] == s] - theta[:, None]).sum(axis=1)
        sums[1, :, s] = (y[:, subject[labels == 0] == s] - theta[:, None]).sum(axis=1)
    with_x, with_y = (len(np.unique(subject[labels == c])) for c in (1, 0))
    expected = np.zeros((2, 2))
    for a in range(2):
        for b in range(2):
            own = sums[0, a] @ sums[0, b] * with_x / (with_x - 1) / m**2
            other = sums[1, a] @ sums[1, b] * with_y / (with_y - 1) / n**2
            mixed = (sums[0, a] @ sums[1, b] + sums[1, a] @ sums[0, b]) * 16 / 15 / (m * n)
            expected[a, b] = own + other + mixed
    np.testing.assert_allclose(delong(labels, scores, subject).covariance, expected, rtol=1e-10)


def test_repeating_every_row_of_a_subject_tells_delong_nothing_new() -> None:
    labels, scores = sample()
    once = delong_interval(labels, scores, np.arange(50))
    twice = delong_interval(np.tile(labels, 2), np.tile(scores, 2), np.tile(np.arange(50), 2))
    assert twice["se"] == pytest.approx(once["se"])


def test_delong_agrees_with_the_bootstrap_of_the_mean_over_seeds() -> None:
    cell = evaluate(make_predictions(seeds=3, arms={"a": 1.0}, test=300), resamples=1000)["cells"][0]
    auroc = cell["metrics"]["auroc"]
    assert auroc["delong"]["se"] == pytest.approx(auroc["sd"]["test_subjects"], rel=0.1)
    assert auroc["delong"]["low"] == pytest.approx(auroc["low"], abs=0.02)


def test_delongs_test_turns_its_sign_and_knows_when_it_cannot_tell() -> None:
    labels, scores = sample()
    subject = np.arange(50)
    a, b = (delong_test(labels, *pair, subject) for pair in ((scores[:1], scores[1:]), (scores[1:], scores[:1])))
    assert (a["z"], a["p"], a["low"]) == pytest.approx((-b["z"], b["p"], -b["high"]))
    assert a["p"] == pytest.approx(2 * norm.sf(abs(a["z"])))
    same = delong_test(labels, scores[:1], scores[:1] * 2 + 1, subject)
    assert same["p"] is None
    assert "alike" in same["undefined"]


@pytest.mark.parametrize(("positives", "word"), [(1, "fewer than two"), (5, "separate")])
def test_delong_is_undefined_with_one_subject_of_a_class_or_perfect_separation(positives: int, word: str) -> None:
    labels = (np.arange(20) < positives).astype(float)
    found = delong_interval(labels, -np.arange(20.0)[None], np.arange(20))
    assert found["low"] is None
    assert word in found["undefined"]


def slow_holm(p: list[float]) -> list[float]:
    order, n = sorted(range(len(p)), key=lambda i: p[i]), len(p)
    return [
        min(1.0, max((n - rank) * p[i] for rank, i in enumerate(order) if p[i] <= p[own] or i == own))
        for own in range(n)
    ]


def test_adjusted_p_equal_the_references() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.5, 0.012, 0.9])
    np.testing.assert_allclose(holm(p), slow_holm(p.tolist()))
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))
    assert holm(np.array([0.02, 0.01, 0.03])).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert holm(np.array([0.2])).tolist() == benjamini_hochberg(np.array([0.2])).tolist() == [0.2]
    assert holm(np.empty(0)).size == 0


def test_undefined_p_do_not_count_in_the_family() -> None:
    entries = [{"metric": "auroc", "p": p} for p in (0.01, None, 0.04)] + [{"metric": "brier", "p": 0.3}]
    families = adjust_by_metric(entries, "comparisons")
    assert [e["p_holm"] for e in entries] == [0.02, None, 0.04, 0.3]
    assert families == [
        {"family": "comparisons: auroc", "size": 2, "undefined": 1},
        {"family": "comparisons: brier", "size": 1, "undefined": 0},
    ]


def test_the_expanded_tail_has_its_closed_form() -> None:
    reach = np.sqrt(10 / 9) * student.ppf(0.975, 9)
    assert tail_share(10) == pytest.approx(norm.sf(reach))
    assert tail_share(10**6) == pytest.approx(0.025, abs=1e-5)
    assert tail_share(None) == pytest.approx(0.025)
    assert interval(np.arange(1001.0), 1) is None
    assert two_sided_p(np.ones(99), 1) is None
    assert class_sizes(np.array([0, 1, 0, np.nan]), np.array([0, 0, 1, 2])) == (1, 1)


@pytest.mark.parametrize("subjects", [5, 20, 500])
def test_p_is_below_five_percent_where_the_interval_leaves_zero_out(subjects: int) -> None:
    draws = np.random.default_rng(0).normal(size=20_000)
    low, _ = interval(draws, subjects) or (0.0, 0.0)
    above, below = two_sided_p(draws - low + 0.02, subjects), two_sided_p(draws - low - 0.02, subjects)
    assert above is not None
    assert below is not None
    assert above < 0.05 < below


def test_components_equal_their_loops() -> None:
    g = np.random.default_rng(0)
    values, draws = 3 * g.normal(size=4), g.normal(size=(4, 300)) + g.normal(size=300)
    found = components(values, draws, 31)
    covariance = np.cov(draws) * 31 / 30
    shared = np.mean([covariance[i, j] for i in range(4) for j in range(4) if i != j])
    assert found.seeds == pytest.approx(np.var(values, ddof=1) / 4)
    assert found.both == pytest.approx(shared + found.seeds)
    assert found.subjects == pytest.approx(np.var(draws.mean(axis=0), ddof=1) * 31 / 30)
    assert found.df == pytest.approx(found.both**2 / (shared**2 / 30 + found.seeds**2 / 3))


def test_seeds_that_agree_add_nothing_to_the_subjects() -> None:
    draws = np.tile(np.random.default_rng(0).normal(size=200), (3, 1))
    found = components(np.full(3, 0.7), draws, 40)
    assert found.both == pytest.approx(found.subjects)
    assert found.seeds == pytest.approx(0.0)


def crossed(g: np.random.Generator, seeds: int, *, subjects: float, trained: float) -> tuple[Floats, Floats]:
    """Return values whose truth is 0 and resamples of them, with known variances of the two causes."""
    shared, own = g.normal(0, subjects), g.normal(0, trained, seeds)
    draws = own[:, None] + shared + g.normal(0, subjects, 200)
    return own + shared, draws


def test_the_interval_of_both_causes_holds_the_truth_and_neither_alone_does() -> None:
    g, hits = np.random.default_rng(5), {"test_subjects": 0, "seeds": 0, "both": 0}
    for _ in range(600):
        values, draws = crossed(g, 5, subjects=1.0, trained=2.0)
        bounds = interval(draws.mean(axis=0), 200)
        named = named_intervals(values, draws, bounds, 200)["intervals"]
        for name in hits:
            hits[name] += named[name]["low"] <= 0 <= named[name]["high"]
    assert 0.92 <= hits["both"] / 600 <= 0.98
    assert hits["test_subjects"] / 600 < 0.9
    assert hits["seeds"] / 600 < 0.92


def test_intervals_are_named_and_kept_within_what_the_metric_can_be() -> None:
    draws = np.random.default_rng(0).normal(0.98, 0.01, (2, 50))
    found = named_intervals(np.array([0.97, 0.99]), draws, (0.9, 1.0), 30, (0.0, 1.0))
    assert found["interval"] == "test_subjects"
    assert found["intervals"]["seeds"]["high"] == 1.0
    one = named_intervals(np.array([0.5]), np.random.default_rng(0).normal(size=(1, 50)), (0.1, 0.9), 30)
    assert one["intervals"]["both"] == {"low": None, "high": None, "undefined": "one training seed"}
    assert one["sd"]["test_subjects"] is not None


def test_other_seeds_of_the_two_arms_leave_the_seeds_out() -> None:
    frame = make_predictions(seeds=2)
    frame.loc[frame["arm"] == "scratch", "seed"] += 7
    entry = evaluate(frame, resamples=60, comparisons=[("aligned", "scratch")])["comparisons"][0]
    assert entry["low"] is not None
    assert "same seeds" in entry["intervals"]["both"]["undefined"]


def test_one_positive_subject_leaves_a_value_without_an_interval() -> None:
    frame = make_predictions(seeds=2, test=40)
    test = frame["split"] == "test"
    frame.loc[test, "label"] = (frame.loc[test, "subject"] == "SIM-100000").astype(float)
    result = evaluate(frame, resamples=50, comparisons=[("aligned", "scratch")])
    auroc = result["cells"][0]["metrics"]["auroc"]
    assert auroc["value"] is not None
    assert auroc["low"] is None
    assert "one subject" in auroc["undefined"]
    assert result["comparisons"][0]["p"] is None
    assert result["comparisons"][0]["p_holm"] is None


def test_a_perfect_model_has_no_interval_of_no_width() -> None:
    frame = make_predictions(seeds=2, arms={"a": 60.0})
    found = evaluate(frame, resamples=50)["cells"][0]["metrics"]
    for name in ("auroc", "sensitivity", "balanced_accuracy"):
        assert (found[name]["value"], found[name]["low"], found[name]["high"]) == (1.0, None, None)
        assert "same value" in found[name]["undefined"]
        assert found[name]["intervals"]["test_subjects"]["low"] is None


def test_defect_a_calibration_intercept_knows_that_the_number_of_positives_is_an_estimate() -> None:
    g = np.random.default_rng(3)
    frame = make_predictions(seeds=1, arms={"a": 0.0}, test=400)
    risk = 0.2 + 0.01 * g.normal(size=len(frame))
    found = evaluate(frame.assign(score=np.clip(risk, 0.1, 0.3)), resamples=500)["cells"][0]["metrics"]
    sd = found["calibration_intercept"]["sd"]["test_subjects"]
    assert sd == pytest.approx(1 / np.sqrt(400 * 0.2 * 0.8), rel=0.15)


def test_p_over_both_causes_agrees_with_their_interval() -> None:
    g = np.random.default_rng(3)
    for shift in np.linspace(-3, 3, 25):
        values, draws = crossed(g, 5, subjects=0.5, trained=0.8)
        interval_of = named_intervals(values + shift, draws + shift, (0.0, 1.0), 80)["intervals"]["both"]
        test = nothing_by_both(values + shift, draws + shift, 80)
        assert (test["p"] < 0.05) == (interval_of["low"] > 0 or interval_of["high"] < 0)
        found = components(values, draws, 80)
        assert test["p"] == pytest.approx(2 * student.sf(abs(np.mean(values + shift)) / np.sqrt(found.both), found.df))


def test_p_over_both_causes_is_uniform_where_nothing_differs() -> None:
    g = np.random.default_rng(8)
    p = np.array([nothing_by_both(*crossed(g, 5, subjects=1.0, trained=2.0), 200)["p"] for _ in range(800)])
    assert 0.03 <= np.mean(p < 0.05) <= 0.08
    assert 0.44 <= np.mean(p < 0.5) <= 0.56


@pytest.mark.parametrize(
    ("values", "draws", "subjects", "word"),
    [
        (np.array([0.1]), np.ones((1, 50)), 30, "one training seed"),
        (np.array([0.1, 0.2]), None, 30, "resamples"),
        (np.array([0.1, 0.2]), np.full((2, 50), 0.1), 30, "same value"),
        (np.array([0.1, 0.2]), np.ones((2, 50)), 1, "resamples"),
    ],
)
def test_p_over_both_causes_says_why_it_is_not_there(
    values: Floats, draws: Floats | None, subjects: int, word: str
) -> None:
    test = nothing_by_both(values, draws, subjects)
    assert (test["t"], test["df"], test["p"]) == (None, None, None)
    assert word in test["undefined"]


def test_each_test_of_a_family_is_adjusted_among_its_own() -> None:
    entries = [
        {"metric": "auroc", "p": p, "both": {"p": q}, "delong": {"p": r}}
        for p, q, r in ((0.2, 1e-9, 0.01), (0.2, 0.5, 0.02))
    ]
    adjust_by_metric(entries, "comparisons")
    assert [e["both"]["p_holm"] for e in entries] == [2e-9, 0.5]
    assert [e["delong"]["p_holm"] for e in entries] == [0.02, 0.02]
