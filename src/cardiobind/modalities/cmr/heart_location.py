"""Finds the left ventricle in a short-axis cine: the point that round, bright and beating edges surround."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float64]

_ANALYSIS_PIXEL_MM = 3.0
_EDGE_SMOOTHING_MM = 3.0
_HEART_SMOOTHING_MM = 15.0
_HEART_REACH_MM = 50.0
_BOX_REACH_MM = 100.0
_EDGE_AREA_MM2 = 4500.0
_VOTE_SMOOTHING_MM = 4.0
_TILT_REACH_MM = 12.0
_RADII_MM = np.arange(12.0, 43.0, 3.0)
_RADII_TOGETHER = 5
_SECTORS = 8
_HARMONICS = 2
_PLANNED_CENTRE_REACH = 0.3


@dataclass(frozen=True)
class HeartLocation:
    """Where the left ventricle is.

    Attributes:
        centres_mm: (slices, 2) row and column of its centre, from the centre of the first pixel.
        sharpness: 0-1, how far the best centre beats the best one at least 30 mm away.
        motion_excess: 0-1, how far periodic motion gathers within 60 mm of the centre: 0 if spread evenly.
    """

    centres_mm: Array
    sharpness: float
    motion_excess: float


def locate_heart(frames: NDArray[np.floating[Any]], pixel_spacing_mm: tuple[float, float]) -> HeartLocation:
    """Return the centre of the left ventricle in each slice, from motion and edges alone.

    Periodic motion (the first two temporal harmonics) gives the region of the heart. There, each edge votes for the
    points 12-42 mm up its gradient. A point counts by the votes from the three weakest of eight directions, at one
    radius: the centre of a round bright pool with a beating wall all around wins; the crescent of the right ventricle,
    vessels and fat have edges on a side or two only. Slices vote together, then each adjusts a little.

    Args:
        frames: (slices, phases, rows, columns), finite.
        pixel_spacing_mm: distance between rows, distance between columns.

    Source: radial symmetry after Loy and Zelinsky (2003), with harmonic weights as Lin et al., MICCAI (2006).
    """
    factors = tuple(max(1, round(_ANALYSIS_PIXEL_MM / mm)) for mm in pixel_spacing_mm)
    pixel_mm = np.array([mm * factor for mm, factor in zip(pixel_spacing_mm, factors, strict=True)])
    small = _block_mean(frames, factors[0], factors[1])
    motion = _relative(periodic_motion(small, tuple(_EDGE_SMOOTHING_MM / pixel_mm)))
    heart = _motion_centre(motion, pixel_mm)
    box, corner = _box(motion.shape[1:], heart, pixel_mm)
    weight = motion[box] * _bell(motion.shape[1:], heart, pixel_mm, _HEART_REACH_MM)[box[1:]]
    votes = _edge_votes(small.mean(axis=1)[box], weight, pixel_mm)
    centre = _peak(votes.sum(axis=0), pixel_mm)
    near = _bell(votes.shape[1:], centre, pixel_mm, _TILT_REACH_MM)
    first_mm = corner + (np.array(factors) - 1) / 2 * np.array(pixel_spacing_mm)
    return HeartLocation(
        np.stack([_peak(vote * near, pixel_mm) for vote in votes]) + first_mm,
        _sharpness(votes.sum(axis=0), centre, pixel_mm),
        _excess_near(motion, centre + corner, pixel_mm),
    )


def moving_centre(frames: NDArray[np.floating[Any]], pixel_spacing_mm: tuple[float, float]) -> tuple[float, float]:
    """Return (row, column) in mm where most moves with the beat, near the middle of the image: good to some 20 mm.

    Args:
        frames: (slices, phases, rows, columns), finite, of any view.
        pixel_spacing_mm: distance between rows, distance between columns.
    """
    spacing = np.array(pixel_spacing_mm)
    row, column = _motion_centre(_relative(periodic_motion(frames, tuple(_EDGE_SMOOTHING_MM / spacing))), spacing)
    return float(row), float(column)


def _block_mean(frames: NDArray[np.floating[Any]], row_factor: int, column_factor: int) -> NDArray[np.float32]:
    rows = frames.shape[-2] // row_factor * row_factor
    columns = frames.shape[-1] // column_factor * column_factor
    total = np.zeros((*frames.shape[:-2], rows // row_factor, columns // column_factor), dtype=np.float32)
    for row in range(row_factor):
        for column in range(column_factor):
            total += frames[..., row:rows:row_factor, column:columns:column_factor]
    total /= row_factor * column_factor
    return total


def periodic_motion(frames: NDArray[np.floating[Any]], smoothing_px: tuple[float, ...]) -> Array:
    """Return the amplitude of the first two temporal harmonics of each pixel.

    Args:
        frames: (slices, phases, rows, columns).
        smoothing_px: standard deviation of the Gaussian along rows and columns, applied before the amplitude is taken.

    Returns:
        (slices, rows, columns) in the unit of `frames`.
    """
    slices, phases, rows, columns = frames.shape
    angle = 2 * np.pi * np.arange(1, _HARMONICS + 1)[:, None] * np.arange(phases) / phases
    basis = np.concatenate([np.cos(angle), np.sin(angle)]).astype(np.float32) * np.float32(2 / phases)
    parts = basis @ frames.reshape(slices, phases, rows * columns).astype(np.float32, copy=False)
    parts = gaussian_filter(parts.reshape(slices, -1, rows, columns), (0, 0, *smoothing_px))
    amplitude: Array = np.sqrt((parts.astype(np.float64) ** 2).sum(axis=1))
    return amplitude


def _relative(motion: Array) -> Array:
    """Return motion with each slice's strongest hundredth as 1, so that no vessel outweighs the heart."""
    strongest = np.quantile(motion, 0.99, axis=(1, 2), keepdims=True)
    return np.minimum(motion / np.where(strongest > 0, strongest, 1.0), 1.0)


def _motion_centre(motion: Array, pixel_mm: Array) -> Array:
    """Return (row, column) in mm where most moves, near where a scan is planned: the middle of the image."""
    shape = motion.shape[1:]
    total = gaussian_filter(motion.sum(axis=0), tuple(_HEART_SMOOTHING_MM / pixel_mm))
    middle = (np.array(shape) - 1) / 2 * pixel_mm
    reach_mm = _PLANNED_CENTRE_REACH * float((np.array(shape) * pixel_mm).max())
    total *= _bell(shape, middle, pixel_mm, reach_mm)
    return np.array(np.unravel_index(int(total.argmax()), shape)) * pixel_mm


def _box(shape: tuple[int, ...], centre_mm: Array, pixel_mm: Array) -> tuple[tuple[slice, slice, slice], Array]:
    """Return the part of (slices, rows, columns) within reach of a point, and the position of its corner in mm."""
    low = np.maximum(np.floor((centre_mm - _BOX_REACH_MM) / pixel_mm), 0).astype(int)
    high = np.minimum(np.ceil((centre_mm + _BOX_REACH_MM) / pixel_mm) + 1, shape).astype(int)
    return (slice(None), slice(low[0], high[0]), slice(low[1], high[1])), low * pixel_mm


def _distance_mm(shape: tuple[int, ...], centre_mm: Array, pixel_mm: Array) -> Array:
    row, column = (np.arange(n) * mm - at for n, mm, at in zip(shape, pixel_mm, centre_mm, strict=True))
    return np.asarray(np.hypot(row[:, None], column[None, :]))


def _bell(shape: tuple[int, ...], centre_mm: Array, pixel_mm: Array, reach_mm: float) -> Array:
    return np.asarray(np.exp(-0.5 * (_distance_mm(shape, centre_mm, pixel_mm) / reach_mm) ** 2))


def _edge_votes(mean_image: NDArray[np.floating[Any]], weight: Array, pixel_mm: Array) -> Array:
    """Return (slices, rows, columns) of how far each pixel is surrounded by weighted edges that point at it."""
    smooth = gaussian_filter(mean_image.astype(np.float64), (0, *(_EDGE_SMOOTHING_MM / pixel_mm)))
    gradient = np.stack([np.gradient(smooth, mm, axis=axis) for axis, mm in zip((1, 2), pixel_mm, strict=True)])
    steepness = np.hypot(gradient[0], gradient[1])
    strength = steepness * weight
    share = _EDGE_AREA_MM2 / (np.prod(strength.shape[1:]) * np.prod(pixel_mm))
    top = np.quantile(strength, max(0.5, 1 - share), axis=(1, 2), keepdims=True)
    strength = np.sqrt(np.minimum(strength / np.where(top > 0, top, 1.0), 1.0))
    where = np.nonzero(strength > 0.3)
    direction = np.stack([part[where] for part in gradient]) / steepness[where]
    by_radius = _cast_votes(where, strength[where], direction, pixel_mm, strength.shape)
    surrounded = np.zeros(strength.shape)
    for first in range(len(_RADII_MM) - _RADII_TOGETHER + 1):
        sectors = by_radius[first : first + _RADII_TOGETHER].sum(axis=0)
        surrounded = np.maximum(surrounded, np.partition(sectors, 2, axis=0)[:3].sum(axis=0))
    return surrounded


def _cast_votes(
    where: tuple[NDArray[np.intp], ...], strength: Array, direction: Array, pixel_mm: Array, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return (radii, sectors, slices, rows, columns) of smoothed votes, each worth its part of a circle's length."""
    turn = np.arctan2(direction[0], direction[1]) / (2 * np.pi)
    sector = np.floor(turn * _SECTORS).astype(np.intp) % _SECTORS
    votes = np.empty((len(_RADII_MM), _SECTORS, *shape), dtype=np.float32)
    for index, radius_mm in enumerate(_RADII_MM):
        row = np.rint(where[1] + direction[0] * radius_mm / pixel_mm[0]).astype(np.intp)
        column = np.rint(where[2] + direction[1] * radius_mm / pixel_mm[1]).astype(np.intp)
        inside = (row >= 0) & (row < shape[1]) & (column >= 0) & (column < shape[2])
        cell = np.ravel_multi_index((sector[inside], where[0][inside], row[inside], column[inside]), votes.shape[1:])
        votes[index] = np.bincount(cell, strength[inside] / radius_mm, votes[index].size).reshape(votes.shape[1:])
    smoothed: NDArray[np.float32] = gaussian_filter(votes, (0, 0, 0, *(_VOTE_SMOOTHING_MM / pixel_mm)), truncate=3.0)
    return smoothed


def _peak(votes: Array, pixel_mm: Array) -> Array:
    """Return (row, column) in mm of the highest point, as the centre of gravity of what is within 6 mm of it."""
    top = np.array(np.unravel_index(int(votes.argmax()), votes.shape)) * pixel_mm
    weight = np.where(_distance_mm(votes.shape, top, pixel_mm) <= 6.0, votes, 0.0)
    total = float(weight.sum())
    if total <= 0:
        return (np.array(votes.shape) - 1) / 2 * pixel_mm
    row = float((weight.sum(axis=1) * np.arange(votes.shape[0])).sum()) / total
    column = float((weight.sum(axis=0) * np.arange(votes.shape[1])).sum()) / total
    return np.array([row, column]) * pixel_mm


def _sharpness(votes: Array, centre_mm: Array, pixel_mm: Array) -> float:
    elsewhere = votes[_distance_mm(votes.shape, centre_mm, pixel_mm) > 30.0]
    best = float(votes.max())
    return 0.0 if best <= 0 else 1.0 - float(elsewhere.max(initial=0.0)) / best


def _excess_near(motion: Array, centre_mm: Array, pixel_mm: Array) -> float:
    """Return the share of motion within 60 mm of a point above that of motion spread evenly, 0 to 1."""
    power = (motion**2).sum(axis=0)
    near = _distance_mm(power.shape, centre_mm, pixel_mm) <= 60.0
    total, even = float(power.sum()), float(near.mean())
    if total <= 0 or even >= 1:
        return 0.0
    return max(0.0, (float(power[near].sum()) / total - even) / (1 - even))
