"""Phases, slice and crop against manual contours of patients and against the known truth of simulated hearts."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from cardiobind.formats import read_cine
from cardiobind.modalities.cmr import CmrPreparation, prepare_cmr
from cardiobind.modalities.records import CineRecord
from cardiobind.rng import generator
from cardiobind.simulate.cine import simulate_cine
from cardiobind.simulate.contours import contraction
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.settings import SimulationSettings

PHASES = 20


def _contours(folder: Path, patient: str) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Return manual endocardial contours as (row, column) in pixels by (slice, phase) in the order of the files."""
    with (folder / "link.csv").open() as stream:
        original = next(row["original_id"] for row in csv.DictReader(stream) if row["patient_id"] == patient)
    found = {}
    for path in sorted((folder / "contourfiles" / original / "i-contours").glob("*.txt")):
        number = re.search(r"IM-0001-(\d+)-", path.name)
        assert number is not None
        found[divmod(int(number[1]) - 1, PHASES)] = np.loadtxt(path)[:, ::-1]
    return found


def _in_file_order(record: CineRecord, archive: Path, patient: str) -> bool:
    with zipfile.ZipFile(archive) as files:
        first = pydicom.dcmread(io.BytesIO(files.read(f"{patient}/1.dcm")), force=True).pixel_array
    return bool(np.array_equal(record.frames[0, 0], first))


@pytest.mark.parametrize(("patient", "middle"), [("SCD0000101", 6), ("SCD0000301", 5)])
def test_real_hearts_agree_with_manual_contours(shared_data: Path, patient: str, middle: int) -> None:
    archive = shared_data / "sunnybrook" / f"{patient}.zip"
    record = read_cine(archive)
    contours = _contours(shared_data / "sunnybrook", patient)
    found = prepare_cmr(record, CmrPreparation())
    slices = record.frames.shape[0]
    index = found.slice_index if _in_file_order(record, archive, patient) else slices - 1 - found.slice_index
    spacing, centre = np.array(record.pixel_spacing_mm), np.array(found.centre_mm)
    for outline in contours.values():
        assert np.abs(outline * spacing - centre).max() < 142 / 2
    es_phase, ed_phase = sorted({phase for _, phase in contours})
    for phase in (es_phase, ed_phase):
        assert np.hypot(*(contours[index, phase].mean(axis=0) * spacing - centre)) < 15
    assert abs(found.es_phase - es_phase) <= 1
    assert min(abs(found.ed_phase - ed_phase), PHASES - abs(found.ed_phase - ed_phase)) <= 1
    assert abs(index - middle) <= 1
    assert found.confidence > 0.8


def _errors(settings: SimulationSettings, count: int, first: int = 0) -> NDArray[np.float64]:
    """Return (hearts, 3): phases between found and true end diastole and end systole, mm to the true centre."""
    rows = []
    for heart in draw_hearts(settings, first, count).itertuples(index=False):
        record = simulate_cine(heart, settings)
        found = prepare_cmr(record, CmrPreparation(size_px=64))
        course = contraction(settings.phases, heart.heart_rate_bpm, not heart.af_now)
        ed_error = min(found.ed_phase, settings.phases - found.ed_phase)
        truth_mm = _ventricle_mm(record, heart, settings, found.slice_index)
        away_mm = float(np.hypot(*(np.array(found.centre_mm) - truth_mm)))
        rows.append((ed_error, abs(found.es_phase - int(course.argmax())), away_mm))
    return np.array(rows, dtype=np.float64)


def _ventricle_mm(record: CineRecord, heart: object, settings: SimulationSettings, index: int) -> NDArray[np.float64]:
    """Return where the simulator put the ventricle: its draws, repeated."""
    rng = generator(int(heart.seed), "simulate.cine", int(heart.subject_index))  # type: ignore[attr-defined]
    middle = np.array([-4.0, 7.0]) + np.array([7.0, 8.0]) * rng.standard_normal(2)
    shifts = 1.6 * rng.standard_normal((settings.slices, 2))
    half = (np.array(record.frames.shape[2:]) - 1) / 2 * np.array(record.pixel_spacing_mm)
    return np.asarray(half + middle + shifts[index])


@pytest.mark.parametrize(
    "settings",
    [
        SimulationSettings(slices=3, phases=12, image_px=96),
        SimulationSettings(slices=1, phases=25, mi_prevalence=0.5),
    ],
)
def test_simulated_hearts_are_found(settings: SimulationSettings) -> None:
    errors = _errors(settings, 12)
    assert (errors[:, 0] <= 1).mean() >= 0.95
    assert (errors[:, 1] <= 1).mean() >= 0.95
    assert (errors[:, 2] <= 10).mean() >= 0.95


@pytest.mark.slow
def test_full_size_simulated_hearts_are_found() -> None:
    errors = _errors(SimulationSettings(mi_prevalence=0.5), 100, first=100)
    assert ((errors <= (1, 1, 10)).mean(axis=0) >= 0.95).all()
