from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.modalities.cmr import (
    FATAL_CMR,
    FRAME_NAMES,
    CmrPreparation,
    cmr_quality,
    cmr_spec,
    prepare_cmr,
)
from cardiobind.modalities.cmr.cine_phases import (
    cycle_fraction,
    end_diastole,
    end_systole,
    find_phases,
    two_classes,
    ventricle_slices,
)
from cardiobind.modalities.cmr.heart_location import locate_heart, periodic_motion
from cardiobind.modalities.records import CineRecord

SPACING_MM = 2.0
SMALL = CmrPreparation(size_px=64)


def _disc(distance_mm: NDArray[np.float64], radius_mm: float) -> NDArray[np.float64]:
    return np.clip((radius_mm - distance_mm) / SPACING_MM + 0.5, 0.0, 1.0)


def _heart(
    centre_mm: tuple[float, float] = (90.0, 100.0),
    slices: int = 3,
    phases: int = 20,
    es: float = 0.35,
    noise: float = 10.0,
    seed: int = 0,
) -> CineRecord:
    """Return a bright pool that contracts in a dark wall, a still bright chest wall and a pulsating vessel."""
    rows, columns = np.mgrid[:96, :96] * SPACING_MM
    fraction = np.arange(phases) / phases
    systole = np.interp(fraction, [0.0, 0.05, es, 0.75, 1.0], [0.0, 0.03, 1.0, 0.05, 0.0])
    distance = np.hypot(rows - centre_mm[0], columns - centre_mm[1])
    vessel = np.hypot(rows - 160.0, columns - 150.0)
    frames = np.empty((slices, phases, 96, 96))
    for k in range(slices):
        for p, s in enumerate(systole):
            pool = (24.0 - 2 * k) * (1 - 0.35 * s)
            image = 40.0 + 600.0 * (rows + columns < 50)
            image += (150.0 - image) * _disc(distance, 36.0 - 2 * k - 2 * s)
            image += (600.0 - image) * _disc(distance, pool)
            image += (300.0 + 300.0 * s) * _disc(vessel, 9.0)
            frames[k, p] = image
    frames += noise * np.random.default_rng(seed).normal(size=frames.shape)
    times = np.tile(fraction * 900.0, (slices, 1))
    return CineRecord(frames.astype(np.float32), (SPACING_MM,) * 2, 10.0 * np.arange(slices), times)


def _untimed(record: CineRecord) -> CineRecord:
    return replace(record, trigger_times_ms=np.full_like(record.trigger_times_ms, np.nan))


@given(st.floats(70, 115), st.floats(70, 115), st.floats(0.28, 0.45), st.integers(12, 30), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_a_contracting_pool_is_found(row: float, column: float, es: float, phases: int, slices: int) -> None:
    found = prepare_cmr(_heart((row, column), slices, phases, es), SMALL)
    assert np.hypot(found.centre_mm[0] - row, found.centre_mm[1] - column) < 5
    assert min(found.ed_phase, phases - found.ed_phase) <= 1
    assert abs(found.es_phase - es * phases) <= 1.5
    assert found.frames.shape == (3, 64, 64)
    assert found.frames.dtype == np.uint8
    assert found.confidence > 0.8


def test_frames_are_end_systole_between_and_end_diastole_of_the_slice() -> None:
    record = _heart(noise=0.0)
    found = prepare_cmr(record, SMALL)
    blood = [int((frame > 200).sum()) for frame in found.frames]
    assert blood[0] < blood[1] < blood[2]
    assert found.ed_phase < found.mid_phase < found.es_phase
    assert found.slice_index == 1


@pytest.mark.parametrize("shift", [1, 7, 13])
def test_turning_the_phases_turns_the_answer_where_times_are_unknown(shift: int) -> None:
    record = _untimed(_heart())
    turned = replace(record, frames=np.roll(record.frames, shift, axis=1))
    a, b = prepare_cmr(record, SMALL), prepare_cmr(turned, SMALL)
    assert (a.ed_phase + shift) % 20 == b.ed_phase
    assert (a.es_phase + shift) % 20 == b.es_phase
    assert (a.mid_phase + shift) % 20 == b.mid_phase
    np.testing.assert_array_equal(a.frames, b.frames)


def test_trigger_times_hold_end_diastole_near_the_r_wave() -> None:
    record = _heart()
    late = replace(record, trigger_times_ms=np.roll(record.trigger_times_ms, 5, axis=1))
    assert cycle_fraction(late.trigger_times_ms) is None
    delayed = replace(
        record, frames=np.roll(record.frames, -4, axis=1), trigger_times_ms=record.trigger_times_ms + 4 * 45.0
    )
    assert prepare_cmr(delayed, SMALL).ed_phase in (15, 16, 17)


def test_the_answer_does_not_depend_on_intensity_units_or_slice_order() -> None:
    record = _heart()
    base = prepare_cmr(record, SMALL)
    scaled = prepare_cmr(replace(record, frames=record.frames * np.float32(4.0) + np.float32(512.0)), SMALL)
    flipped = prepare_cmr(replace(record, frames=record.frames[::-1]), SMALL)
    for other in (scaled, flipped):
        assert (other.es_phase, other.mid_phase, other.ed_phase) == (base.es_phase, base.mid_phase, base.ed_phase)
        np.testing.assert_allclose(other.centre_mm, base.centre_mm, atol=0.5)
    assert flipped.slice_index == 2 - base.slice_index


def test_pixels_of_unequal_sides_are_taken_into_account() -> None:
    record = _heart((90.0, 100.0))
    wide = replace(record, frames=record.frames[..., ::2], pixel_spacing_mm=(SPACING_MM, 2 * SPACING_MM))
    found = prepare_cmr(wide, SMALL)
    np.testing.assert_allclose(found.centre_mm, (90.0, 100.0), atol=5)


def test_confidence_is_low_where_no_heart_beats() -> None:
    rng = np.random.default_rng(0)
    record = _heart()
    noise = rng.normal(100, 20, record.frames.shape).astype(np.float32)
    still = record.frames[:, :1] + noise
    shuffled = record.frames[:, rng.permutation(20)]
    for frames in (noise, still, shuffled):
        assert prepare_cmr(replace(record, frames=frames.astype(np.float32)), SMALL).confidence < 0.3
    assert prepare_cmr(record, SMALL).confidence > 0.9


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"frames": np.ones((20, 96, 96), np.float32)}, "wrong_shape"),
        ({"frames": np.ones((0, 20, 96, 96), np.float32)}, "wrong_shape"),
        ({"frames": np.ones((2, 20, 4, 96), np.float32)}, "wrong_shape"),
        ({"pixel_spacing_mm": (0.1, 2.0)}, "small_field_of_view"),
        ({"frames": _heart().frames * np.float32(1e9)}, "implausible_intensity"),
        ({"pixel_spacing_mm": (0.0, 2.0)}, "bad_spacing"),
        ({"pixel_spacing_mm": (float("nan"), 2.0)}, "bad_spacing"),
        ({"frames": _heart().frames[:, :7], "trigger_times_ms": _heart().trigger_times_ms[:, :7]}, "too_few_phases"),
        ({"frames": np.full((3, 20, 96, 96), np.nan, np.float32)}, "non_finite"),
        ({"frames": np.zeros((3, 20, 96, 96), np.float32)}, "flat"),
        ({"frames": np.repeat(_heart().frames[:, :1], 20, axis=1)}, "no_motion"),
    ],
)
def test_fatal_defects_are_refused_with_their_code(change: dict[str, object], code: str) -> None:
    record = replace(_heart(), **change)  # type: ignore[arg-type]
    assert code in cmr_quality(record)
    assert code in FATAL_CMR
    with pytest.raises(RecordError) as caught:
        prepare_cmr(record, SMALL)
    assert caught.value.reason == code


def test_lesser_defects_are_told_and_borne() -> None:
    record = replace(_untimed(_heart(slices=2)), meta={"repaired_frames": [(0, 3)]})
    assert set(cmr_quality(record)) == {"few_slices", "no_trigger_times", "repaired_frames"}
    prepare_cmr(record, SMALL)
    assert cmr_quality(_heart(slices=4)) == ()


@given(st.integers(0, 10_000), st.integers(1, 2), st.integers(8, 11), st.integers(16, 30), st.booleans())
@settings(max_examples=30, deadline=None)
def test_prepare_bears_any_finite_images(seed: int, slices: int, phases: int, size: int, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    frames = rng.normal(size=(slices, phases, size, size + 3)) * 10.0 ** rng.integers(-12, 8)
    frames = np.where(rng.random(frames.shape) < 0.01, frames, 0.0) if sparse else frames
    record = CineRecord(
        frames.astype(np.float32), (4.0, 5.0), np.arange(slices) * 8.0, np.full((slices, phases), np.nan)
    )
    if set(cmr_quality(record)) & FATAL_CMR:
        return
    found = prepare_cmr(record, CmrPreparation(size_px=16))
    assert found.frames.shape == (3, 16, 16)
    assert np.isfinite(found.centre_mm).all()
    assert 0 <= found.confidence <= 1


def test_motion_equals_the_fourier_sum() -> None:
    frames = np.random.default_rng(0).normal(size=(2, 9, 5, 6))
    found = periodic_motion(frames, (0.0, 0.0))
    spectrum = np.abs(np.fft.fft(frames, axis=1)) * 2 / 9
    np.testing.assert_allclose(found, np.hypot(spectrum[:, 1], spectrum[:, 2]), rtol=1e-4)


def test_two_classes_equal_the_exhaustive_search() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 2, 400), rng.normal(30, 3, 200)])
    counts, edges = np.histogram(values, 64)
    middles = (edges[1:] + edges[:-1]) / 2
    best = (-1.0, 0.0, 0.0)
    for cut in range(1, 64):
        low, high = counts[:cut], counts[cut:]
        dark = float(np.average(middles[:cut], weights=low))
        bright = float(np.average(middles[cut:], weights=high))
        best = max(best, (float(low.sum() * high.sum()) * (dark - bright) ** 2, dark, bright))
    assert two_classes(values) == pytest.approx(best[1:])
    assert two_classes(np.full(9, 3.0)) == (0.0, 0.0)


def test_phases_of_a_curve() -> None:
    curve = np.array([0.97, 0.9, 0.6, 0.3, 0.0, 0.2, 0.6, 0.8, 0.9, 1.0])
    fraction = np.arange(10) / 10
    assert end_diastole(curve, None) == 9
    assert end_diastole(np.roll(curve, 5), fraction) in (0, 1, 9)
    assert end_systole(curve, 9) == 4
    assert end_systole(np.roll(curve, 3), 2) == 7
    early_artefact = curve.copy()
    early_artefact[1] = -0.5
    assert end_systole(early_artefact, 0) == 4


def test_cycle_fraction_takes_the_known_slices() -> None:
    times = np.stack([np.arange(10) * 80.0 + 10, np.full(10, np.nan)])
    np.testing.assert_allclose(cycle_fraction(times), np.arange(10) / 10 + 0.0125)
    assert cycle_fraction(times[1:]) is None


def test_the_mid_slice_is_the_middle_of_the_contracting_run() -> None:
    beat = np.cos(2 * np.pi * np.arange(12) / 12)
    beat /= np.linalg.norm(beat)
    areas = 100 + np.array([0.0, -8, 2, 6, 10, 9, 7, 3, 0.1, 4])[:, None] * beat
    assert sum(ventricle_slices(areas, beat)) // 2 == 4


def test_curve_and_locations_have_their_stated_shapes_and_ranges() -> None:
    record = _heart(slices=3)
    heart = locate_heart(record.frames, record.pixel_spacing_mm)
    found = find_phases(record.frames, record.pixel_spacing_mm, heart.centres_mm, record.trigger_times_ms)
    assert heart.centres_mm.shape == (3, 2)
    assert found.curve.min() == 0
    assert found.curve.max() == 1
    for value in (heart.sharpness, heart.motion_excess, found.contraction, found.coherence, found.smoothness):
        assert 0 <= value <= 1


def test_spec_states_size_and_frames() -> None:
    spec = cmr_spec(CmrPreparation())
    assert spec.shape == (3, 210, 210)
    assert spec.names == FRAME_NAMES
