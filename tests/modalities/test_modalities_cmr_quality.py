"""Each quality code of a cine is raised by the damage it is named after, and by nothing that is sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import zoom

from cardiobind.errors import RecordError
from cardiobind.modalities.cmr import DOUBTFUL_CMR, FATAL_CMR, CmrPreparation, cmr_quality, prepare_cmr
from cardiobind.modalities.cmr import quality as quality_module
from cardiobind.modalities.cmr.cine_phases import find_phases
from cardiobind.modalities.cmr.heart_location import locate_heart
from cardiobind.modalities.cmr.signs import cine_signs, order_in_time
from cardiobind.modalities.records import VIEWS, CineRecord
from cardiobind.simulate.settings import SimulationSettings
from cmr_truth import Truth, displaced, simulated

SETTINGS = SimulationSettings(seed=0, slices=7, phases=20, image_px=96)
SMALL = CmrPreparation(size_px=32)


@pytest.fixture(scope="module")
def truths() -> list[Truth]:
    return list(simulated(SETTINGS, 40, 2))


def _gap(truth: Truth) -> CineRecord:
    kept = np.array([0, 1, 2, 4, 5, 6])
    record = truth.record
    return replace(
        record,
        frames=record.frames[kept],
        slice_positions_mm=record.slice_positions_mm[kept],
        trigger_times_ms=record.trigger_times_ms[kept],
    )


def _one_slice_moved(truth: Truth) -> CineRecord:
    by = np.zeros((SETTINGS.slices, 2))
    by[3] = (13.0, 13.0)
    return displaced(truth, by).record


def _cut(truth: Truth) -> CineRecord:
    record = truth.record
    return replace(record, frames=record.frames[:, :13], trigger_times_ms=record.trigger_times_ms[:, :13])


def _shuffled(truth: Truth) -> CineRecord:
    return replace(truth.record, frames=truth.record.frames[:, np.random.default_rng(0).permutation(20)])


def _noisy(truth: Truth) -> CineRecord:
    frames = truth.record.frames
    level = 0.3 * float(np.quantile(frames, 0.98))
    return _with(truth, frames + level * np.random.default_rng(0).standard_normal(frames.shape))


def _blood_like_muscle(truth: Truth) -> CineRecord:
    frames, spacing = truth.record.frames, truth.record.pixel_spacing_mm
    row, column = (
        np.arange(n) * mm - at
        for n, mm, at in zip(frames.shape[2:], spacing, truth.centres_mm.mean(axis=0), strict=True)
    )
    near = np.hypot(row[:, None], column[None, :]) < 50
    blood = float(np.median(frames[3][:, np.hypot(row[:, None], column[None, :]) < 8]))
    muscle = 0.29 * blood
    return _with(truth, np.where(near & (frames > muscle), muscle + 0.12 * (frames - muscle), frames))


def _long_axis(truth: Truth) -> CineRecord:
    """Planes along the ventricle, cut out of the short-axis stack."""
    record = truth.record
    middle = round(truth.centres_mm[3, 1] / record.pixel_spacing_mm[1])
    stretch = SETTINGS.slice_distance_mm / record.pixel_spacing_mm[0]
    planes = [record.frames[..., middle + step].transpose(1, 0, 2) for step in (-5, 0, 5)]
    frames = np.stack([zoom(plane, (1, stretch, 1), order=1) for plane in planes])
    pad = (record.frames.shape[2] - frames.shape[2]) // 2
    frames = np.pad(frames, ((0, 0), (0, 0), (pad, pad), (0, 0)))
    return replace(
        record,
        frames=frames.astype(np.float32),
        slice_positions_mm=9.0 * np.arange(3),
        trigger_times_ms=record.trigger_times_ms[:3],
    )


def _still(truth: Truth) -> CineRecord:
    mean = truth.record.frames.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    return _with(truth, mean + 0.02 * mean.max() * rng.standard_normal(truth.record.frames.shape))


def _with(truth: Truth, frames: NDArray[np.floating]) -> CineRecord:
    return replace(truth.record, frames=np.asarray(frames, np.float32))


DAMAGES: dict[str, Callable[[Truth], CineRecord]] = {
    "missing_slices": _gap,
    "slices_misaligned": _one_slice_moved,
    "mistriggered": _cut,
    "frames_out_of_order": _shuffled,
    "noisy": _noisy,
    "low_contrast": _blood_like_muscle,
    "wrong_orientation": _long_axis,
    "little_motion": _still,
}


@pytest.mark.parametrize("code", DAMAGES)
def test_a_damage_raises_its_code(code: str, truths: list[Truth]) -> None:
    for truth in truths:
        assert code not in cmr_quality(truth.record)
        assert code in cmr_quality(DAMAGES[code](truth))


def test_sound_cines_have_no_code(truths: list[Truth]) -> None:
    assert [cmr_quality(truth.record) for truth in truths] == [()] * len(truths)


def test_preparation_hands_over_the_codes_and_doubts_the_doubtful(truths: list[Truth]) -> None:
    for damage in DAMAGES.values():
        record = damage(truths[0])
        found = prepare_cmr(record, SMALL)
        assert found.quality == cmr_quality(record)
        if DOUBTFUL_CMR & set(found.quality):
            assert found.confidence <= 0.25


def test_slices_that_the_reader_left_out_are_told(truths: list[Truth]) -> None:
    record = replace(truths[0].record, meta={"dropped_slices": 1, "repaired_frames": [(0, 2)]})
    assert cmr_quality(record) == ("repaired_frames", "missing_slices")


def test_the_order_of_slices_and_a_phase_shift_of_the_cycle_raise_nothing(truths: list[Truth]) -> None:
    record = truths[0].record
    turned = np.full_like(record.trigger_times_ms, np.nan)
    for shift in (0, 4, 11):
        rolled = replace(record, frames=np.roll(record.frames, shift, axis=1)[::-1], trigger_times_ms=turned)
        assert cmr_quality(rolled) == ("no_trigger_times",)


@pytest.mark.parametrize(
    ("orientation", "wrong"),
    [
        ((1, 0, 0, 0, 1, 0), True),
        ((1, 0, 0, 0, 0.1, -0.995), True),
        ((0.7118, 0.7022, -0.0149, -0.3134, 0.2987, -0.9014), False),
        ((float("nan"),) * 6, False),
    ],
)
def test_slices_along_an_axis_of_the_body_are_no_short_axis(
    orientation: tuple[float, ...], wrong: bool, truths: list[Truth]
) -> None:
    record = replace(truths[0].record, orientation=np.array(orientation))
    assert ("wrong_orientation" in cmr_quality(record)) is wrong


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "sax"])
def test_other_views_are_refused_with_their_reason(view: str, truths: list[Truth]) -> None:
    record = replace(truths[0].record, view=view)
    assert cmr_quality(record) == ("wrong_view",)
    assert "wrong_view" in FATAL_CMR
    with pytest.raises(RecordError, match="not a short-axis stack") as caught:
        prepare_cmr(record, SMALL)
    assert caught.value.reason == "wrong_view"
    assert view in str(caught.value)


def test_order_in_time_equals_the_sums_over_pairs() -> None:
    images = np.random.default_rng(0).normal(size=(2, 9, 4, 5)) + 1e4
    change = np.array(
        [[np.sqrt(((images[:, a] - images[:, b]) ** 2).sum()) for a in range(9)] for b in range(9)], dtype=float
    )
    noise = min(change[k, k + 1] for k in range(8))
    change = np.sqrt(np.maximum(change**2 - noise**2, 0))
    steps = [change[k, k + 1] for k in range(8)]
    pairs = [change[a, b] for a in range(9) for b in range(a)]
    wrap, disorder = order_in_time(images)
    assert wrap == pytest.approx(change[8, 0] / max(*steps[:2], *steps[-2:]), rel=1e-6)
    assert disorder == pytest.approx(np.mean(steps) / np.mean(pairs), rel=1e-6)
    assert np.isnan(order_in_time(np.ones((1, 8, 3, 3)))).all()


@pytest.mark.parametrize(("ratio", "jump_mm"), [(1.0, 0.0), (1.25, 9.0)])
def test_shape_and_jump_are_those_drawn(ratio: float, jump_mm: float) -> None:
    row, column = np.mgrid[:96, :96] * 2.0
    beat = 1 - 0.15 * (1 - np.cos(2 * np.pi * np.arange(16) / 16))
    frames = np.empty((5, 16, 96, 96), np.float32)
    for k in range(5):
        distance = np.hypot((row - 95) / ratio, column - 95 - jump_mm * (k == 2))
        for p, share in enumerate(beat):
            frames[k, p] = 200.0 + 400 * (distance < 22 * share) - 150 * (distance > 34)
    times = np.tile(50.0 * np.arange(16), (5, 1))
    record = CineRecord(frames, (2.0, 2.0), 10.0 * np.arange(5), times)
    heart = locate_heart(frames, (2.0, 2.0))
    signs = cine_signs(record, heart, find_phases(frames, (2.0, 2.0), heart.centres_mm, times))
    assert signs.elongation == pytest.approx(ratio, abs=0.04)
    assert signs.jump_mm == pytest.approx(jump_mm, abs=1.0)
    assert np.isnan(signs.tilt_deg)
    assert signs.wrap < 1


def test_every_code_is_described() -> None:
    words = str(quality_module.cmr_quality.__doc__)
    for code in (*DAMAGES, *FATAL_CMR):
        assert code in words
