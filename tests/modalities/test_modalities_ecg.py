from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from cardiobind.errors import InputError, RecordError
from cardiobind.modalities.ecg import (
    FATAL_ECG,
    EcgPreparation,
    asymmetric_least_squares,
    clip_to_sd,
    ecg_quality,
    ecg_spec,
    normalise_by_lead_group,
    prepare_ecg,
    resample,
)
from cardiobind.modalities.records import LEADS, EcgRecord

SHORT = EcgPreparation(rate_hz=100, duration_s=2.0)


def _wave(samples: int = 200, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(size=(12, samples))
    return (np.sin(np.arange(samples) / 5) + 0.2 * noise).astype(np.float32)


def _dense_baseline(y: NDArray[np.float64], lam: float, asymmetry: float, iterations: int) -> NDArray[np.float64]:
    difference = np.diff(np.eye(len(y)), 2, axis=0)
    weights = np.ones(len(y))
    for _ in range(iterations):
        baseline = np.linalg.solve(np.diag(weights) + lam * difference.T @ difference, weights * y)
        weights = np.array([asymmetry if a > b else 1 - asymmetry for a, b in zip(y, baseline, strict=True)])
    return baseline


@pytest.mark.parametrize("lam", [1.0, 1e3, 1e7])
@pytest.mark.parametrize("samples", [3, 4, 5, 6, 80])
def test_baseline_equals_the_dense_solution(samples: int, lam: float) -> None:
    y = np.cumsum(np.random.default_rng(samples).normal(size=(3, samples)), axis=1)
    fast = asymmetric_least_squares(y, lam, 0.3, 5)
    slow = np.stack([_dense_baseline(row, lam, 0.3, 5) for row in y])
    np.testing.assert_allclose(fast, slow, rtol=1e-6, atol=1e-6)


def test_baseline_of_a_straight_line_is_the_line() -> None:
    line = np.linspace(-2, 5, 400)[None]
    np.testing.assert_allclose(asymmetric_least_squares(line, 1e5, 0.3, 3), line, atol=1e-6)


def test_baseline_lies_low_when_samples_above_weigh_less() -> None:
    y = np.random.default_rng(0).normal(size=(1, 500))
    baseline = asymmetric_least_squares(y, 1e4, 0.05, 10)
    assert (y > baseline).mean() > 0.7


@pytest.mark.parametrize("arguments", [(0.0, 0.3, 5), (1.0, 0.0, 5), (1.0, 1.0, 5), (1.0, 0.3, 0)])
def test_baseline_refuses_wrong_settings(arguments: tuple[float, float, int]) -> None:
    with pytest.raises(InputError):
        asymmetric_least_squares(np.zeros((1, 10)), *arguments)


def test_slow_drift_is_removed_and_the_beats_stay_at_either_rate() -> None:
    for rate_hz in (100, 500):
        seconds = np.arange(10 * rate_hz) / rate_hz
        beats = np.exp(-(((seconds + 0.5) % 1 - 0.5) ** 2) / 0.0006)
        record = EcgRecord(np.tile(beats + 1.5 * np.sin(0.2 * seconds), (12, 1)).astype(np.float32), rate_hz)
        found = prepare_ecg(record, EcgPreparation(rate_hz=rate_hz, clip_sd=100))[0] / 1000
        assert np.abs(found - beats).max() < 0.3
        assert np.corrcoef(found, beats)[0, 1] > 0.97


def test_resample_keeps_a_sine_and_gives_the_right_length() -> None:
    for rate_hz in (250.0, 360.0, 1000.0, 1000 / 3):
        seconds = np.arange(round(4 * rate_hz)) / rate_hz
        found = resample(np.sin(2 * np.pi * 3 * seconds)[None], rate_hz, 500.0)[0]
        assert len(found) == pytest.approx(2000, abs=2)
        middle = slice(100, 1900)
        expected = np.sin(2 * np.pi * 3 * np.arange(len(found)) / 500)
        np.testing.assert_allclose(found[middle], expected[middle], atol=0.01)


@given(
    arrays(np.float64, (2, 60), elements=st.floats(-5, 5)),
    st.floats(-3, 3),
    st.sampled_from([(500.0, 100.0), (100.0, 500.0), (128.0, 500.0), (257.0, 500.0)]),
)
@settings(max_examples=40, deadline=None)
def test_resample_is_linear_and_nearly_keeps_constants(
    x: NDArray[np.float64], a: float, rates: tuple[float, float]
) -> None:
    combined = resample(a * x[:1] + x[1:], *rates)
    np.testing.assert_allclose(combined, a * resample(x[:1], *rates) + resample(x[1:], *rates), atol=1e-9)
    np.testing.assert_allclose(resample(np.full((1, 60), 0.7), *rates), 0.7, atol=1e-3)


def test_clip_equals_the_loop() -> None:
    x = _wave().astype(np.float64)
    x[3, 7] = 50.0
    mean, sd = x.mean(), x.std()
    slow = [[min(max(v, mean - 2 * sd), mean + 2 * sd) for v in row] for row in x]
    np.testing.assert_array_equal(clip_to_sd(x, 2.0), slow)


@given(arrays(np.float32, (2, 12, 8), elements=st.floats(-1000, 1000, width=32)))
@settings(max_examples=50, deadline=None)
def test_lead_groups_equal_the_slow_reference(x: NDArray[np.float32]) -> None:
    found = normalise_by_lead_group(x)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    for record, result in zip(x, found, strict=True):
        for first, last in ((0, 3), (3, 6), (6, 12)):
            has = [lead for lead in range(first, last) if record[lead].any()]
            assert not result[[lead for lead in range(first, last) if lead not in has]].any()
            if not has:
                continue
            group = record[has].astype(np.float64)
            sd = np.sqrt(((group - group.mean()) ** 2).mean())
            if sd > 1e-3:
                np.testing.assert_allclose(result[has], (group - group.mean()) / sd, rtol=1e-3, atol=1e-4)


def test_flat_group_becomes_zero_and_non_finite_is_refused() -> None:
    x = np.full((12, 100), 0.1, dtype=np.float32)
    x[6:] = _wave(100)[6:]
    found = normalise_by_lead_group(x)
    assert not found[:6].any()
    assert found[6:].std() == pytest.approx(1, abs=1e-4)
    x[0, 0] = np.nan
    with pytest.raises(InputError):
        normalise_by_lead_group(x)


def test_normalised_ecg_does_not_depend_on_the_unit() -> None:
    x = prepare_ecg(EcgRecord(_wave(), 100.0), SHORT)
    np.testing.assert_allclose(normalise_by_lead_group(x), normalise_by_lead_group(x / 1000 + 2), atol=1e-4)


def test_prepare_equals_the_steps_one_by_one() -> None:
    record = EcgRecord(_wave(250), 100.0)
    x = record.amplitude_mv.astype(np.float64)[:, :200]
    x = clip_to_sd(x, 4.0)
    slow = x - np.stack([_dense_baseline(row, 1e7 * 0.2**4, 0.3, 5) for row in x])
    found = prepare_ecg(record, SHORT)
    assert found.dtype == np.int16
    assert found.shape == (12, 200)
    np.testing.assert_allclose(found, slow * 1000, atol=0.51)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda x: x[:11], "wrong_shape"),
        (lambda x: x[:, :150], "too_short"),
        (lambda x: x[:, :0], "too_short"),
        (lambda x: x * 0 + 0.3, "all_flat"),
        (lambda x: x * np.nan, "all_flat"),
        (lambda x: x * 1000, "implausible_amplitude"),
        (lambda x: x / 1000, "all_flat"),
    ],
)
def test_fatal_defects_are_refused_with_their_code(change, code) -> None:  # type: ignore[no-untyped-def]
    record = EcgRecord(change(_wave()), 100.0)
    assert code in ecg_quality(record, SHORT)
    assert code in FATAL_ECG
    with pytest.raises(RecordError) as caught:
        prepare_ecg(record, SHORT)
    assert caught.value.reason == code


@pytest.mark.parametrize("rate_hz", [0.0, -500.0, float("nan"), float("inf"), 1e12])
def test_wrong_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(RecordError) as caught:
        prepare_ecg(EcgRecord(_wave(), rate_hz), SHORT)
    assert caught.value.reason == "bad_rate"


def test_gaps_and_missing_leads_are_told_and_become_zero() -> None:
    x = _wave()
    x[2] = np.nan
    x[4, 10:20] = np.inf
    x[5] = 0.25
    record = EcgRecord(x, 100.0)
    assert set(ecg_quality(record, SHORT)) == {"missing_lead", "non_finite", "flat_lead"}
    found = prepare_ecg(record, SHORT)
    assert not found[2].any()
    assert np.abs(found[5]).max() <= 1


def test_a_clean_record_has_no_code() -> None:
    assert ecg_quality(EcgRecord(_wave(), 100.0), SHORT) == ()


@given(
    arrays(np.float32, (12, 60), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    st.sampled_from([30.0, 60.0, 97.3, 1000.0]),
)
@settings(max_examples=80, deadline=None)
def test_prepare_gives_whole_microvolts_or_refuses(x: NDArray[np.float32], rate_hz: float) -> None:
    wanted = EcgPreparation(rate_hz=50, duration_s=1.0)
    record = EcgRecord(x, rate_hz)
    if set(ecg_quality(record, wanted)) & FATAL_ECG:
        with pytest.raises(RecordError):
            prepare_ecg(record, wanted)
        return
    found = prepare_ecg(record, wanted)
    assert found.shape == (12, 50)
    assert np.isfinite(normalise_by_lead_group(found)).all()


def test_spec_states_shape_rate_and_leads() -> None:
    spec = ecg_spec(EcgPreparation())
    assert spec.shape == (12, 5000)
    assert spec.rate_hz == 500
    assert spec.names == LEADS


def test_real_records_are_usable_at_both_rates_and_agree(shared_data: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    folder = shared_data / "ptbxl" / "sample"
    for name in ("00001", "00008", "00050"):
        low = wfdb.rdrecord(str(folder / "records100" / "00000" / f"{name}_lr"))
        high = wfdb.rdrecord(str(folder / "records500" / "00000" / f"{name}_hr"))
        wanted = EcgPreparation(rate_hz=100)
        a = prepare_ecg(EcgRecord(low.p_signal.T.astype(np.float32), low.fs), wanted)
        b = prepare_ecg(EcgRecord(high.p_signal.T.astype(np.float32), high.fs), wanted)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.98


@pytest.mark.slow
def test_all_real_records_are_kept(shared_data: Path) -> None:
    with zipfile.ZipFile(shared_data / "ptbxl" / "records100.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".dat")]
        raw = [np.frombuffer(archive.read(name), dtype="<i2").reshape(-1, 12).T / 1000 for name in names]
    codes = [ecg_quality(EcgRecord(x.astype(np.float32), 100.0)) for x in raw]
    assert not [c for c in codes if set(c) & FATAL_ECG]


def test_leads_that_are_there_are_prepared_as_if_the_others_had_never_been() -> None:
    generator = np.random.default_rng(0)
    leads = generator.normal(size=(12, 400)).cumsum(axis=1).astype(np.float32)
    leads[[0, 4, 5, 7]] = 0.0
    has = [1, 2, 3, 6, 8, 9, 10, 11]
    clipped = clip_to_sd(leads.astype(np.float64), 2.0)
    np.testing.assert_array_equal(clipped[has], np.clip(leads[has], *clip_limits(leads[has].astype(np.float64), 2.0)))
    z = normalise_by_lead_group(np.stack([leads, np.roll(leads, 1, axis=0)]))
    assert not z[0, [0, 4, 5, 7]].any()
    for group in ([1, 2], [3], [6, 8, 9, 10, 11]):
        np.testing.assert_allclose([z[0, group].mean(), z[0, group].std()], [0.0, 1.0], atol=1e-5)
    np.testing.assert_array_equal(normalise_by_lead_group(leads), z[0])


def clip_limits(signal: np.ndarray, sd: float) -> tuple[float, float]:
    return signal.mean() - sd * signal.std(), signal.mean() + sd * signal.std()
