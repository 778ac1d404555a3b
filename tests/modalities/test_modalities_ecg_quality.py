from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.modalities.ecg.bands import band_pass, resample_spectrum
from cardiobind.modalities.ecg.electrode_swaps import CODES, INDEPENDENT, SWAPS, swap_evidence
from cardiobind.modalities.ecg.quality import SIGNAL_CODES, ecg_quality, suggested_unit_factor
from cardiobind.modalities.ecg.r_peaks import r_peaks, typical_beat
from cardiobind.modalities.ecg.signal_checks import mains_mv, noise_mv, slope_frequency_hz, unit_factor, wander_mv
from cardiobind.modalities.records import EcgRecord
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_ecg
from cardiobind.sources.ptbxl import PtbxlSource

Array = NDArray[np.float64]
RATE_HZ = 500.0
SIMULATED = SimulationSettings(seed=11)


@pytest.fixture(scope="module")
def ecgs() -> Array:
    hearts = draw_hearts(SIMULATED, 0, 40)
    return simulate_ecg(hearts, SIMULATED).astype(np.float64)


@pytest.fixture(scope="module")
def clean(ecgs: Array) -> Array:
    """(12, 5000) of the first simulated subject without a code."""
    return next(x for x in ecgs if not _codes(x))


def _codes(amplitude_mv: NDArray[np.floating], rate_hz: float = RATE_HZ) -> set[str]:
    return set(ecg_quality(EcgRecord(amplitude_mv.astype(np.float32), rate_hz)))


def _time() -> Array:
    return np.arange(5000) / RATE_HZ


def test_few_simulated_records_have_a_code(ecgs: Array) -> None:
    assert sum(not _codes(x) for x in ecgs) >= 36


def test_codes_come_worst_first(clean: Array) -> None:
    x = clean + 3 * np.sin(2 * np.pi * 0.2 * _time()) + 0.2 * np.sin(2 * np.pi * 50 * _time())
    x[3] *= -1
    x[7] = 0.1
    found = ecg_quality(EcgRecord(x.astype(np.float32), RATE_HZ))
    assert {"flat_lead", "limb_leads_inconsistent", "mains_noise", "baseline_wander"} <= set(found)
    assert list(found) == sorted(found, key=SIGNAL_CODES.index)


def test_clipped_peaks_are_told_and_uncut_ones_are_not(clean: Array) -> None:
    limit = 0.5 * clean[10].max()
    cut = clean.copy()
    cut[10] = np.minimum(cut[10], limit)
    assert "clipped" in _codes(cut)
    assert "clipped" not in _codes(clean)


def test_an_amplifier_at_its_rail_is_told_from_0_2_s_on(clean: Array) -> None:
    for samples, told in ((98, False), (102, True)):
        x = clean.copy()
        x[8, 2000 : 2000 + samples] = 5.0
        assert ("saturated" in _codes(x)) is told


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_the_amplitude_of_mains_is_measured(clean: Array, mains_hz: float) -> None:
    x = clean.copy()
    x[9] += 0.12 * np.sin(2 * np.pi * mains_hz * _time() + 0.4)
    assert mains_mv(x, RATE_HZ, mains_hz)[9] == pytest.approx(0.12, abs=0.01)
    assert "mains_noise" in _codes(x)
    assert "mains_noise" not in _codes(clean)


def test_muscle_noise_is_measured_between_the_beats(clean: Array) -> None:
    rng = np.random.default_rng(0)
    noise = band_pass(rng.standard_normal(5000), RATE_HZ, 25.0, 49.0)
    x = clean.copy()
    x[6] += 0.06 / noise.std() * noise
    slow = resample_spectrum(x, RATE_HZ, 100.0)
    assert noise_mv(slow, 100.0)[6] == pytest.approx(0.06, rel=0.25)
    assert "noisy" in _codes(x)


def test_wander_is_the_standard_deviation_of_slow_waves() -> None:
    wave = np.stack([1.5 * np.sin(2 * np.pi * 0.3 * _time()), 1.5 * np.sin(2 * np.pi * 3.0 * _time())])
    np.testing.assert_allclose(wander_mv(wave, RATE_HZ), [1.5 / np.sqrt(2), 0.0], atol=0.02)


@pytest.mark.parametrize(("factor", "told"), [(1e3, 1e3), (200.0, 200.0), (1e-3, 1e-3), (1 / 200, 1 / 200), (1.0, 1.0)])
def test_the_unit_is_guessed_from_the_usual_range(factor: float, told: float) -> None:
    assert unit_factor(0.96 * factor) == told


def test_amplitudes_in_another_unit_are_told(clean: Array) -> None:
    assert {"implausible_amplitude", "wrong_unit"} <= _codes(clean * 1000)
    assert {"all_flat", "wrong_unit"} <= _codes(clean / 1000)
    assert np.isnan(unit_factor(30.0))
    assert [suggested_unit_factor(clean * k) for k in (1e3, 1.0, 1e-3, 0.0)] == [1e3, 1.0, 1e-3, 1.0]
    assert "wrong_unit" not in _codes(clean * 0 + 0.3)


@pytest.mark.parametrize("factor", [0.4, 2.5, 4.0])
def test_a_wrong_rate_is_told(ecgs: Array, factor: float) -> None:
    stated = [np.concatenate([x, x, x, x], axis=1) for x in ecgs[:12]]
    assert sum("wrong_rate" in _codes(x, RATE_HZ * factor) for x in stated) >= 10
    assert not any("wrong_rate" in _codes(x) for x in ecgs)


def test_slope_frequency_scales_with_the_rate(clean: Array) -> None:
    beat = clean[:, 1000:1024]
    assert slope_frequency_hz(beat, 200.0) == pytest.approx(2 * slope_frequency_hz(beat, 100.0))
    assert np.isnan(slope_frequency_hz(beat * 0, 100.0))


@given(st.floats(0.25, 4.0), st.integers(-1, 1))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_evidence_of_swaps_does_not_depend_on_amplitude_or_offset_of_time(scale: float, sign: int) -> None:
    beat = np.random.default_rng(abs(sign)).standard_normal((12, 65))
    first, second = swap_evidence(beat), swap_evidence(scale * beat)
    np.testing.assert_allclose(list(first.values()), list(second.values()), atol=1e-6)


def test_undoing_a_swap_turns_its_evidence_round() -> None:
    beat = np.random.default_rng(3).standard_normal((12, 65))
    for name, matrix in SWAPS.items():
        if np.allclose(matrix @ matrix, np.eye(8)):
            swapped = beat.copy()
            swapped[list(INDEPENDENT)] = matrix @ beat[list(INDEPENDENT)]
            assert swap_evidence(swapped)[name] == pytest.approx(-swap_evidence(beat)[name], abs=1e-6)


def test_maps_of_limb_swaps_are_those_of_the_textbooks() -> None:
    one, two, other = np.array([1.0, 2.0, 0, 0, 0, 0, 0, 0]), np.array([-1.0, 1.0]), np.array([-2.0, -1.0])
    np.testing.assert_allclose((SWAPS["LA/RA"] @ one)[:2], two)  # I inverted, II and III exchanged
    np.testing.assert_allclose((SWAPS["LA/LL"] @ one)[:2], [2.0, 1.0])  # I and II exchanged
    np.testing.assert_allclose((SWAPS["RA/LL"] @ one)[:2], [-1.0, -2.0])  # II inverted, I is minus III
    np.testing.assert_allclose((SWAPS["RA/LL"] @ one)[[1, 0]], other)


@pytest.mark.parametrize("name", ["LA/RA", "RA/LL", "RA>LA>LL", "V1-V6 reversed"])
def test_swapped_electrodes_of_simulated_hearts_are_told(ecgs: Array, name: str) -> None:
    code = next(code for code, names in CODES.items() if name in names)
    usual = [x for x in ecgs if not _codes(x)][:15]
    told = [code in _codes(_twelve(SWAPS[name] @ x[list(INDEPENDENT)])) for x in usual]
    assert np.mean(told) >= 0.9


def test_an_arm_electrode_on_the_right_leg_is_told(clean: Array) -> None:
    one, two = clean[0], clean[1]
    eight = np.vstack([one - two, 0.02 * two, clean[6:]])
    assert "leg_electrode_swapped" in _codes(_twelve(eight))


def test_r_peaks_are_where_the_beats_were_put() -> None:
    times = np.cumsum(np.full(11, 0.83)) - 0.3
    sample = np.arange(1000) / 100
    x = sum(
        np.exp(-0.5 * ((sample - t) / 0.018) ** 2) + 0.25 * np.exp(-0.5 * ((sample - t - 0.3) / 0.05) ** 2)
        for t in times
    )
    x = np.outer([1.0, -0.7], x) + 0.01 * np.random.default_rng(0).standard_normal((2, 1000))
    found = r_peaks(x, 100.0) / 100
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, atol=0.03)
    beat = typical_beat(x, r_peaks(x, 100.0), 20, 30)
    assert beat is not None
    assert np.abs(beat).argmax(axis=1).tolist() == pytest.approx([20, 20], abs=3)


def test_nothing_beats_in_a_flat_line() -> None:
    assert not len(r_peaks(np.zeros((12, 500)), 100.0))
    assert typical_beat(np.zeros((12, 10)), np.array([5]), 8, 8) is None


@given(st.floats(0.5, 40.0), st.sampled_from([100.0, 250.0, 500.0, 1000.0]))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_resampled_sine_is_a_sine(frequency_hz: float, rate_hz: float) -> None:
    time = np.arange(int(10 * rate_hz)) / rate_hz
    found = resample_spectrum(np.sin(2 * np.pi * frequency_hz * time), rate_hz, 100.0)
    middle = slice(300, 700)
    expected = np.sin(2 * np.pi * frequency_hz * np.arange(len(found)) / 100)
    np.testing.assert_allclose(found[middle], expected[middle], atol=0.05)


def test_real_records_of_one_subject_at_two_rates_agree(shared_data: Path) -> None:
    low, high = (PtbxlSource(shared_data / "ptbxl", rate_hz) for rate_hz in (100, 500))
    by_visit = {ref.visit: ref for ref in low.records()}
    refs = high.records()[:25]
    assert [ecg_quality(high.read(r)) for r in refs] == [ecg_quality(low.read(by_visit[r.visit])) for r in refs]


def test_real_arm_swaps_are_told_and_real_records_are_not(shared_data: Path) -> None:
    source = PtbxlSource(shared_data / "ptbxl", 100)
    records = [source.read(ref) for ref in source.records()[::75]]
    swapped = [_twelve(SWAPS["LA/RA"] @ r.amplitude_mv[list(INDEPENDENT)]) for r in records]
    assert np.mean(["arm_electrodes_swapped" in _codes(r.amplitude_mv, 100.0) for r in records]) <= 0.03
    assert np.mean(["arm_electrodes_swapped" in _codes(x, 100.0) for x in swapped]) >= 0.95


def _twelve(eight: NDArray[np.floating]) -> NDArray[np.floating]:
    one, two = eight[0], eight[1]
    return np.vstack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, eight[2:]])
