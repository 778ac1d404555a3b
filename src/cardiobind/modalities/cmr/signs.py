"""What a short-axis cine looks like, in numbers: order of its frames, alignment of its slices, contrast, shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, label

from cardiobind.modalities.cmr.cine_phases import CinePhases, two_classes
from cardiobind.modalities.cmr.heart_location import HeartLocation
from cardiobind.modalities.records import CineRecord

Array = NDArray[np.float64]

_REACH_MM = 40.0
_POOL_REACH_MM = 60.0
_CONTRAST_REACH_MM = 35.0
_CENTRE_REACH_MM = 28.0
_SMOOTHING_MM = 3.0
_SMALLEST_POOL_MM2 = 400.0
_LARGEST_POOL_MM2 = 6000.0
_LONGEST_RING = 1.35


@dataclass(frozen=True)
class Pool:
    """The blood pool of one slice.

    Attributes:
        centre_mm: (row, column) of its centre of gravity, from the centre of the first pixel.
        elongation: standard deviation of its pixels along its longest axis over that along the shortest.
    """

    centre_mm: Array
    elongation: float


@dataclass(frozen=True)
class CineSigns:
    """Numbers that tell a good cine from a bad one; NaN where they cannot be had.

    Attributes:
        tilt_deg: angle between the slices' normal and the nearest axis of the body; oblique in every short axis.
        jump_mm: how far the heart of a slice lies beside the line between its neighbours, at worst in the middle half
            of the slices: at the ends the pool is that of another cavity.
        wrap: change of the image from the last frame to the first over the largest of the two steps before and after.
        disorder: mean change from one frame to the next over that between any two; near 1 without an order in time.
        contrast: brightness of blood above muscle over the range of the images.
        noise_ratio: brightness of blood above muscle over the standard deviation of noise.
        elongation: length over width of the blood pool at end diastole, median of those slices; a ring's is near 1.
        motion_excess: 0-1, see `HeartLocation`.
    """

    tilt_deg: float
    jump_mm: float
    wrap: float
    disorder: float
    contrast: float
    noise_ratio: float
    elongation: float
    motion_excess: float


def cine_signs(record: CineRecord, heart: HeartLocation, found: CinePhases) -> CineSigns:
    """Return the signs of a cine.

    Args:
        record: finite, not flat, of at least 8 phases.
        heart: where its ventricle is.
        found: its phases and its mid slice.
    """
    spacing, chosen = np.array(record.pixel_spacing_mm), record.frames[found.slice_index]
    reach = max(1, len(record.frames) // 4)
    middle = range(max(0, found.slice_index - reach), min(len(record.frames), found.slice_index + reach + 1))
    pools = [_pool(record.frames[k], spacing, heart.centres_mm[k], found.ed_phase) for k in middle]
    window, _ = _window(record.frames, spacing, heart.centres_mm.mean(axis=0), _REACH_MM)
    smooth = gaussian_filter(window.astype(np.float64), (0, 0, *(_SMOOTHING_MM / spacing)))
    wrap, disorder = order_in_time(smooth)
    return CineSigns(
        tilt_deg=_tilt_deg(record.orientation),
        jump_mm=_jump_mm(pools),
        wrap=wrap,
        disorder=disorder,
        contrast=_contrast(chosen, spacing, heart.centres_mm[found.slice_index]),
        noise_ratio=_noise_ratio(chosen, spacing, heart.centres_mm[found.slice_index]),
        elongation=_elongation(pools),
        motion_excess=heart.motion_excess,
    )


def _elongation(pools: list[Pool | None]) -> float:
    known = [pool.elongation for pool in pools if pool is not None]
    return float(np.median(known)) if known else math.nan


def _tilt_deg(orientation: Array) -> float:
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    if not np.isfinite(length) or length == 0:
        return math.nan
    return math.degrees(math.acos(min(1.0, float(np.abs(normal).max()) / length)))


def _jump_mm(pools: list[Pool | None]) -> float:
    """Return the largest distance of a pool's centre from the middle between the centres of its neighbours."""
    round_ones = [pool if pool is not None and pool.elongation <= _LONGEST_RING else None for pool in pools]
    centres = np.array([(math.nan, math.nan) if pool is None else pool.centre_mm for pool in round_ones])
    beside = centres[1:-1] - (centres[:-2] + centres[2:]) / 2
    distance = np.hypot(beside[:, 0], beside[:, 1])
    return float(np.nanmax(distance)) if np.isfinite(distance).any() else math.nan


def order_in_time(images: Array) -> tuple[float, float]:
    """Return the change from last to first over the steps beside it, and the mean step over the mean of all pairs.

    The smallest step is taken for noise, and its square subtracted from all; a still diastole counts as a step of a
    tenth of the whole change. A change is the Euclidean distance of two images.

    Args:
        images: (slices, phases, rows, columns), at least 3 phases.

    Returns:
        `CineSigns.wrap` and `CineSigns.disorder`; NaN where nothing changes.
    """
    flat = images.swapaxes(0, 1).reshape(images.shape[1], -1)
    flat = flat - flat.mean(axis=0)
    square = (flat**2).sum(axis=1)
    between = np.maximum(square[:, None] + square[None, :] - 2 * flat @ flat.T, 0.0)
    noise = float(np.diagonal(between, 1).min())
    change = np.sqrt(np.maximum(between - noise, 0.0))
    steps, pairs = np.diagonal(change, 1), change[np.triu_indices(len(change), 1)]
    beside = max(float(steps[:2].max()), float(steps[-2:].max()), 0.1 * float(change.max()))
    if pairs.mean() == 0:
        return math.nan, math.nan
    return float(change[-1, 0]) / beside, float(steps.mean() / pairs.mean())


def _window(
    frames: NDArray[np.floating[Any]], spacing: Array, centre_mm: Array, reach_mm: float
) -> tuple[NDArray[np.floating[Any]], Array]:
    """Return the square of the images within reach of a point, and the distance of its pixels from the point."""
    size = np.array(frames.shape[-2:])
    low = np.clip(np.floor((centre_mm - reach_mm) / spacing), 0, size - 1).astype(int)
    high = np.clip(np.ceil((centre_mm + reach_mm) / spacing) + 1, low + 1, size).astype(int)
    row, column = (np.arange(a, b) * mm - at for a, b, mm, at in zip(low, high, spacing, centre_mm, strict=True))
    return frames[..., low[0] : high[0], low[1] : high[1]], np.hypot(row[:, None], column[None, :])


def _contrast(stack: NDArray[np.floating[Any]], spacing: Array, centre_mm: Array) -> float:
    """Return how far apart the dark and the bright near the heart's centre are, in parts of the range of the images."""
    window, distance = _window(stack, spacing, centre_mm, _CENTRE_REACH_MM)
    low, high = np.percentile(stack, (1, 99))
    dark, bright = np.percentile(window[:, distance <= _CENTRE_REACH_MM], (15, 90))
    return float(bright - dark) / float(high - low) if high > low else math.nan


def _noise_ratio(stack: NDArray[np.floating[Any]], spacing: Array, centre_mm: Array) -> float:
    window, distance = _window(stack, spacing, centre_mm, _CONTRAST_REACH_MM)
    near = window[:, distance <= _CONTRAST_REACH_MM].astype(np.float64)
    dark, bright = two_classes(near)
    noise = 1.4826 * float(np.median(np.abs(np.diff(near, n=2, axis=0)))) / math.sqrt(6)
    return (bright - dark) / noise if noise > 0 else math.inf


def _pool(stack: NDArray[np.floating[Any]], spacing: Array, centre_mm: Array, ed_phase: int) -> Pool | None:
    """Return the bright region nearest the centre at end diastole; None where it is no ventricle's by its size."""
    around = [(ed_phase + step) % len(stack) for step in (-1, 0, 1)]
    image, distance = _window(stack[around].mean(axis=0), spacing, centre_mm, _POOL_REACH_MM)
    dark, bright = two_classes(image[distance <= _CONTRAST_REACH_MM].astype(np.float64))
    bright_parts = image > (dark + bright) / 2
    if not bright_parts.any():
        return None
    regions, _ = label(bright_parts)
    places = np.argwhere(regions == regions.flat[int(np.where(bright_parts, distance, np.inf).argmin())]) * spacing
    if not _SMALLEST_POOL_MM2 <= len(places) * float(spacing.prod()) <= _LARGEST_POOL_MM2:
        return None
    short, long = np.linalg.eigvalsh(np.cov(places.T))
    corner = np.clip(np.floor((centre_mm - _POOL_REACH_MM) / spacing), 0, None).astype(int) * spacing
    return Pool(places.mean(axis=0) + corner, math.sqrt(long / short) if short > 0 else math.inf)
