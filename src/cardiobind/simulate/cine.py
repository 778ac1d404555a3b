"""Short-axis cine MRI of a synthetic heart: balanced steady-state contrast, thorax, partial volume, bias, Rician noise.

Blood is bright, myocardium dark grey, fat bright, lung almost black. The image is seen from the apex: septum and right
ventricle on the left, anterior wall on top. An infarct is thin and does not move.

Source:
    Petersen et al., JCMR 2016;18:8 (UK Biobank protocol: 1.8 mm pixels, 8 mm slices, 2 mm gap, 50 phases); Gudbjartsson
    & Patz, Magn Reson Med 1995;34:910 (Rician noise); McLeish et al., IEEE TMI 2002;21:1142 (breath-hold shift).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.records import CineRecord
from cardiobind.rng import generator
from cardiobind.simulate.contours import BINS, Contours, contours
from cardiobind.simulate.settings import SimulationSettings
from cardiobind.simulate.thorax import bias_field, grid_mm, thorax

Array = NDArray[np.float32]

BLOOD, RIGHT_BLOOD, MYOCARDIUM, RIGHT_WALL, FAT = 1.0, 0.94, 0.29, 0.36, 0.80
LEVEL = 620.0
# Rows of patient coordinates (left, posterior, superior): along a row of pixels, down a column.
ROW_DIRECTION = (0.623609, 0.781735, 0.000000)
COLUMN_DIRECTION = (0.409187, -0.326417, -0.852064)
_PAPILLARY_DEG = (48.0, 292.0)


def simulate_cine(heart: Any, settings: SimulationSettings | None = None) -> CineRecord:
    """Return the cine stack of one heart, quantised as in its DICOM files.

    Args:
        heart: a row of `draw_hearts`, a Series or a namedtuple.
        settings: its slices, phases, pixels and spacing are used; None for the defaults.

    Returns:
        A record; slices ascend from apex to base, phase 0 is end-diastole.
    """
    settings = settings or SimulationSettings()
    spacing = (settings.pixel_spacing_mm, settings.pixel_spacing_mm)
    positions = slice_normal_positions_mm(settings)
    times = np.tile(trigger_times_ms(heart, settings), (settings.slices, 1))
    return CineRecord(cine_counts(heart, settings).astype(np.float32), spacing, positions, times)


def trigger_times_ms(heart: Any, settings: SimulationSettings) -> NDArray[np.float64]:
    """Return the time of each phase after the R wave, rounded to 0.01 ms as the files hold it."""
    return np.asarray(np.round(np.arange(settings.phases) * 60_000 / heart.heart_rate_bpm / settings.phases, 2))


def slice_origins_mm(settings: SimulationSettings) -> NDArray[np.float64]:
    """Return the patient coordinates of the first pixel of each slice, rounded to 0.001 mm, (slices, 3)."""
    row, column = np.array(ROW_DIRECTION), np.array(COLUMN_DIRECTION)
    half = (settings.image_px - 1) / 2 * settings.pixel_spacing_mm
    along = np.arange(settings.slices) * settings.slice_distance_mm
    return np.asarray(np.round(np.cross(row, column) * along[:, None] - half * (row + column), 3))


def slice_normal_positions_mm(settings: SimulationSettings) -> NDArray[np.float64]:
    """Return the position of each slice along the normal of the slices, ascending."""
    normal = np.cross(np.array(ROW_DIRECTION), np.array(COLUMN_DIRECTION))
    return np.asarray(slice_origins_mm(settings) @ normal)


def cine_counts(heart: Any, settings: SimulationSettings) -> NDArray[np.uint16]:
    """Return the pixels as the files hold them, (slices, phases, rows, columns), 0 to 4095."""
    rng = generator(int(heart.seed), "simulate.cine", int(heart.subject_index))
    borders = contours(heart, settings)
    middle = np.array([-4.0, 7.0]) + np.array([7.0, 8.0]) * rng.standard_normal(2)
    shifts = 1.6 * rng.standard_normal((settings.slices, 2))
    background = thorax(borders, middle, settings, rng)
    bias = bias_field(settings, rng)
    noise = np.float32(0.030 * np.exp(0.25 * rng.standard_normal()))
    scale = np.float32(LEVEL * np.exp(0.2 * rng.standard_normal()))
    out = np.empty((settings.slices, settings.phases, settings.image_px, settings.image_px), np.uint16)
    for k in range(settings.slices):
        clean = _render(borders, k, background, middle + shifts[k], settings) * bias
        out[k] = _rician(clean, noise, scale, rng)
    return out


def _render(
    borders: Contours, k: int, background: Array, middle: NDArray[np.float64], settings: SimulationSettings
) -> Array:
    right, down = grid_mm(settings, middle)
    radius = np.hypot(right, down)
    reach = float(borders.fat[k].max()) + 4.0
    rows, columns = np.flatnonzero((radius < reach).any(1)), np.flatnonzero((radius < reach).any(0))
    image = np.repeat(background[None], settings.phases, axis=0)
    if len(rows) == 0 or borders.epicardium[k].max() <= 0:
        return image
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    part, radius = np.ascontiguousarray(image[:, box[0], box[1]]), radius[box]
    angle = np.rint(np.rad2deg(np.arctan2(-down[box], right[box])) * BINS / 360).astype(np.intp) % BINS
    width = np.hypot(1.5 * settings.pixel_spacing_mm, borders.blur_mm[k]).astype(np.float32)[:, None, None]
    layers = (borders.fat, FAT), (borders.right_wall, RIGHT_WALL), (borders.right_cavity, RIGHT_BLOOD)
    for border, value in (*layers, (borders.epicardium, MYOCARDIUM), (borders.endocardium, BLOOD)):
        _paint(part, border[k].astype(np.float32)[:, angle], radius, width, value)
    _papillaries(part, borders, k, right[box], down[box], settings)
    image[:, box[0], box[1]] = part
    return image


def _paint(image: Array, border: Array, radius: Array, width: Array, value: float) -> None:
    """Cover what lies inside a border with a value, fading over `width`; an empty border covers nothing."""
    cover = np.clip((border - radius) / width + np.float32(0.5), 0, 1)
    cover *= border > 0.3
    image += cover * (np.float32(value) - image)


def _papillaries(
    image: Array, borders: Contours, k: int, right: Array, down: Array, settings: SimulationSettings
) -> None:
    present = np.clip(np.minimum((borders.depth[k] - 0.22) / 0.10, (0.80 - borders.depth[k]) / 0.10), 0, 1)
    if present.max() <= 0:
        return
    for degrees in _PAPILLARY_DEG:
        place = borders.endocardium[k, :, int(degrees) * BINS // 360]
        away = 0.70 * place.astype(np.float32)[:, None, None]
        x, y = away * np.float32(np.cos(np.deg2rad(degrees))), -away * np.float32(np.sin(np.deg2rad(degrees)))
        size = (3.6 + 1.0 * borders.phase_contraction).astype(np.float32)[:, None, None]
        cover = np.clip(
            (size - np.hypot(right - x, down - y)) / np.float32(1.5 * settings.pixel_spacing_mm) + 0.5, 0, 1
        )
        image += present.astype(np.float32)[:, None, None] * cover * (np.float32(MYOCARDIUM) - image)


def _rician(clean: Array, noise: np.float32, scale: np.float32, rng: np.random.Generator) -> NDArray[np.uint16]:
    real = clean + noise * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = noise * rng.standard_normal(clean.shape, dtype=np.float32)
    return np.asarray(np.clip(np.rint(np.hypot(real, imaginary) * scale), 0, 4095), dtype=np.uint16)
