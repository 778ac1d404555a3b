"""What lies around the heart in a short-axis image: chest wall, lung, liver, stomach, aorta; and the coil's bias field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from cardiobind.simulate.contours import Contours
from cardiobind.simulate.settings import SimulationSettings

Array = NDArray[np.float32]

LUNG, MUSCLE, CHEST_FAT, AIR, LIVER, STOMACH, VESSEL = 0.07, 0.27, 0.95, 0.02, 0.40, 0.24, 0.90


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
    right, down = _grid(settings, middle)
    septal = float(borders.fat.max())
    below = float(borders.fat[..., 250:290].max())
    image = np.full(right.shape, LUNG, np.float32) * _texture(settings, rng, 0.25)
    diaphragm = 0.96 * down - 0.28 * right - (below + 2 + 4 * rng.random())
    cover = _step(diaphragm, 3.0) * _texture(settings, rng, 0.10)
    side = _step(right - (8 + 10 * rng.standard_normal()), 6.0)
    image += cover * (LIVER + side * (STOMACH - LIVER) - image)
    image = _vessels(image, right, down, below, rng)
    thick = 10 + 8 * rng.random()
    for outward, gap in (
        (-0.78 * right - 0.62 * down, 0.94 * septal + 3 + 6 * rng.random()),
        (0.97 * right + 0.25 * down, 82 + 10 * rng.random()),
    ):
        for start, value in ((gap, MUSCLE), (gap + 11, CHEST_FAT), (gap + 11 + thick, AIR)):
            image += _step(outward - start, 1.5) * (value - image)
    return image.astype(np.float32)


def bias_field(settings: SimulationSettings, rng: np.random.Generator) -> Array:
    """Return the sensitivity of the coils, brighter near the front of the chest, (rows, columns)."""
    right, down = _grid(settings, np.zeros(2))
    a, b, c = 0.0022 + 0.0008 * rng.standard_normal(), 0.0020 + 0.0008 * rng.standard_normal(), rng.standard_normal()
    field = np.exp(-a * right - b * down + 6e-6 * c * (right**2 - down**2))
    return np.asarray(field, dtype=np.float32)


def _vessels(image: Array, right: Array, down: Array, below: float, rng: np.random.Generator) -> Array:
    aorta = 11.5 - np.hypot(right - (34 + 5 * rng.standard_normal()), down - (below + 20 + 4 * rng.standard_normal()))
    image += _step(aorta, 1.5) * (VESSEL - image)
    for _ in range(3):
        x, y = -15 - 40 * rng.random(), below + 18 + 30 * rng.random()
        image += 0.7 * _step(2.5 + 2 * rng.random() - np.hypot(right - x, 1.6 * (down - y)), 1.5) * (0.75 - image)
    return image


def _grid(settings: SimulationSettings, middle: NDArray[np.float64]) -> tuple[Array, Array]:
    axis = (np.arange(settings.image_px, dtype=np.float32) - (settings.image_px - 1) / 2) * settings.pixel_spacing_mm
    right, down = np.meshgrid(axis - middle[1], axis - middle[0])
    return right.astype(np.float32), down.astype(np.float32)


def _step(distance: Array, width: float) -> Array:
    return np.clip(distance / np.float32(width) + np.float32(0.5), 0, 1)


def _texture(settings: SimulationSettings, rng: np.random.Generator, size: float) -> Array:
    """Return a smooth field around 1 that varies by `size`."""
    coarse = rng.standard_normal((12, 12), dtype=np.float32)
    fine = zoom(coarse, settings.image_px / 12, order=1, mode="nearest", grid_mode=True)
    return (1 + size * fine[: settings.image_px, : settings.image_px]).astype(np.float32)
