"""Layouts of a cine: which slices, moments and views become planes, and what is said where they are lacking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import heart_phantom as phantom
from cardiobind.config import CmrConfig
from cardiobind.errors import ConfigError, DataContractError
from cardiobind.modalities.cmr import LAYOUTS, LONG_AXIS, CmrPreparation, Planes, cmr_spec, prepare_cmr
from cardiobind.modalities.cmr.heart_crop import crop_square, scale_to_bytes
from cardiobind.modalities.cmr.heart_location import locate_heart, moving_centre
from cardiobind.modalities.cmr.layouts import even_phases, spread_slices, stored_planes
from cardiobind.modalities.cmr.long_axis import projected_centre_mm, same_moments
from cardiobind.modalities.records import CineRecord
from cardiobind.simulate.settings import SimulationSettings
from cmr_truth import simulated

SIZE = 48
FRAMES, SLICES = (CmrPreparation(size_px=SIZE, layout=name) for name in ("frames", "slices"))
VIDEO = CmrPreparation(size_px=SIZE, layout="video", video_phases=6)


@pytest.fixture(scope="module")
def heart() -> CineRecord:
    views = {view: phantom.record(phantom.lax(view), view) for view in ("lax_2ch", "lax_4ch")}
    return replace(phantom.record(phantom.stack(), base_to_apex=True), long_axis=views)


def test_the_layouts_of_experiments_are_those_that_exist() -> None:
    schema = CmrConfig.model_json_schema()["properties"]
    assert set(schema["layout"]["enum"]) == set(LAYOUTS)
    assert set(schema["long_axis"]["items"]["enum"]) == set(LONG_AXIS)


@pytest.mark.parametrize(("settings", "count", "first"), [
    (FRAMES, 3, "end_systole"), (SLICES, 9, "basal.end_diastole"), (VIDEO, 18, "basal.phase_0"),
])  # fmt: skip
@pytest.mark.parametrize("views", [(), ("lax_4ch",), ("lax_4ch", "lax_2ch")])
def test_the_spec_is_a_grid_of_places_by_moments(settings, count, first, views) -> None:
    wanted = replace(settings, long_axis=views)
    spec = cmr_spec(wanted)
    assert spec.shape == (count + len(views) * count // len(LAYOUTS[settings.layout].places), SIZE, SIZE)
    assert len(set(spec.names)) == spec.shape[0]
    assert spec.names[0].endswith(first)
    assert Planes.of_names(spec.names) == wanted.planes
    assert Planes.of_names(spec.names).optional == views


def test_names_that_are_no_grid_are_refused() -> None:
    with pytest.raises(DataContractError, match="grid"):
        Planes.of_names(("basal.a", "basal.b", "mid.a"))


@pytest.mark.parametrize("wrong", [
    {"layout": "cube"}, {"video_phases": 1}, {"long_axis": ("sax",)}, {"long_axis": ("lax_2ch", "lax_2ch")},
])  # fmt: skip
def test_impossible_layouts_are_refused(wrong) -> None:
    with pytest.raises(ConfigError):
        CmrPreparation(**wrong)


def test_slices_are_cut_around_their_own_centres_and_scaled_together(heart: CineRecord) -> None:
    found = prepare_cmr(heart, SLICES)
    centres = locate_heart(heart.frames, heart.pixel_spacing_mm).centres_mm
    slow = np.concatenate([
        crop_square(heart.frames[k][[p]], heart.pixel_spacing_mm, tuple(centres[k]), 142.0, SIZE)
        for k in found.slices for p in (found.ed_phase, found.mid_phase, found.es_phase)
    ])  # fmt: skip
    np.testing.assert_array_equal(found.frames, scale_to_bytes(slow))
    assert found.slices[0] < found.slices[1] == found.slice_index < found.slices[2]
    assert found.base_is == "first"
    assert found.quality == ()


def test_frames_are_the_mid_slice_of_slices(heart: CineRecord) -> None:
    frames, slices = prepare_cmr(heart, FRAMES), prepare_cmr(heart, SLICES)
    assert (frames.slice_index, frames.centre_mm) == (slices.slice_index, slices.centre_mm)
    assert frames.slices == (frames.slice_index,)
    assert frames.phases == slices.phases[::-1] == (frames.es_phase, frames.mid_phase, frames.ed_phase)


def test_the_base_is_found_from_the_geometry_or_from_the_pools() -> None:
    known = phantom.record(phantom.stack(), base_to_apex=True)
    turned = replace(known, frames=known.frames[::-1], base_to_apex=False)
    for record, base_is in ((replace(known, base_to_apex=None), "first_by_size"), (turned, "last"),
                            (replace(turned, base_to_apex=None), "last_by_size")):  # fmt: skip
        found = prepare_cmr(record, SLICES)
        assert found.base_is == base_is
        assert (found.slices[0] < found.slices[2]) == (base_is[0] == "f")


def test_the_simulated_base_is_the_last_slice() -> None:
    settings = SimulationSettings(seed=100, slices=6, phases=16, image_px=96)
    for truth in simulated(settings, 0, 3):
        found = prepare_cmr(truth.record, SLICES)
        assert found.base_is == "last_by_size"
        assert found.slices[0] > found.slices[1] > found.slices[2]


@pytest.mark.parametrize("count", range(1, 15))
def test_slices_are_the_middles_of_thirds(count: int) -> None:
    for first, last in ((3, 2 + count), (2 + count, 3)):
        basal, mid, apical = spread_slices(first, last, (first + last) // 2)
        assert {basal, mid, apical} <= set(range(3, 3 + count))
        assert abs(basal - first) == abs(last - apical)
        if count >= 3:
            assert len({basal, mid, apical}) == 3
            assert abs(abs(basal - first) - (count / 6 - 0.5)) <= 0.85


@pytest.mark.parametrize("slices", [1, 2])
def test_of_too_few_slices_the_nearest_is_taken_again_and_said(slices: int) -> None:
    full = phantom.record(phantom.stack(slices=3), base_to_apex=True)
    few = replace(full, **{n: getattr(full, n)[:slices] for n in (
        "frames", "slice_positions_mm", "trigger_times_ms", "origins_mm")})  # fmt: skip
    found = prepare_cmr(few, SLICES)
    assert "repeated_slices" in found.quality
    assert "repeated_slices" not in prepare_cmr(few, FRAMES).quality
    assert len(set(found.slices)) == slices
    assert found.frames.shape == (9, SIZE, SIZE)


def slow_even_phases(ed: int, at: np.ndarray, count: int) -> list[int]:
    chosen = [ed]
    for k in range(1, count):
        wanted = (at[ed] + k / count) % 1.0
        gaps = [min(abs(t - wanted), 1 - abs(t - wanted)) for t in at]
        chosen.append(int(np.argmin(np.round(gaps, 12))))
    return chosen


@pytest.mark.parametrize(("phases", "count", "ed"), [(20, 8, 0), (50, 8, 3), (12, 6, 11), (30, 10, 29)])
def test_phases_divide_the_beat_evenly(phases: int, count: int, ed: int) -> None:
    chosen = even_phases(ed, None, phases, count)
    at = np.arange(phases) / phases
    gaps = [abs((at[c] - at[ed] - k / count + 0.5) % 1 - 0.5) for k, c in enumerate(chosen)]
    assert chosen[0] == ed
    assert max(gaps) <= 0.5 / phases + 1e-12
    assert len(set(chosen)) == count


def test_uneven_trigger_times_choose_other_phases() -> None:
    uneven = np.linspace(0, 1, 21)[:-1] ** 1.5
    assert list(even_phases(2, uneven, 20, 8)) == slow_even_phases(2, uneven, 8)
    assert even_phases(2, uneven, 20, 8) != even_phases(2, None, 20, 8)


def test_a_video_starts_at_end_diastole_and_turns_with_the_phases(heart: CineRecord) -> None:
    found = prepare_cmr(heart, VIDEO)
    assert found.phases[0] == found.ed_phase
    untimed = replace(heart, trigger_times_ms=np.full_like(heart.trigger_times_ms, np.nan))
    turned = replace(untimed, frames=np.roll(untimed.frames, 7, axis=1))
    a, b = prepare_cmr(untimed, VIDEO), prepare_cmr(turned, VIDEO)
    assert b.ed_phase == (a.ed_phase + 7) % 20
    assert np.mean(a.frames == b.frames) > 0.8


def test_more_moments_than_phases_are_said(heart: CineRecord) -> None:
    assert "repeated_phases" in prepare_cmr(heart, replace(VIDEO, video_phases=24)).quality
    assert "repeated_phases" not in prepare_cmr(heart, VIDEO).quality


@pytest.mark.parametrize("view", LONG_AXIS)
def test_the_ventricle_is_found_in_a_long_axis_through_the_short_axis(view: str) -> None:
    sax, plane = phantom.record(phantom.stack(), base_to_apex=True), phantom.lax(view)
    located, found = _located(sax)
    place = projected_centre_mm(phantom.record(plane, view), sax, located, found)
    assert place is not None
    assert np.hypot(*(np.array(place) - phantom.centre_in(plane))) < 12
    moved = projected_centre_mm(phantom.record(phantom.lax(view, shift_mm=40.0), view), sax, located, found)
    assert moved is None
    assert projected_centre_mm(replace(phantom.record(plane, view), origins_mm=np.full((0, 3), 0.0)), sax, located,
                               found) is None  # fmt: skip


def _located(sax: CineRecord):
    from cardiobind.modalities.cmr.cine_phases import find_phases

    located = locate_heart(sax.frames, sax.pixel_spacing_mm)
    return located, find_phases(sax.frames, sax.pixel_spacing_mm, located.centres_mm, sax.trigger_times_ms)


@pytest.mark.parametrize("view", LONG_AXIS)
def test_without_geometry_motion_gives_the_place(view: str) -> None:
    plane = phantom.lax(view)
    place = moving_centre(phantom.record(plane, view).frames, plane.spacing_mm)
    assert np.hypot(*(np.array(place) - phantom.centre_in(plane))) < 45


def test_long_axis_planes_follow_the_short_axis(heart: CineRecord) -> None:
    wanted = replace(FRAMES, long_axis=("lax_4ch", "lax_3ch", "lax_2ch"))
    found = prepare_cmr(heart, wanted)
    four, three, two = found.frames[3:].reshape(3, 3, SIZE, SIZE)
    np.testing.assert_array_equal(found.frames[:3], prepare_cmr(heart, FRAMES).frames)
    assert not three.any()
    assert "no_lax_3ch" in found.quality
    assert not {"no_lax_2ch", "no_lax_4ch"} & set(found.quality)
    for planes in (four, two):
        pool = [int((frame[SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4] > 170).sum()) for frame in planes]
        assert pool[0] < pool[1] < pool[2]


@pytest.mark.parametrize(("phases", "other"), [(20, 20), (20, 30), (50, 25)])
def test_moments_are_matched_by_the_fraction_of_the_cycle(phases: int, other: int) -> None:
    a, b = (np.arange(n)[None] * 850.0 / n for n in (phases, other))
    for wanted in range(phases):
        (chosen,) = same_moments([wanted], a, b)
        assert abs((chosen / other - wanted / phases + 0.5) % 1 - 0.5) <= 0.5 / other + 1e-9
    assert same_moments([0, 5], a, np.full_like(b, np.nan)) == same_moments([0, 5], a, b)


DEFECTS = {
    "too_few_phases": lambda r: replace(r, frames=r.frames[:, :4], trigger_times_ms=r.trigger_times_ms[:, :4]),
    "flat": lambda r: replace(r, frames=np.zeros_like(r.frames)),
    "wrong_view": lambda r: replace(r, view="lax_3ch"),
    "not_a_plane": lambda r: replace(r, frames=np.repeat(r.frames, 3, axis=0)),
    "not_along_the_axis": lambda r: replace(r, orientation=phantom.record(phantom.stack()).orientation),
}


@pytest.mark.parametrize("code", DEFECTS)
def test_a_view_that_cannot_be_used_is_absent_with_its_reason(code: str, heart: CineRecord) -> None:
    spoilt = replace(heart, long_axis={"lax_2ch": DEFECTS[code](heart.long_axis["lax_2ch"])})
    found = prepare_cmr(spoilt, replace(SLICES, long_axis=("lax_2ch",)))
    assert found.long_axis_faults == {"lax_2ch": code}
    assert "lax_2ch_unusable" in found.quality
    assert not found.frames[9:].any()


def test_what_the_reader_refused_is_unusable_too(heart: CineRecord) -> None:
    damaged = replace(heart, long_axis={}, long_axis_faults={"lax_2ch": "bad_zip", "lax_3ch": "bad_zip"})
    found = prepare_cmr(damaged, replace(FRAMES, long_axis=("lax_2ch",)))
    assert found.long_axis_faults == {"lax_2ch": "bad_zip"}
    assert "lax_2ch_unusable" in found.quality


def test_only_an_absent_plane_is_zero_everywhere() -> None:
    planes = np.zeros((2, 3, 3), np.uint8)
    planes[1, 1, 1] = 7
    kept = stored_planes(planes.copy())
    assert kept[0].min() == kept[0].max() == 1
    np.testing.assert_array_equal(kept[1], planes[1])
