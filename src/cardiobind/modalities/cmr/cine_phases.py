"""Finds end diastole, end systole and the mid slice of a short-axis cine from the area of its blood pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

Array = NDArray[np.float64]

_POOL_REACH_MM = 38.0
_DISC_MM = 28.0
_CONTRAST_REACH_MM = 35.0
_ED_WINDOW = 0.15
_ED_PULL = 0.1
_ES_WINDOW = (0.2, 0.6)
_ES_USUAL = 0.38
_ES_PULL = 0.02
_VENTRICLE_SHARE = 0.06


@dataclass(frozen=True)
class CinePhases:
    """The phases and the slice to look at.

    Attributes:
        ed_phase: end diastole, the blood pool at its largest near the R wave.
        mid_phase: half-way in time from end diastole to end systole.
        es_phase: end systole, the blood pool at its smallest.
        slice_index: middle of the slices that hold the ventricle.
        curve: (phases,) pool area, weighted over slices, smoothed, 0 at its least and 1 at its most.
        contraction: 0-1, part of the end-diastolic pool that is gone at end systole.
        coherence: 0-1, part of the variation of the slices' curves that is one common beat.
        smoothness: 0-1, part of the variation of the combined curve that its smoothed course explains.
        first_slice, last_slice: ends of the run of slices that hold the ventricle.
        base_is_last: whether the blood pools of the run's upper half are the larger ones at end diastole.
    """

    ed_phase: int
    mid_phase: int
    es_phase: int
    slice_index: int
    curve: Array
    contraction: float
    coherence: float
    smoothness: float
    first_slice: int
    last_slice: int
    base_is_last: bool


def find_phases(
    frames: NDArray[np.floating[Any]],
    pixel_spacing_mm: tuple[float, float],
    centres_mm: Array,
    trigger_times_ms: Array,
) -> CinePhases:
    """Return end diastole, end systole and the mid slice.

    Args:
        frames: (slices, phases, rows, columns), finite.
        pixel_spacing_mm: distance between rows, distance between columns.
        centres_mm: (slices, 2) centre of the left ventricle.
        trigger_times_ms: (slices, phases) time after the R wave; where known, end diastole is sought near it.
    """
    fraction = cycle_fraction(trigger_times_ms)
    windows = [_blood_window(stack, pixel_spacing_mm, centre) for stack, centre in zip(frames, centres_mm, strict=True)]
    rough = np.stack([blood[:, distance <= _DISC_MM].sum(axis=1) for blood, distance in windows])
    rough_ed = end_diastole(_unit(_smooth(_combine(rough)[0])), fraction)
    areas = np.stack([_pool_area(blood, distance, rough_ed) for blood, distance in windows])
    combined, beat, coherence = _combine(areas)
    smooth = _smooth(combined)
    curve = _unit(smooth)
    ed = end_diastole(curve, fraction)
    es = end_systole(curve, ed)
    half = ((es - ed) % len(curve)) // 2
    contraction = 1 - float(smooth[es]) / float(smooth[ed]) if smooth[ed] > 0 else 0.0
    first, last = ventricle_slices(areas, beat)
    return CinePhases(
        ed, (ed + half) % len(curve), es, (first + last) // 2, curve, min(max(contraction, 0.0), 1.0), coherence,
        _explained(combined, smooth), first, last, _rising(areas[first : last + 1, ed]),
    )  # fmt: skip


def cycle_fraction(trigger_times_ms: Array) -> Array | None:
    """Return (phases,) time after the R wave as a fraction of the cycle, or None where it is not known.

    Args:
        trigger_times_ms: (slices, phases); the cycle is taken as the mean step between phases times their number.
    """
    known = np.isfinite(trigger_times_ms).all(axis=1)
    if not known.any():
        return None
    times = np.median(trigger_times_ms[known], axis=0)
    steps = np.diff(times)
    if not (steps > 0).all():
        return None
    return np.asarray(times / (steps.mean() * len(times)) % 1.0)


def end_diastole(curve: Array, fraction: Array | None) -> int:
    """Return the phase of the largest pool within 15 % of a cycle of the R wave, or at any time if that is not known.

    Args:
        curve: (phases,) pool area from 0 to 1.
        fraction: (phases,) time after the R wave as a fraction of the cycle.
    """
    if fraction is None:
        return int(curve.argmax())
    away = np.minimum(fraction, 1 - fraction)
    allowed = (away <= _ED_WINDOW) | (away == away.min())
    return int(np.where(allowed, curve - _ED_PULL * away / _ED_WINDOW, -np.inf).argmax())


def end_systole(curve: Array, ed_phase: int) -> int:
    """Return the phase of the smallest pool 20-60 % of a cycle after end diastole; a flat minimum is cut near 38 %.

    Args:
        curve: (phases,) pool area from 0 to 1, at least 3 phases.
        ed_phase: end diastole.
    """
    after = (np.arange(len(curve)) - ed_phase) % len(curve) / len(curve)
    allowed = (after >= _ES_WINDOW[0]) & (after <= _ES_WINDOW[1])
    cost = curve + _ES_PULL * ((after - _ES_USUAL) / 0.15) ** 2
    return int(np.where(allowed, cost, np.inf).argmin())


def ventricle_slices(areas: Array, beat: Array) -> tuple[int, int]:
    """Return the ends of the run of slices that contract with the beat, around the one that does so most.

    Args:
        areas: (slices, phases) pool area.
        beat: (phases,) common course, of mean 0 and norm 1.
    """
    strength = (areas - areas.mean(axis=1, keepdims=True)) @ beat
    best = int(strength.argmax())
    holds = strength >= _VENTRICLE_SHARE * strength[best]
    first = last = best
    while first > 0 and holds[first - 1]:
        first -= 1
    while last < len(holds) - 1 and holds[last + 1]:
        last += 1
    return first, last


def _blood_window(
    stack: NDArray[np.floating[Any]], pixel_spacing_mm: tuple[float, float], centre_mm: Array
) -> tuple[Array, Array]:
    """Return how much each pixel around the centre is blood (0-1; phases, rows, columns) and its distance in mm."""
    spacing = np.array(pixel_spacing_mm)
    size = np.array(stack.shape[1:])
    low = np.clip(np.floor((centre_mm - _POOL_REACH_MM) / spacing), 0, size - 1).astype(int)
    high = np.minimum(np.ceil((centre_mm + _POOL_REACH_MM) / spacing) + 1, size).astype(int)
    window = stack[:, low[0] : high[0], low[1] : high[1]].astype(np.float64)
    row = np.arange(low[0], high[0]) * spacing[0] - centre_mm[0]
    column = np.arange(low[1], high[1]) * spacing[1] - centre_mm[1]
    distance = np.hypot(row[:, None], column[None, :])
    dark, bright = two_classes(window[:, distance <= _CONTRAST_REACH_MM])
    blood = np.clip((window - dark) / (bright - dark), 0.0, 1.0) if bright > dark else np.zeros_like(window)
    return blood, distance


def two_classes(values: Array, bins: int = 64) -> tuple[float, float]:
    """Return the mean of the dark and of the bright class that Otsu's threshold separates.

    Source: Otsu, A threshold selection method from gray-level histograms (1979).
    """
    if values.size == 0 or values.min() == values.max():
        return 0.0, 0.0
    counts, edges = np.histogram(values, bins)
    middles = (edges[1:] + edges[:-1]) / 2
    weight = np.cumsum(counts)[:-1] / counts.sum()
    moment = np.cumsum(counts * middles)[:-1] / counts.sum()
    mean = float((counts * middles).sum() / counts.sum())
    cut = int(((mean * weight - moment) ** 2 / (weight * (1 - weight))).argmax())
    return float(moment[cut] / weight[cut]), float((mean - moment[cut]) / (1 - weight[cut]))


def _pool_area(blood: Array, distance: Array, ed_phase: int) -> Array:
    """Return (phases,) blood in the connected pool that lies nearest the centre at end diastole."""
    around = [(ed_phase + step) % len(blood) for step in (-1, 0, 1)]
    pool = (blood[around].mean(axis=0) > 0.5) & (distance <= _POOL_REACH_MM)
    if not pool.any():
        return np.zeros(len(blood))
    regions, _ = label(pool)
    nearest = int(np.where(pool, distance, np.inf).argmin())
    return np.asarray(blood[:, regions == regions.flat[nearest]].sum(axis=1))


def _combine(areas: Array) -> tuple[Array, Array, float]:
    """Return the area curve weighted towards slices that share the common beat, that beat, and its share."""
    varying = areas - areas.mean(axis=1, keepdims=True)
    left, strengths, right = np.linalg.svd(varying, full_matrices=False)
    beat = right[0] * (1.0 if left[:, 0].sum() >= 0 else -1.0)
    weight = np.maximum(varying @ beat, 0.0)
    total = float((strengths**2).sum())
    return weight @ areas, beat, float(strengths[0] ** 2) / total if total > 0 else 0.0


def _rising(pools: Array) -> bool:
    half = len(pools) // 2
    return bool(pools[len(pools) - half :].sum() > pools[:half].sum())


def _smooth(curve: Array) -> Array:
    spectrum = np.fft.rfft(curve)
    spectrum[max(4, len(curve) // 6) + 1 :] = 0
    return np.asarray(np.fft.irfft(spectrum, len(curve)))


def _unit(curve: Array) -> Array:
    span = float(curve.max() - curve.min())
    return (curve - curve.min()) / span if span > 0 else np.zeros_like(curve)


def _explained(curve: Array, smooth: Array) -> float:
    variation = float(((curve - curve.mean()) ** 2).sum())
    return 1 - float(((curve - smooth) ** 2).sum()) / variation if variation > 0 else 0.0
