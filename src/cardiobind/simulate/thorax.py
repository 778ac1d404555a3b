"""What lies around the heart in a short-axis image: chest wall, lung, liver, stomach, aorta; and the coil's field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from cardiobind.simulate.contours import Contours
from cardiobind.simulate.settings import SimulationSettings

Array = NDArray[np.float32]

LUNG, MUSCLE, CHEST_FAT, AIR, LIVER, STOMACH, VESSEL = 0.07, 0.27, 0.95, 0.02, 0.40, 0.22, 0.90


def thorax(
    borders: Contours, middle: NDArray[np.float64], settings: SimulationSettings, rng: np.random.Generator
) -> Array:
    """Return the picture without the heart, (rows, columns), in units of blood.

    Args:
        borders: of the heart, which the organs leave room for.
        middle: of the heart from the centre of the image in mm (down, right).
        settings: pixels and spacing.
        rng: of the subject.
    """
    right, down = grid_mm(settings, middle)
    reach = borders.fat.max(axis=(0, 1))
    image = LUNG * smooth_field(settings, rng, 0.35, 24)
    image = _lung_vessels(image, right, down, rng)
    image = _below(image, right, down, float(reach[250:290].max()), settings, rng)
    ribs = smooth_field(settings, rng, 0.10, 14)
    wall = 4.5 * (smooth_field(settings, rng, 1.0, 6) - 1)
    front = 142.0 + float(reach[130:160].max()) + 4 + 6 * rng.random() + wall - np.hypot(right - 108, down - 92)
    side = 150.0 - np.hypot(right + 62, down - 15) + wall
    depth, thick = -np.minimum(front, side + 8 * rng.random()), 9 + 7 * rng.random()
    for start, value in ((0.0, MUSCLE), (11.0, CHEST_FAT), (11.0 + thick, AIR)):
        image += _step(depth - start, 2.5) * (value * ribs - image)
    return image.astype(np.float32)


def bias_field(settings: SimulationSettings, rng: np.random.Generator) -> Array:
    """Return the sensitivity of the coils, brighter near the front of the chest, (rows, columns)."""
    right, down = grid_mm(settings, np.zeros(2))
    a, b, c = 0.0022 + 0.0008 * rng.standard_normal(), 0.0020 + 0.0008 * rng.standard_normal(), rng.standard_normal()
    field = np.exp(-a * right - b * down + 6e-6 * c * (right**2 - down**2))
    return np.asarray(field, dtype=np.float32)


def grid_mm(settings: SimulationSettings, middle: NDArray[np.float64]) -> tuple[Array, Array]:
    """Return right and down coordinates of the pixels around a point (down, right), both (rows, columns) in mm."""
    axis = (np.arange(settings.image_px, dtype=np.float32) - (settings.image_px - 1) / 2) * settings.pixel_spacing_mm
    right, down = np.meshgrid(axis - middle[1], axis - middle[0])
    return right.astype(np.float32), down.astype(np.float32)


def smooth_field(settings: SimulationSettings, rng: np.random.Generator, size: float, cells: int) -> Array:
    """Return a smooth field around 1 that varies by `size`, with as many hills as `cells` a side."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    fine = zoom(coarse, settings.image_px / cells, order=1, mode="nearest", grid_mode=True)
    return np.asarray(1 + size * fine[: settings.image_px, : settings.image_px], dtype=np.float32)


def _below(
    image: Array, right: Array, down: Array, below: float, settings: SimulationSettings, rng: np.random.Generator
) -> Array:
    """Draw liver and stomach under the dome of the diaphragm, and the descending aorta beside it."""
    bumps = 3.0 * (smooth_field(settings, rng, 1.0, 7) - 1)
    top = below - 3 + 5 * rng.random()
    dome = 100.0 - np.hypot(right + 22 + 8 * rng.standard_normal(), down - top - 98) + bumps
    cover = _step(dome, 4.0) * smooth_field(settings, rng, 0.09, 28)
    stomach = _step(right - (12 + 8 * rng.standard_normal()) + bumps, 6.0)
    image = image + cover * (LIVER + stomach * (STOMACH - LIVER) - image)
    for _ in range(4):
        x, y, size = -12 - 45 * rng.random(), top + 16 + 30 * rng.random(), 2.0 + 2.5 * rng.random()
        image += 0.6 * _step(size - np.hypot(0.7 * (right - x), 1.3 * (down - y)), 3.0) * (0.75 - image)
    x, y = 42 + 5 * rng.standard_normal(), below + 8 + 5 * rng.standard_normal()
    return image + _step(11.0 - np.hypot(right - x, down - y), 2.5) * (VESSEL - image)


def _lung_vessels(image: Array, right: Array, down: Array, rng: np.random.Generator) -> Array:
    for _ in range(9):
        x, y, size = 45 + 35 * rng.random(), -60 + 85 * rng.random(), 0.8 + 1.8 * rng.random()
        image = image + _step(size - np.hypot(right - x, down - y), 3.0) * (np.float32(0.45) - image)
    return image


def _step(distance: NDArray[np.floating], width: float) -> Array:
    return np.asarray(np.clip(distance / width + 0.5, 0, 1), dtype=np.float32)
