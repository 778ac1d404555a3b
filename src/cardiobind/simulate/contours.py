"""The borders of both ventricles in every slice and phase, as radii around the middle of the left cavity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from cardiobind.simulate.anatomy import SEGMENT_ANGLE_DEG, SEGMENT_LEVEL, segment_columns
from cardiobind.simulate.settings import SimulationSettings

Array = NDArray[np.float64]
BINS = 360
SLICE_THICKNESS_MM = 8.0
RV_WALL_MM = 2.8
FAT_MM = 5.0
_LEVEL_MIDDLE = np.array([0.175, 0.525, 0.825, 1.0])
_ANGLE_DEG = np.arange(BINS) * 360 / BINS
# Fat fills the grooves where the right ventricle meets the left one, and lies over the right ventricle.
_FAT_SHARE = sum(
    share * np.exp(-0.5 * (((_ANGLE_DEG - middle + 180) % 360 - 180) / width) ** 2)
    for middle, width, share in ((118, 20, 0.9), (254, 18, 1.0), (185, 45, 0.45))
)


@dataclass(frozen=True)
class Contours:
    """Radii in mm; angles anticlockwise from the lateral wall in a view from the apex, in steps of one degree.

    Attributes:
        depth: (slices, phases) place on the long axis, 0 base to 1 apex; negative above the base.
        endocardium, epicardium, right_cavity, right_wall, fat: (slices, phases, 360) radii from inside out.
        blur_mm: (slices, phases) width over which borders fade because the slice is thick.
        phase_contraction: (phases,) 0 at end-diastole, 1 at end-systole.
    """

    depth: Array
    endocardium: Array
    epicardium: Array
    right_cavity: Array
    right_wall: Array
    fat: Array
    blur_mm: Array
    phase_contraction: Array


def contraction(phases: int, rate_bpm: float, atrial_kick: bool = True) -> Array:
    """Return how far contraction has gone in each phase, from 0 (end-diastole, phase 0) to 1 (end-systole).

    Systole takes 413 ms - 1.7 ms per beat a minute less 18 ms; then come early filling, diastasis and the atrial kick.

    Source:
        Weissler et al., Circulation 1968;37:149 (systolic intervals).
    """
    end = min(0.5, (395 - 1.7 * rate_bpm) * rate_bpm / 60_000)
    early = end + 0.55 * (0.80 - end)
    rest = 0.16 if atrial_kick else 0.05
    knots = [0.0, 0.25 * end, 0.75 * end, end, end + 0.35 * (early - end), early, 0.84, 1.0]
    values = [0.0, 0.16, 0.86, 1.0, 0.70, 0.24, rest, 0.0]
    return np.asarray(np.clip(PchipInterpolator(knots, values)(np.arange(phases) / phases), 0.0, 1.0), dtype=float)


def contours(heart: Any, settings: SimulationSettings) -> Contours:
    """Return the borders of a heart (a row of `draw_hearts` with attributes) in all slices, apex first, and phases."""
    c = contraction(settings.phases, heart.heart_rate_bpm, not heart.af_now)
    length = heart.lv_length_mm * (1 - (1 - heart.lv_length_ratio) * c)
    above_apex = heart.lv_length_mm / 2 + slice_offsets_mm(settings)
    depth = 1 - above_apex[:, None] / length[None]
    inside = np.sqrt(np.clip(1 - np.clip(depth, 0, 1) ** 2, 0, 1))[..., None]
    shortening, wall = (_profile(heart, name, depth) for name in ("shortening", "wall"))
    relaxed = heart.lv_radius_mm * inside
    endocardium = relaxed * (1 - shortening * c[None, :, None])
    wall = wall * (inside > 0) * np.clip(1 + depth / 0.06, 0.25, 1)[..., None]
    alive = np.clip(shortening / 0.30, 0, 1)
    grown = ((relaxed + wall) ** 2 - relaxed**2) * (1 + alive * (heart.lv_length_mm / length - 1)[None, :, None])
    epicardium = np.sqrt(endocardium**2 + grown)
    right = epicardium + _right_width(heart, depth, epicardium, c)
    rv_wall = np.where(right > epicardium, np.minimum(RV_WALL_MM, right - epicardium), 0.0)
    fat = right + rv_wall + FAT_MM * _FAT_SHARE * (inside > 0)
    return Contours(depth, endocardium, epicardium, right, right + rv_wall, fat, _blur(heart, depth), c)


def slice_offsets_mm(settings: SimulationSettings) -> Array:
    """Return where the slices lie along the long axis from the middle of the ventricle, ascending towards the base."""
    return np.asarray(
        (np.arange(settings.slices) - (settings.slices - 1) / 2) * settings.slice_distance_mm, dtype=float
    )


def _profile(heart: Any, name: str, depth: Array) -> Array:
    """Return a segmental quantity over slices, phases and angles, linear between the middles of the segments."""
    values = np.array([getattr(heart, column) for column in segment_columns(name)])
    levels = np.stack(
        [
            np.interp(_ANGLE_DEG, SEGMENT_ANGLE_DEG[SEGMENT_LEVEL == k], values[SEGMENT_LEVEL == k], period=360)
            for k in range(len(_LEVEL_MIDDLE))
        ]
    )
    place = np.clip(np.interp(depth, _LEVEL_MIDDLE, np.arange(4.0)), 0, 3)
    share = np.clip(1 - np.abs(place[..., None] - np.arange(4)), 0, 1)
    return np.asarray(share @ levels)


def _right_width(heart: Any, depth: Array, epicardium: Array, c: Array) -> Array:
    """Return the width of the right cavity: a crescent on the septum whose area gives the right ventricular volume."""
    bump = np.clip((np.cos(np.deg2rad(_ANGLE_DEG - 186)) - 0.26) / 0.74, 0, 1) ** 0.72
    linear, square = bump.mean() * 2 * np.pi, (bump**2).mean() * 2 * np.pi
    kept = 1 - (heart.rvef_percent / 100) * 0.98 * c
    relative = np.clip((0.97 - depth) / 0.97, 0, 1.05) ** 0.75
    area = heart.rvedv_ml * 1000 / (0.553 * heart.lv_length_mm) * relative * kept[None]
    radius = epicardium.mean(axis=-1)
    width = (-radius * linear + np.sqrt((radius * linear) ** 2 + 2 * square * area)) / square
    return np.asarray(width[..., None] * bump)


def _blur(heart: Any, depth: Array) -> Array:
    inner = np.clip(depth, 0, 0.96)
    slope = heart.lv_radius_mm * inner / (heart.lv_length_mm * np.sqrt(1 - inner**2))
    return np.asarray(np.clip(SLICE_THICKNESS_MM * slope, 0, 7))
