from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.modalities.records import LEADS
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_ecg
from cardiobind.simulate.activation import depolarisation
from cardiobind.simulate.anatomy import segment_columns
from cardiobind.simulate.ecg import DOWER, clean_ecg

SHORT = SimulationSettings(subjects=30, seed=2, ecg_duration_s=4.0)
COHORT = SimulationSettings(subjects=1500, seed=8, mi_prevalence=0.3)
TERRITORY_LEADS = {0: ("V1", "V2", "V3"), 1: ("III", "aVF"), 2: ("I", "V5", "V6")}


@pytest.fixture(scope="module")
def hearts() -> pd.DataFrame:
    return draw_hearts(COHORT)


@pytest.fixture(scope="module")
def healthy(hearts: pd.DataFrame) -> pd.DataFrame:
    ill = hearts[["lbbb", "rbbb", "lvh", "dcm", "af_now"]].any(axis=1) | (hearts["infarct_size"] > 0)
    return hearts[~ill].head(60)


def beat(heart: Any) -> np.ndarray:
    """Leads during QRS of a mean beat, without rhythm: (12, ms)."""
    vectors, centres, widths = depolarisation(heart)
    time = np.arange(-20.0, 1.3 * heart.qrs_ms)
    dipole = (np.exp(-0.5 * ((time[:, None] - centres) / widths) ** 2) @ vectors).T
    one, two, *chest = DOWER @ dipole
    return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *chest])


def lead(signal: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(signal[LEADS.index(name)])


def test_limb_leads_obey_einthoven_and_goldberger() -> None:
    ecg = simulate_ecg(draw_hearts(SHORT, 0, 6), SHORT).astype(float)
    one, two, three, avr, avl, avf = (ecg[:, k] for k in range(6))
    for sum_of, whole in ((one + three, two), (-(one + two) / 2, avr), (one - two / 2, avl), (two - one / 2, avf)):
        assert np.abs(sum_of - whole).max() < 0.011


def test_counts_are_whole_multiples_of_5_microvolts() -> None:
    ecg = simulate_ecg(draw_hearts(SHORT, 0, 4), SHORT)
    counts = ecg.astype(float) * 200
    assert ecg.dtype == np.float32
    assert np.abs(counts - np.rint(counts)).max() < 1e-3


def test_a_recording_does_not_depend_on_its_neighbours() -> None:
    whole = simulate_ecg(draw_hearts(SHORT, 0, 5), SHORT)
    np.testing.assert_array_equal(whole[3:4], simulate_ecg(draw_hearts(SHORT, 3, 1), SHORT))
    assert whole.shape == (5, 12, 2000)
    assert simulate_ecg(draw_hearts(SHORT, 0, 0), SHORT).shape == (0, 12, 2000)


def test_default_is_ten_seconds_at_500_hz() -> None:
    assert simulate_ecg(draw_hearts(SHORT, 0, 1)).shape == (1, 12, 5000)


def test_healthy_complexes_look_healthy(healthy: pd.DataFrame) -> None:
    beats = [beat(h) for h in healthy.itertuples(index=False)]
    tallest = np.median([b.max(axis=1) for b in beats], axis=0)
    deepest = np.median([b.min(axis=1) for b in beats], axis=0)
    r, s = dict(zip(LEADS, tallest, strict=True)), dict(zip(LEADS, -deepest, strict=True))
    assert r["V1"] < r["V2"] < r["V3"] < r["V4"]
    assert s["V1"] > r["V1"]
    assert r["V5"] > 4 * s["V5"]
    assert 0.9 < r["V5"] < 2.0
    assert r["aVR"] < 0.1 < s["aVR"]
    net = np.array([b.sum(axis=1) for b in beats])
    axis = np.rad2deg(np.arctan2(net[:, 5] * 2 / np.sqrt(3), net[:, 0]))
    assert 20 < np.median(axis) < 75


def test_infarcts_cut_q_waves_into_the_leads_of_their_territory(hearts: pd.DataFrame, healthy: pd.DataFrame) -> None:
    def q_depth(heart: Any, names: tuple[str, ...]) -> float:
        signal = beat(heart)
        waves = [lead(signal, n) for n in names]
        return float(np.mean([-min(0.0, w[: w.argmax() + 1].min()) if w.max() > 0.05 else -w.min() for w in waves]))

    plain = ~hearts[["lbbb", "rbbb", "lvh", "dcm"]].any(axis=1)
    for territory, names in TERRITORY_LEADS.items():
        infarcts = hearts[plain & (hearts["territory"] == territory) & (hearts["infarct_size"] > 0.10)]
        assert len(infarcts) > 10
        with_scar = np.mean([q_depth(h, names) for h in infarcts.itertuples(index=False)])
        without = np.mean([q_depth(h, names) for h in healthy.itertuples(index=False)])
        assert with_scar > 1.1 * without


def test_lateral_infarcts_lose_r_in_the_lateral_leads(hearts: pd.DataFrame, healthy: pd.DataFrame) -> None:
    lateral = hearts[(hearts["territory"] == 2) & (hearts["infarct_size"] > 0.10) & ~hearts["lbbb"]]
    tall = [np.mean([lead(beat(h), "V6").max() for h in f.itertuples(index=False)]) for f in (lateral, healthy)]
    assert tall[0] < 0.75 * tall[1]


def test_small_infarcts_are_nearly_silent(hearts: pd.DataFrame) -> None:
    def left_of(frame: pd.DataFrame) -> float:
        index = frame["lv_mass_g"] / ((47 + 9 * frame["male"]) * frame["bsa_m2"])
        return float((frame[segment_columns("front")].sum(axis=1) / index**0.9).mean())

    none, size = left_of(hearts[hearts["infarct_size"] == 0]), hearts["infarct_size"]
    assert left_of(hearts[(size > 0) & (size < 0.04)]) > 0.95 * none
    assert left_of(hearts[size > 0.15]) < 0.75 * none


def test_left_bundle_branch_block_is_broad_and_negative_in_v1(hearts: pd.DataFrame) -> None:
    blocked = [beat(h) for h in hearts[hearts["lbbb"] & (hearts["infarct_size"] == 0)].itertuples(index=False)]
    assert blocked
    assert np.median([lead(b, "V1").max() / -lead(b, "V1").min() for b in blocked]) < 0.2
    assert np.median([(np.abs(lead(b, "V6")) > 0.15).sum() for b in blocked]) > 70


def test_right_bundle_branch_block_ends_with_r_in_v1_and_s_in_v6(hearts: pd.DataFrame) -> None:
    for heart in hearts[hearts["rbbb"] & ~hearts["lbbb"]].head(8).itertuples(index=False):
        late = beat(heart)[:, 20 + int(0.65 * heart.qrs_ms) :]
        assert lead(late, "V1").max() > 0.15
        assert lead(late, "V6").min() < -0.1


def test_fibrillation_is_irregular_and_has_no_p_wave(hearts: pd.DataFrame) -> None:
    settings = SimulationSettings(ecg_duration_s=30.0)

    def rr(heart: Any) -> np.ndarray:
        speed = np.linalg.norm(np.diff(clean_ecg(heart, settings)[:2]), axis=0)
        fast = np.flatnonzero(speed > 0.45 * speed.max())
        return np.diff(fast[np.r_[True, np.diff(fast) > 100]])

    def spread(frame: pd.DataFrame) -> float:
        return float(np.median([np.std(x) / np.mean(x) for x in map(rr, frame.itertuples(index=False))]))

    plain = ~hearts[["lbbb", "rbbb"]].any(axis=1) & (hearts["infarct_size"] == 0)
    assert spread(hearts[plain & hearts["af_now"]].head(6)) > 0.12
    assert spread(hearts[plain & ~hearts["af_now"]].head(6)) < 0.06
