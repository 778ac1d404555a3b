"""Finds the borders of the left ventricle's wall in short-axis planes: closed curves of steepest edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter, grey_closing, label, map_coordinates

from cardiobind.modalities.cmr.cine_phases import two_classes

Array = NDArray[np.float64]

ANGLES = 72
"""Rays, anticlockwise from the right of the image."""
_TURN = np.arange(ANGLES) * 2 * np.pi / ANGLES
_STEP_MM = 0.5
_RADII_MM = np.arange(1, 90) * _STEP_MM
_CONTRAST_REACH_MM = 35.0
_POOL_REACH_MM = 38.0
_SMALLEST_POOL_MM2 = 80.0
_NEAREST_MM, _FARTHEST_MM = 3.0, 40.0
_THINNEST_MM, _THICKEST_MM = 2.0, 22.0
_WALL_DEPTH_MM = 3.0
_OFF_LIMITS = -1.0
_MOSTLY_BLOOD = 0.7
_UNBLOODY = 0.3
_FAR_COST = 0.01
_INNER_BEND_COST, _OUTER_BEND_COST = 0.05, 0.3
_BEND_STEPS = 3
_PAPILLARY_RAYS = 13
_CENTRINGS = 2


@dataclass(frozen=True)
class Borders:
    """The wall of one slice.

    Attributes:
        inner_mm, outer_mm: (moments, ANGLES) radius of endocardium and epicardium around one centre for all moments.
        wall_brightness: 0-1, of the wall, from the darkest to blood.
    """

    inner_mm: Array
    outer_mm: Array
    wall_brightness: float


def find_borders(images: NDArray[np.number[Any]], pixel_mm: float, full: int) -> Borders | None:
    """Return the borders of the ventricle in the middle of square images; None where no blood pool is there.

    The endocardium is the closed curve on which brightness falls most, the epicardium the one outside it on which
    brightness leaves that of the wall, towards blood or fat or towards lung. Papillary muscles belong to the pool. The
    centre is that of the pool when it is full, and stays there: a wall that does not move is not told to.

    Args:
        images: (moments, size, size) of one slice.
        pixel_mm: side of a pixel.
        full: index of end diastole.

    Source: dynamic programming on a polar image, after Gerbrands (1988) and Uzuemcue et al., MedIA 2006;10:769.
    """
    grey = np.asarray(images, dtype=np.float64)
    distance = _distance_mm(grey.shape[-1], pixel_mm)
    dark, bright = two_classes(grey[:, distance <= _CONTRAST_REACH_MM])
    if bright <= dark:
        return None
    blood = np.clip((grey - dark) / (bright - dark), 0.0, 1.0)
    centre = _pool_centre(blood[full], distance, pixel_mm)
    if centre is None:
        return None
    centres = np.tile(centre, (len(grey), 1))
    for _ in range(_CENTRINGS):
        centres = centres + _middles(_inner(_polar(blood, centres, pixel_mm))) / pixel_mm
    inner = _inner(_polar(blood, centres, pixel_mm))
    outer, wall = _outer(_polar(grey, centres, pixel_mm), inner, bright)
    low, away_mm = float(np.percentile(grey, 1)), (centres - centres[full]) * pixel_mm
    return Borders(_seen_from(inner, away_mm), _seen_from(outer, away_mm), (wall - low) / (bright - low))


def area_mm2(radius_mm: Array) -> Array:
    """Return the area inside closed curves, (..., ANGLES) radii."""
    return np.asarray((radius_mm**2).sum(axis=-1) * np.pi / ANGLES)


def roundness(radius_mm: Array) -> Array:
    """Return 4 pi area over the square of the length of closed curves, (..., ANGLES) radii: 1 for a circle."""
    x, y = radius_mm * np.cos(_TURN), radius_mm * np.sin(_TURN)
    length = np.hypot(x - np.roll(x, 1, -1), y - np.roll(y, 1, -1)).sum(axis=-1)
    inside = (np.roll(x, 1, -1) * y - x * np.roll(y, 1, -1)).sum(axis=-1) / 2
    chord = ANGLES * np.tan(np.pi / ANGLES) / np.pi  # the polygon of a circle has roundness 1
    return np.asarray(4 * np.pi * inside / length**2 * chord)


def _distance_mm(size: int, pixel_mm: float) -> Array:
    at = (np.arange(size) - (size - 1) / 2) * pixel_mm
    return np.asarray(np.hypot(at[:, None], at[None, :]))


def _pool_centre(blood: Array, distance: Array, pixel_mm: float) -> Array | None:
    """Return (row, column) in pixels of the middle of the bright region nearest the image's middle, holes filled."""
    pool = (blood > 0.5) & (distance <= _POOL_REACH_MM)
    if not pool.any():
        return None
    regions, _ = label(pool)
    own = binary_fill_holes(regions == regions.flat[int(np.where(pool, distance, np.inf).argmin())])
    places = np.argwhere(own)
    return places.mean(axis=0) if len(places) * pixel_mm**2 >= _SMALLEST_POOL_MM2 else None


def _polar(images: Array, centres: Array, pixel_mm: float) -> Array:
    """Return the images along rays from a point in each, (moments, ANGLES, radii)."""
    down, right = (part[:, None] * _RADII_MM / pixel_mm for part in (-np.sin(_TURN), np.cos(_TURN)))
    return np.stack([
        map_coordinates(image, [row + down, column + right], order=1, mode="nearest")
        for image, (row, column) in zip(images, centres, strict=True)
    ])  # fmt: skip


def _smooth(rays: Array, angles: float, steps: float) -> Array:
    return np.asarray(gaussian_filter(rays, (0, angles, steps), mode=("nearest", "wrap", "nearest")))


def _inner(blood: Array) -> Array:
    """Return the endocardium: papillary muscles, dark places narrower than `_PAPILLARY_RAYS`, are taken for blood."""
    blood = grey_closing(blood, size=(1, _PAPILLARY_RAYS, 1), mode="wrap")
    fall = -np.gradient(_smooth(blood, 1.0, 2.0), _STEP_MM, axis=-1)
    within = np.cumsum(blood, axis=-1) / np.arange(1, len(_RADII_MM) + 1)
    allowed = (_RADII_MM >= _NEAREST_MM) & (_RADII_MM <= _FARTHEST_MM)
    return _closed_curve(
        np.where(allowed, fall, _OFF_LIMITS) - np.where(within < _MOSTLY_BLOOD, _UNBLOODY, 0.0), _INNER_BEND_COST
    )


def _outer(grey: Array, inner: Array, bright: float) -> tuple[Array, float]:
    """Return the epicardium, and the brightness of the wall."""
    smooth = _smooth(grey, 1.5, 1.6)
    just_outside = np.clip(np.rint((inner + _WALL_DEPTH_MM) / _STEP_MM).astype(int) - 1, 0, len(_RADII_MM) - 1)
    wall = float(np.median(np.take_along_axis(smooth, just_outside[..., None], axis=-1)))
    above, below = np.maximum(smooth - wall, 0.0), np.maximum(wall - smooth, 0.0)
    to_blood = max(bright - wall, 1.0)
    to_lung = max(wall - float(np.percentile(smooth, 5)), 0.2 * to_blood)
    leaving = np.gradient(above / to_blood + below / to_lung, _STEP_MM, axis=-1)
    thickness = _RADII_MM - inner[..., None]
    allowed = (thickness >= _THINNEST_MM) & (thickness <= _THICKEST_MM)
    return _closed_curve(np.where(allowed, leaving - _FAR_COST * thickness, _OFF_LIMITS), _OUTER_BEND_COST), wall


def _closed_curve(gain: Array, bend_cost: float) -> Array:
    """Return the radii in mm (curves, ANGLES) of the closed curves of largest gain (curves, ANGLES, radii).

    A bend costs the square of the change of radius from ray to ray. The rays are gone over twice, half a turn before
    the first and after the last, so that the ends of a curve meet.
    """
    turn = np.arange(-ANGLES // 2, ANGLES + ANGLES // 2) % ANGLES
    steps = np.arange(-_BEND_STEPS, _BEND_STEPS + 1)
    before = np.clip(np.arange(gain.shape[-1]) + steps[:, None], 0, gain.shape[-1] - 1)
    cost = bend_cost * (steps[:, None] * _STEP_MM) ** 2
    best, came_from = gain[:, turn[0]], []
    for ray in turn[1:]:
        reached = best[:, before] - cost
        choice = reached.argmax(axis=1)
        came_from.append(before[choice, np.arange(gain.shape[-1])])
        best = np.take_along_axis(reached, choice[:, None], axis=1)[:, 0] + gain[:, ray]
    place = best.argmax(axis=1)
    path = [place]
    for back in reversed(came_from):
        place = back[np.arange(len(back)), place]
        path.append(place)
    middle = slice(ANGLES // 2, ANGLES // 2 + ANGLES)
    return _between_steps(gain, np.stack(path[::-1], axis=1)[:, middle])


def _between_steps(gain: Array, place: NDArray[np.intp]) -> Array:
    """Return the radii in mm of the tops of the parabolas through the gains around the places."""
    place = np.clip(place, 1, gain.shape[-1] - 2)
    left, here, right = (np.take_along_axis(gain, (place + k)[..., None], -1)[..., 0] for k in (-1, 0, 1))
    bend = left - 2 * here + right
    beside = np.where(bend < 0, (left - right) / np.where(bend < 0, 2 * bend, 1.0), 0.0)
    return np.asarray(_RADII_MM[place] + np.clip(beside, -1.0, 1.0) * _STEP_MM)


def _middles(radius_mm: Array) -> Array:
    """Return (row, column) in mm of the centres of gravity of what closed curves (curves, ANGLES) hold."""
    third = radius_mm**3 / 3
    moments = np.stack([-(third * np.sin(_TURN)).sum(axis=-1), (third * np.cos(_TURN)).sum(axis=-1)], axis=1)
    return np.asarray(moments / (radius_mm**2 / 2).sum(axis=-1)[:, None])


def _seen_from(radius_mm: Array, away_mm: Array) -> Array:
    """Return closed curves around points that are `away_mm` (curves, 2) from a common one as radii around that one."""
    right = radius_mm * np.cos(_TURN) + away_mm[:, 1:]
    up = radius_mm * np.sin(_TURN) - away_mm[:, :1]
    turn, length = np.arctan2(up, right), np.hypot(right, up)
    return np.stack([np.interp(_TURN, t % (2 * np.pi), r, period=2 * np.pi) for t, r in zip(turn, length, strict=True)])
