"""Where the heart is and when it is full: simulated hearts by their draws, patients by manual contours; damage."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from cardiobind.modalities.records import CineRecord
from cardiobind.rng import generator
from cardiobind.simulate.cine import simulate_cine
from cardiobind.simulate.contours import contraction
from cardiobind.simulate.heart import draw_hearts
from cardiobind.simulate.settings import SimulationSettings

Floats = NDArray[np.float64]

SETTINGS: dict[str, dict[str, Any]] = {
    "UK Biobank: 10 slices, 50 phases, 1.8 mm": {},
    "many infarcts: 8 slices, 50 phases, 2.2 mm": {
        "slices": 8, "image_px": 104, "pixel_spacing_mm": 2.2, "mi_prevalence": 0.5,
    },
    "fine: 12 slices, 30 phases, 1.4 mm": {"slices": 12, "phases": 30, "image_px": 160, "pixel_spacing_mm": 1.4},
    "6 slices, 35 phases, 1.8 mm": {"slices": 6, "phases": 35, "image_px": 112},
    "few: 3 slices, 20 phases, 1.8 mm": {"slices": 3, "phases": 20, "image_px": 96},
    "one slice, 25 phases, many infarcts": {"slices": 1, "phases": 25, "mi_prevalence": 0.5},
}  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """A cine and what is true of it.

    Attributes:
        record: the cine.
        centres_mm: (slices, 2) middle of the left ventricle, row and column from the centre of the first pixel.
        ed_phase, es_phase: full and empty.
    """

    record: CineRecord
    centres_mm: Floats
    ed_phase: int
    es_phase: int


def simulated(settings: SimulationSettings, first: int, count: int) -> Iterator[Truth]:
    """Yield cines with their truth: the simulator's draws repeated, the course of contraction it states."""
    for heart in draw_hearts(settings, first, count).itertuples(index=False):
        course = contraction(settings.phases, float(heart.heart_rate_bpm), not heart.af_now)  # type: ignore[arg-type]
        record = simulate_cine(heart, settings)
        yield Truth(record, _ventricles_mm(heart, settings), int(course.argmin()), int(course.argmax()))


def _ventricles_mm(heart: Any, settings: SimulationSettings) -> Floats:
    rng = generator(int(heart.seed), "simulate.cine", int(heart.subject_index))
    middle = np.array([-4.0, 7.0]) + np.array([7.0, 8.0]) * rng.standard_normal(2)
    shifts = 1.6 * rng.standard_normal((settings.slices, 2))
    return np.asarray((settings.image_px - 1) / 2 * settings.pixel_spacing_mm + middle + shifts)


def cyclic_error(found: int, true: int, phases: int) -> int:
    """Return the frames between two phases, the shorter way round the cycle."""
    return min((found - true) % phases, (true - found) % phases)


@dataclass(frozen=True)
class Outline:
    """A manual contour.

    Attributes:
        wall: "i" (endocardium) or "o" (epicardium).
        slice_index, phase: of the record, whose slices are in the order of the files.
        points_px: (points, 2) row and column; the centre of the first pixel is 0, 0.
    """

    wall: str
    slice_index: int
    phase: int
    points_px: Floats

    def area_mm2(self, spacing_mm: tuple[float, float]) -> float:
        """Return the area by the shoelace formula."""
        row, column = (self.points_px * np.array(spacing_mm)).T
        return float(abs(row @ np.roll(column, 1) - column @ np.roll(row, 1)) / 2)


def outlines(folder: Path, patient: str, phases: int) -> list[Outline]:
    """Return the manual contours of a Sunnybrook patient; file IM-0001-NNNN belongs to image NNNN, slice by slice."""
    with (folder / "link.csv").open() as stream:
        original = next(row["original_id"] for row in csv.DictReader(stream) if row["patient_id"] == patient)
    found = []
    for wall in "io":
        for path in sorted((folder / "contourfiles" / original / f"{wall}-contours").glob("*.txt")):
            number = re.search(r"IM-0001-(\d+)-", path.name)
            assert number is not None
            points = np.array([[float(word) for word in line.split()] for line in path.read_text().splitlines()])
            found.append(Outline(wall, *divmod(int(number[1]) - 1, phases), points[:, ::-1]))
    return found


def _still(truth: Truth, rng: np.random.Generator) -> Truth:
    """Contraction of 3-40 % of what it was."""
    frames = truth.record.frames
    mean = frames.mean(axis=1, keepdims=True)
    noise = 0.03 * frames.max() * rng.standard_normal(frames.shape)
    return _with(truth, mean + rng.uniform(0.03, 0.4) * (frames - mean) + noise)


def _noise(truth: Truth, rng: np.random.Generator) -> Truth:
    """Noise of 10-100 % of the blood's brightness."""
    frames = truth.record.frames
    level = float(np.quantile(frames, 0.98)) * np.exp(rng.uniform(np.log(0.1), 0.0))
    return _with(truth, np.hypot(frames + level * rng.standard_normal(frames.shape), level))


def _blur(truth: Truth, rng: np.random.Generator) -> Truth:
    """Images blurred by a Gaussian of 1.5-6 mm."""
    sigma = rng.uniform(1.5, 6) / np.array(truth.record.pixel_spacing_mm)
    return _with(truth, gaussian_filter(truth.record.frames, (0, 0, *sigma)))


def _breathing(truth: Truth, rng: np.random.Generator) -> Truth:
    """Each slice displaced by a normal number of 4-15 mm along each axis."""
    return displaced(truth, rng.uniform(4, 15) * rng.standard_normal((len(truth.centres_mm), 2)))


def displaced(truth: Truth, by_mm: Floats) -> Truth:
    """Return a cine with each slice moved in its plane, (slices, 2) mm."""
    px = by_mm / np.array(truth.record.pixel_spacing_mm)
    moved = [shift(s, (0, *by), order=1, mode="nearest") for s, by in zip(truth.record.frames, px, strict=True)]
    return replace(_with(truth, np.stack(moved)), centres_mm=truth.centres_mm + by_mm)


def _cut(truth: Truth, rng: np.random.Generator) -> Truth:
    """The first 45-85 % of the cycle, as if it were all of it."""
    phases = truth.record.frames.shape[1]
    kept = max(8, round(rng.uniform(0.45, 0.85) * phases))
    record = replace(
        truth.record,
        frames=truth.record.frames[:, :kept],
        trigger_times_ms=truth.record.trigger_times_ms[:, :kept],
    )
    return replace(truth, record=record)


def _shuffled(truth: Truth, rng: np.random.Generator) -> Truth:
    """A part of the frames, 20-100 %, exchanged among themselves; the truth stays with its time."""
    phases = truth.record.frames.shape[1]
    chosen = np.flatnonzero(rng.random(phases) < rng.uniform(0.2, 1.0))
    order = np.arange(phases)
    order[chosen] = rng.permutation(chosen)
    return _with(truth, truth.record.frames[:, order])


def _off_centre(truth: Truth, rng: np.random.Generator) -> Truth:
    """The whole scan planned 25-75 mm beside the heart."""
    turn = rng.uniform(0, 2 * np.pi)
    by = rng.uniform(25, 75) * np.array([np.cos(turn), np.sin(turn)])
    return displaced(truth, np.tile(by, (len(truth.centres_mm), 1)))


def _competitor(truth: Truth, rng: np.random.Generator) -> Truth:
    """A bright vessel of radius 6-14 mm, 45-80 mm away, that pulsates at any time of the cycle."""
    record = truth.record
    turn = rng.uniform(0, 2 * np.pi)
    place = truth.centres_mm.mean(axis=0) + rng.uniform(45, 80) * np.array([np.cos(turn), np.sin(turn)])
    row, column = (np.arange(n) * mm - at for n, mm, at in zip(
        record.frames.shape[2:], record.pixel_spacing_mm, place, strict=True))  # fmt: skip
    distance = np.hypot(row[:, None], column[None, :])
    beat = np.cos(2 * np.pi * (np.arange(record.frames.shape[1]) / record.frames.shape[1] - rng.random()))
    radius = rng.uniform(6, 14) * (1 + 0.2 * beat)[:, None, None]
    cover = np.clip((radius - distance) / record.pixel_spacing_mm[0] + 0.5, 0, 1)
    bright = float(np.quantile(record.frames, 0.99))
    return _with(truth, record.frames + cover * (bright - record.frames))


def _with(truth: Truth, frames: NDArray[np.floating[Any]]) -> Truth:
    return replace(truth, record=replace(truth.record, frames=frames.astype(np.float32)))


DAMAGE: dict[str, Callable[[Truth, np.random.Generator], Truth]] = {
    "hardly any motion": _still,
    "noise": _noise,
    "blur": _blur,
    "breathing between slices": _breathing,
    "cycle cut short": _cut,
    "frames exchanged": _shuffled,
    "planned off the heart": _off_centre,
    "a pulsating vessel": _competitor,
}
