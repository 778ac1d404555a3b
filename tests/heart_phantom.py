"""A beating ellipsoid in space, cut by any plane: short axis and long axes of one heart whose truth is known."""

from __future__ import annotations

import numpy as np

from cardiobind.modalities.records import CineRecord
from cine_fixtures import APEX, Volume, long_axis_plane, short_axis_plane

CENTRE = np.array([30.0, -90.0, 40.0])
LENGTH_MM, RADIUS_MM, WALL_MM = 84.0, 24.0, 9.0
LINES_DEG = {"lax_2ch": 90.0, "lax_3ch": 150.0, "lax_4ch": 30.0}
UKB_NAMES = {"lax_2ch": "2Ch", "lax_3ch": "3Ch", "lax_4ch": "4Ch"}


def course(phases: int, systole: float = 0.36) -> np.ndarray:
    """Return (phases,) contraction: 0 at the R wave, 1 at end systole."""
    fraction = np.arange(phases) / phases
    return np.interp(fraction, [0.0, 0.05, systole, 0.75, 1.0], [0.0, 0.03, 1.0, 0.05, 0.0])


def image(points: np.ndarray, contraction: float) -> np.ndarray:
    """Return the brightness at points (..., 3) in patient coordinates: dark wall, bright pool, atrium, still chest."""
    away = points - CENTRE
    along = away @ APEX + LENGTH_MM / 2
    radius = np.linalg.norm(away - (away @ APEX)[..., None] * APEX, axis=-1)
    base = 12.0 * contraction
    depth = (along - base) / (LENGTH_MM - base)
    taper = np.sqrt(np.clip(1 - depth**2, 0, None)) * (depth >= 0)
    pool = RADIUS_MM * (1 - 0.33 * contraction) * taper
    brightness = 60.0 + 250.0 * (np.abs(away).max(axis=-1) > 85)
    brightness = np.where(radius < pool + WALL_MM * (depth >= 0) * (depth < 1), 150.0, brightness)
    brightness = np.where(radius < pool, 600.0, brightness)
    atrium = np.linalg.norm(away + (LENGTH_MM / 2 + 22 - base) * APEX, axis=-1)
    return np.where(atrium < 22.0, 580.0, brightness)


def cut(row: np.ndarray, column: np.ndarray, origins: np.ndarray, pixels: int, spacing: float, phases: int) -> Volume:
    """Return planes as a volume that can be written to files; origins are the centres of the first pixels."""
    step = np.arange(pixels) * spacing
    grid = origins[:, None, None] + step[None, None, :, None] * row + step[None, :, None, None] * column
    frames = np.stack([image(grid, s) for s in course(phases)], axis=1)
    frames += 8.0 * np.random.default_rng(5).standard_normal(frames.shape)
    pixels_16 = np.clip(frames, 0, 4000).astype(np.uint16)
    times = np.round(np.arange(phases) * 900.0 / phases, 2)
    return Volume(pixels_16, row, column, origins, spacing_mm=(spacing, spacing), trigger_ms=times)


def stack(slices: int = 8, phases: int = 20, pixels: int = 80, spacing: float = 2.5) -> Volume:
    """Return the short axis, base first, its middle on the ventricle's."""
    row, column = short_axis_plane()
    along = (np.arange(slices) - (slices - 1) / 2) * min(10.0, 0.8 * LENGTH_MM / slices)
    half = (pixels - 1) / 2 * spacing
    corner = CENTRE - half * row - half * column + 9.0 * row - 6.0 * column
    return cut(row, column, corner + along[:, None] * APEX, pixels, spacing, phases)


def lax(view: str, phases: int = 20, pixels: int = 72, spacing: float = 2.5, shift_mm: float = 0.0) -> Volume:
    """Return a long-axis plane, `shift_mm` beside the ventricle's axis."""
    row, column = long_axis_plane(LINES_DEG[view])
    half = (pixels - 1) / 2 * spacing
    corner = CENTRE - (half + 11.0) * row - (half - 8.0) * column + shift_mm * np.cross(row, column)
    return cut(row, column, corner[None], pixels, spacing, phases)


def record(of: Volume, view: str = "sax", base_to_apex: bool | None = None) -> CineRecord:
    """Return a volume as its reader would."""
    slices = len(of.pixels)
    return CineRecord(
        of.pixels.astype(np.float32), of.spacing_mm, of.origins_mm @ np.cross(of.row, of.column),
        np.tile(of.trigger_ms, (slices, 1)), view=view, orientation=np.array([*of.row, *of.column]),
        origins_mm=of.origins_mm, base_to_apex=base_to_apex,
    )  # fmt: skip


def centre_in(of: Volume) -> np.ndarray:
    """Return (row, column) in mm of the ventricle's middle in a plane."""
    away = CENTRE - of.origins_mm[0]
    return np.array([away @ of.column, away @ of.row])
