"""Phases, slice and crop against manual contours of patients and against the known truth of simulated hearts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cardiobind.evaluation.metrics import auroc
from cardiobind.formats import read_cine
from cardiobind.modalities.cmr import CmrPreparation, PreparedCine, prepare_cmr
from cardiobind.modalities.cmr.heart_location import locate_heart
from cardiobind.modalities.records import CineRecord
from cardiobind.simulate.settings import SimulationSettings
from cmr_truth import DAMAGE, SETTINGS, Outline, cyclic_error, outlines, simulated

Patient = tuple[CineRecord, PreparedCine, list[Outline]]
MIDDLE = {"SCD0000101": 6, "SCD0000301": 5}
DEFAULT = CmrPreparation()


@pytest.fixture(scope="module", params=MIDDLE)
def patient(shared_data: Path, request: pytest.FixtureRequest) -> tuple[str, Patient]:
    folder = shared_data / "sunnybrook"
    record = read_cine(folder / f"{request.param}.zip")
    drawn = outlines(folder, request.param, record.frames.shape[1])
    return request.param, (record, prepare_cmr(record, DEFAULT), drawn)


def test_the_crop_holds_the_ventricle_of_every_slice_with_a_contour(patient: tuple[str, Patient]) -> None:
    name, (record, found, drawn) = patient
    assert {one.slice_index for one in drawn if one.wall == "o"} == {one.slice_index for one in drawn}
    assert len({one.slice_index for one in drawn}) == {"SCD0000101": 9, "SCD0000301": 10}[name]
    for one in drawn:
        beside = np.abs(one.points_px * np.array(record.pixel_spacing_mm) - np.array(found.centre_mm))
        assert beside.max() < DEFAULT.crop_mm / 2 - 10


def test_phases_are_within_one_frame_of_the_contoured_ones(patient: tuple[str, Patient]) -> None:
    """Contours exist at two phases only: the smaller of the two is the smallest that is known."""
    _, (record, found, drawn) = patient
    inner = [one for one in drawn if one.wall == "i"]
    areas = {
        phase: sum(one.area_mm2(record.pixel_spacing_mm) for one in inner if one.phase == phase)
        for phase in {one.phase for one in inner}
    }
    assert len(areas) == 2
    phases = record.frames.shape[1]
    assert cyclic_error(found.es_phase, min(areas, key=lambda phase: areas[phase]), phases) <= 1
    assert cyclic_error(found.ed_phase, max(areas, key=lambda phase: areas[phase]), phases) <= 1


def test_the_chosen_slice_is_the_middle_and_is_centred(patient: tuple[str, Patient]) -> None:
    name, (record, found, drawn) = patient
    assert abs(found.slice_index - MIDDLE[name]) <= 1
    inner = [one for one in drawn if one.wall == "i" and one.slice_index == found.slice_index]
    assert len(inner) == 2
    for one in inner:
        middle = one.points_px.mean(axis=0) * np.array(record.pixel_spacing_mm)
        assert np.hypot(*(middle - np.array(found.centre_mm))) < 10
    assert found.confidence > 0.8
    assert found.quality == ()


def _errors(name: str, seed: int, count: int) -> NDArray[np.float64]:
    """Return (hearts, 5): frames from true end diastole and end systole, mm from the centre, confidence, codes seen."""
    settings, rows = SimulationSettings(seed=seed, **SETTINGS[name]), []
    for truth in simulated(settings, 0, count):
        found = prepare_cmr(truth.record, CmrPreparation(size_px=64))
        away = np.array(found.centre_mm) - truth.centres_mm[found.slice_index]
        frames = (
            cyclic_error(found.ed_phase, truth.ed_phase, settings.phases),
            cyclic_error(found.es_phase, truth.es_phase, settings.phases),
        )
        rows.append((*frames, np.hypot(*away), found.confidence, len(set(found.quality) - {"few_slices"})))
    return np.array(rows, dtype=np.float64)


def _assert_goals(errors: NDArray[np.float64]) -> None:
    assert (errors[:, 0] <= 1).mean() >= 0.98
    assert (errors[:, 1] <= 1).mean() >= 0.98
    assert (errors[:, 2] <= 10).mean() >= 0.99
    assert (errors[:, 3] >= 0.3).mean() >= 0.98
    assert (errors[:, 4] == 0).mean() >= 0.98


@pytest.mark.parametrize("name", [name for name in SETTINGS if name.startswith(("few", "one"))])
def test_simulated_hearts_are_found(name: str) -> None:
    _assert_goals(_errors(name, 0, 12))


@pytest.mark.slow
def test_three_hundred_simulated_hearts_of_all_kinds_are_found() -> None:
    errors = np.concatenate([_errors(name, seed, 10) for name in SETTINGS for seed in range(5)])
    assert len(errors) == 300
    _assert_goals(errors)


def _damaged(seeds: range, count: int) -> NDArray[np.float64]:
    """Return (cines, 2) of whether the preparation failed, and its confidence; each heart damaged in each way."""
    rows = []
    for seed in seeds:
        settings = SimulationSettings(seed=seed, slices=3, phases=20, image_px=96)
        for index, truth in enumerate(simulated(settings, 0, count)):
            for number, damage in enumerate(DAMAGE.values()):
                worse = damage(truth, np.random.default_rng([seed, index, number]))
                found = prepare_cmr(worse.record, CmrPreparation(size_px=64))
                away = np.array(found.centre_mm) - worse.centres_mm[found.slice_index]
                late = max(
                    cyclic_error(found.ed_phase, worse.ed_phase, 20), cyclic_error(found.es_phase, worse.es_phase, 20)
                )
                rows.append((late > 1 or np.hypot(*away) > 10, found.confidence))
    return np.array(rows, dtype=np.float64)


def _assert_flagged(damaged: NDArray[np.float64]) -> None:
    failed, confidence = damaged[:, 0] == 1, damaged[:, 1]
    assert failed.sum() >= 3
    assert auroc(damaged[:, 0], -confidence) > 0.8
    assert (confidence[failed] < 0.3).mean() >= 0.7
    assert failed[confidence < 0.3].mean() > 3 * failed[confidence >= 0.3].mean()


def test_failures_on_damaged_cines_are_flagged_by_the_confidence() -> None:
    _assert_flagged(_damaged(range(1), 3))


@pytest.mark.slow
def test_failures_on_many_damaged_cines_are_flagged_by_the_confidence() -> None:
    _assert_flagged(_damaged(range(5), 8))


def test_three_slices_of_patients_are_centred_and_run_from_base_to_apex(patient: tuple[str, Patient]) -> None:
    """Pools shrink towards the apex at end systole, and the larger half of the pools is the basal one."""
    _, (record, _, drawn) = patient
    found = prepare_cmr(record, CmrPreparation(size_px=64, layout="slices"))
    inner = [one for one in drawn if one.wall == "i"]
    centres = locate_heart(record.frames, record.pixel_spacing_mm).centres_mm
    areas = []
    for k in found.slices:
        own = [one for one in inner if one.slice_index == k]
        assert len(own) == 2
        for one in own:
            assert np.hypot(*(one.points_px.mean(axis=0) * np.array(record.pixel_spacing_mm) - centres[k])) < 8
        areas.append(max(one.area_mm2(record.pixel_spacing_mm) for one in own))
    assert areas[0] > areas[2]
    assert found.base_is == "first"
    by_size = prepare_cmr(replace(record, base_to_apex=None), CmrPreparation(size_px=64, layout="slices"))
    assert by_size.base_is == "first_by_size"
