"""Intervals cover what they say, histograms hide everybody, strangers are told from the training subjects."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import chi2

from cardiobind.evaluation.calibration import fit_platt
from cardiobind.inference.trust.cohort import FEWEST_IN_BIN, Histogram, histogram
from cardiobind.inference.trust.combinations import contradictions
from cardiobind.inference.trust.intervals import (
    FEWEST_RESIDUALS,
    Certainty,
    fit_risk,
    fit_risk_by_horizon,
    fit_value,
    interval_of_risk,
    interval_of_risk_by_horizon,
    interval_of_value,
    log_hazard,
)
from cardiobind.inference.trust.leads import LeadCost, LeadTable, masked, present_leads
from cardiobind.inference.trust.likeness import (
    Check,
    Familiar,
    fit_directions,
    fit_values,
    limit_of,
    load_likeness,
    save_likeness,
)
from cardiobind.inference.trust.signs import CMR_SIGNS, ECG_SIGNS, cmr_signs, ecg_signs, table_signs
from cardiobind.inference.trust.verdicts import doubt, verdict
from cardiobind.modalities.records import LEADS

Floats = NDArray[np.float64]
TRUTH = (-1.0, 0.8)


@pytest.mark.parametrize(("members", "seed_sd"), [(1, 0.0), (3, 0.6)])
def test_the_interval_of_a_risk_covers_the_risk(members: int, seed_sd: float) -> None:
    rng, covered = np.random.default_rng(0), []
    for _ in range(150):
        score = rng.normal(size=301)
        logits = score + rng.normal(0, seed_sd, (members, 301))
        labels = (rng.random(300) < expit(TRUTH[0] + TRUTH[1] * score[:300])).astype(float)
        platt = fit_platt(labels, expit(logits[:, :300].mean(axis=0)))
        if platt.slope is None or platt.intercept is None:
            continue
        line = (platt.intercept, platt.slope)
        known = Certainty.from_json(asdict(fit_risk(labels, logits[:, :300], line)))
        ends = interval_of_risk(known, line, logits[:, 300]).ends
        assert ends is not None
        covered.append(ends[0] <= expit(TRUTH[0] + TRUTH[1] * score[300]) <= ends[1])
    assert 0.9 <= np.mean(covered) <= 1.0


def test_an_interval_of_a_risk_is_wider_with_fewer_subjects_and_farther_seeds() -> None:
    rng = np.random.default_rng(1)
    score = rng.normal(size=1000)
    labels = (rng.random(1000) < expit(score)).astype(float)

    def width(subjects: int, apart: float) -> float:
        logits = np.stack([score, score + apart])
        ends = interval_of_risk(fit_risk(labels[:subjects], logits[:, :subjects], TRUTH), TRUTH, logits[:, 0]).ends
        assert ends is not None
        return ends[1] - ends[0]

    assert width(100, 0.0) > width(1000, 0.0)
    assert width(1000, 1.0) > width(1000, 0.0)


def test_the_interval_of_a_value_covers_as_many_as_it_says() -> None:
    rng, covered = np.random.default_rng(2), []
    for _ in range(400):
        truth = rng.standard_t(3, size=40)
        ends = interval_of_value(fit_value(truth[:39], np.zeros((1, 39)), None), 0.0, "ml").ends
        assert ends is not None
        covered.append(ends[0] <= truth[39] <= ends[1])
    assert 0.87 <= np.mean(covered) <= 0.96  # 36 of 40 are promised; rounding up adds a little


def test_a_half_width_is_nobody_s_residual_and_few_give_none() -> None:
    residuals = np.random.default_rng(3).normal(size=60)
    known = fit_value(residuals, np.zeros((1, 60)), None)
    assert known.half_width is not None
    assert known.half_width not in np.abs(residuals)
    assert known.half_width >= np.quantile(np.abs(residuals), 0.9)
    few = fit_value(residuals[: FEWEST_RESIDUALS - 1], np.zeros((1, FEWEST_RESIDUALS - 1)), None)
    assert few.half_width is None
    assert "at least" in interval_of_value(few, 1.0, "ml").of


@pytest.mark.parametrize("subjects", [4, 9, 10, 19])
def test_no_small_count_stands_in_what_intervals_follow_from(subjects: int) -> None:
    labels, members = np.tile([0.0, 1.0], subjects)[:subjects], np.zeros((1, subjects))
    for fit in (fit_risk, fit_value, fit_risk_by_horizon):
        known = fit(labels, members, None)
        assert known.subjects == (None if subjects < 10 else subjects)
        assert known.events is None
        assert not {int(n) for n in re.findall(r"\d+", known.reason or "")} & set(range(1, 10))
    assert fit_risk(np.array([1.0] * 40 + [0.0] * 4), np.zeros((1, 44)), None).events is None
    few = interval_of_risk(Certainty(None, None, (0.01, 0.0, 0.01)), (0.0, 1.0), np.zeros(1))
    assert "than these fewer than 10" in few.of


def test_the_interval_of_a_risk_by_a_time_rests_on_the_events() -> None:
    rng, covered = np.random.default_rng(4), []
    for _ in range(200):
        labels = (rng.random(400) < 0.1).astype(float)
        known = fit_risk_by_horizon(labels, log_hazard(np.full((1, 400), 0.1)), None)
        found = interval_of_risk_by_horizon(known, float(labels.mean()), log_hazard(np.array([labels.mean()])))
        assert found.ends is not None
        covered.append(found.ends[0] <= 0.1 <= found.ends[1])
    assert 0.9 <= np.mean(covered) <= 1.0
    few = fit_risk_by_horizon(np.array([1.0, 0.0]), np.zeros((1, 2)), None)
    assert interval_of_risk_by_horizon(few, 0.1, np.zeros(1)).ends is None
    np.testing.assert_allclose(-np.expm1(-np.exp(log_hazard(np.array([0.01, 0.5, 0.99])))), [0.01, 0.5, 0.99])


def test_words_tell_of_one_seed_and_of_several() -> None:
    labels = np.array([0.0, 1.0] * 20)
    logits = np.random.default_rng(5).normal(size=(2, 40))
    several = interval_of_risk(fit_risk(labels, logits, TRUTH), TRUTH, logits[:, 0])
    one = interval_of_risk(fit_risk(labels, logits[:1], TRUTH), TRUTH, logits[:1, 0])
    assert "2 trained" in several.of
    assert "one seed" in one.of
    assert "not whether this person has the endpoint" in one.of
    assert "fewer than 10" in interval_of_risk(fit_risk(labels[:8], logits[:, :8], TRUTH), TRUTH, logits[:, 0]).of
    assert interval_of_risk(fit_risk(labels, logits, None), TRUTH, logits[:, 0]).ends is None


@pytest.mark.parametrize("subjects", [20, 57, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_a_histogram_counts_everybody_and_shows_nobody(subjects: int, ties: bool) -> None:
    scores = np.random.default_rng(subjects).beta(1, 20, size=subjects)
    scores = np.round(scores, 2) if ties else scores
    found = histogram(scores, ends=(0.0, 1.0))
    assert found is not None
    assert sum(found.counts) == subjects
    assert min(found.counts) >= FEWEST_IN_BIN
    assert ties or not set(found.edges) & set(scores)
    assert Histogram.from_json(asdict(found)) == found
    for score in np.quantile(scores, [0.25, 0.5, 0.75]):
        assert found.percentile(score) == pytest.approx(100 * (scores < score).mean(), abs=55 if subjects < 30 else 20)
    assert found.percentile(0.0) == 0
    assert found.percentile(1.0) == 100


def test_values_have_rounded_ends_and_too_few_have_no_histogram() -> None:
    values = np.random.default_rng(0).normal(60, 8, size=100)
    found = histogram(values)
    assert found is not None
    assert found.edges[0] <= values.min() < values.max() <= found.edges[-1]
    assert not set(found.edges) & set(values)
    assert histogram(values[:19]) is None
    assert histogram(np.ones(50)) is None


def test_the_distance_is_mahalanobis_and_a_gap_is_marginalised() -> None:
    rng = np.random.default_rng(6)
    mixing = rng.normal(size=(4, 4))
    check = fit_values(rng.normal(size=(4000, 4)) @ mixing)
    rows = rng.normal(size=(4000, 4)) @ mixing
    covariance = mixing.T @ mixing
    plain = np.sqrt(np.einsum("ij,jk,ik->i", rows, np.linalg.inv(covariance), rows) / 4)
    np.testing.assert_allclose(check.distances(rows), plain, rtol=0.15)
    gaps = rows.copy()
    gaps[:, 2] = np.nan
    own = np.array([0, 1, 3])
    marginal = np.linalg.inv(covariance[np.ix_(own, own)])
    expected = np.sqrt(np.einsum("ij,jk,ik->i", rows[:, own], marginal, rows[:, own]) / 3)
    np.testing.assert_allclose(check.distances(gaps), expected, rtol=0.15, atol=0.02)


def test_directions_see_what_is_outside_them() -> None:
    rng = np.random.default_rng(7)
    mixing = rng.normal(size=(3, 40))
    rows = rng.normal(size=(200, 3)) @ mixing + 0.1 * rng.normal(size=(200, 40))
    check = fit_directions(rows[:150])
    assert check.axes.shape == (15, 40)
    strange = rows[150:] + rng.normal(size=(50, 40))
    assert check.distances(strange).min() > check.distances(rows[150:]).max()
    assert not any(np.allclose(axis, row, atol=1e-3) for axis in check.axes for row in rows)


def test_a_limit_alarms_as_rarely_as_it_says() -> None:
    rng, alarms = np.random.default_rng(8), []
    for _ in range(50):
        limit = limit_of(np.sqrt(rng.chisquare(15, 200) / 15), 0.01)
        alarms.append(chi2.sf(15 * limit**2, 15))
    assert 0.0003 <= np.mean(alarms) <= 0.01


def test_what_is_familiar_survives_its_file(tmp_path: Path) -> None:
    rows = np.random.default_rng(9).normal(size=(100, 5))
    known = {"ecg": Familiar({"signs": fit_values(rows).limited(2.5)}, 100, 40)}
    save_likeness(tmp_path / "likeness.safetensors", known)
    found = load_likeness(tmp_path / "likeness.safetensors")["ecg"]
    assert (found.training, found.validation) == (100, 40)
    assert found.distance({"signs": rows[0]}) == known["ecg"].distance({"signs": rows[0]})
    assert found.distance({}) is None
    assert found.distance({"signs": np.full(5, np.nan)}) is None
    check: Check = found.checks["signs"]
    assert sum(a.size for a in (check.mean, check.scale, check.axes, check.variances)) < rows.size / 4


def ecg(seed: int) -> NDArray[np.int16]:
    """Return beats that a dipole turning in three dimensions throws on 12 leads, in uV."""
    rng = np.random.default_rng(seed)
    time = np.arange(1000) / 100
    phase = (time * rng.uniform(0.9, 1.5)) % 1.0
    waves = np.stack([np.exp(-(((phase - at) / wide) ** 2)) for at, wide in ((0.2, 0.03), (0.35, 0.02), (0.38, 0.02))])
    eight = np.array([[0.1, 1.0, -0.1], [0.12, 1.2, -0.2], [0.1, -0.5, -1], [0.1, 0.2, -1], [0.1, 0.6, -0.8],
                      [0.1, 1, -0.5], [0.1, 1.1, -0.3], [0.1, 1, -0.2]]) @ waves  # fmt: skip
    i, ii = 700 * eight[0], 700 * eight[1]
    limbs = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])
    leads = np.concatenate([limbs, 900 * eight[2:]]) * rng.uniform(0.8, 1.2) + rng.normal(0, 10, (12, 1000))
    return leads.astype(np.int16)


def test_signs_tell_beats_from_noise_and_leads_from_one_another() -> None:
    rng = np.random.default_rng(10)
    rows = np.stack([ecg_signs(ecg(seed), 100.0) for seed in range(80)])
    assert rows.shape == (80, len(ECG_SIGNS))
    assert np.isfinite(rows).all()
    check = fit_values(rows[:50]).limited(1.2 * float(fit_values(rows[:50]).distances(rows[50:]).max()))
    one = ecg(99)
    strange = {
        "noise": rng.normal(0, 300, one.shape), "shuffled": one[rng.permutation(12)], "upside down": -one,
        "ten times": one * 10.0, "one lead": np.repeat(one[1:2], 12, axis=0),
    }  # fmt: skip
    assert check.distances(ecg_signs(one, 100.0)[None])[0] < check.limit
    for name, signal in strange.items():
        assert check.distances(ecg_signs(np.asarray(signal), 100.0)[None])[0] > check.limit, name


def test_signs_of_an_ecg_without_some_leads_are_those_that_can_be_told() -> None:
    counts = ecg(0)
    limbs = ecg_signs(masked(counts[None], LEADS[:6])[0], 100.0)
    known = dict(zip(ECG_SIGNS, np.isfinite(limbs), strict=True))
    assert known["amplitude"]
    assert known["einthoven"]
    assert not known["v1_v6"]
    assert not known["dipole_residue"]
    assert np.isnan(ecg_signs(np.zeros((12, 1000), np.int16), 100.0)).all()
    assert present_leads(masked(counts[None], ("I", "V2"))[0]) == ("I", "V2")


def test_signs_of_images_and_tables() -> None:
    rng = np.random.default_rng(11)
    row = np.arange(48) - 23.5
    disc = np.hypot(row[:, None], row[None]) < 10
    smooth = np.stack([np.where(disc, 200, 60)] * 3).astype(np.uint8)
    noise = rng.integers(0, 256, (3, 48, 48)).astype(np.uint8)
    calm, wild = (dict(zip(CMR_SIGNS, cmr_signs(x), strict=True)) for x in (smooth, noise))
    assert calm["smoothness"] > 1 > wild["smoothness"]
    assert calm["sameness"] > 1 > wild["sameness"]
    assert calm["centre"] > 0.3
    assert np.isnan(cmr_signs(np.zeros((3, 8, 8), np.uint8))).all()
    encoded = np.array([[[1.5, 1.0], [2.0, 1.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(table_signs(encoded, (0, 3, 0)), [[1.5, np.nan]])


@pytest.mark.parametrize(
    ("facts", "broken"),
    [
        ({"sbp_mmhg": 120.0, "dbp_mmhg": 80.0, "weight_kg": 80.0, "height_cm": 180.0, "bmi_kg_m2": 24.7}, False),
        ({"sbp_mmhg": 80.0, "dbp_mmhg": 115.0}, True),
        ({"cholesterol_mmol_l": 4.0, "ldl_mmol_l": 6.0}, True),
        ({"weight_kg": 60.0, "height_cm": 195.0, "bmi_kg_m2": 35.0}, True),
        ({"weight_kg": 60.0, "bmi_kg_m2": 35.0, "sbp_mmhg": np.nan, "dbp_mmhg": 80.0}, False),
    ],
)
def test_facts_that_cannot_be_true_together(facts: dict[str, float], broken: bool) -> None:
    assert bool(contradictions(pd.Series(facts))) == broken


def test_a_verdict_says_why_and_what_is_left() -> None:
    fine = verdict("ecg", ("noisy",), 0.7)
    assert (fine.usable, fine.like_training) == (True, True)
    assert "noisy" in fine.says
    swapped, strange = verdict("ecg", ("arm_electrodes_swapped",), 0.7), verdict("cmr", (), 1.4)
    few = verdict("ecg", ("missing_lead",), None, few_leads=True)
    assert not any(one.usable for one in (swapped, strange, few))
    assert (strange.like_training, few.like_training) == (False, None)
    assert doubt({"ecg": fine}) is None
    told = doubt({"ecg": fine, "cmr": strange})
    assert told is not None
    assert "cine" in told
    assert "the ECG can be scored" in told


def test_what_leads_cost_is_told_of_the_best_subset_that_is_there() -> None:
    costs = (LeadCost(LEADS, 0.80), LeadCost(LEADS[:6], 0.75), LeadCost(("I",), 0.65))
    known = LeadTable.from_json(asdict(LeadTable(True, "auroc", 120, costs)))
    assert "0.750 with 6 limb leads against 0.800" in known.says((*LEADS[:6], "V1"))
    assert "0.650 with I against" in known.says(("I", "V1"))
    assert "was not measured" in known.says(("V1",))
