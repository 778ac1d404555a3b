"""Single checks of the samples of an ECG: plateaus, noise, wander, mains, unit and rate.

Thresholds that are not a device's property were read off PTB-XL folds 1-8 so that at least 99 % of its records pass
(docs/explanation/quality.md).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cardiobind.modalities.ecg.bands import band_pass

Array = NDArray[np.float64]
Signal = NDArray[np.floating[Any]]

USUAL_RANGE_MV = 0.96
"""Median over PTB-XL of a record's median range (1st to 99th percentile) of a lead; its extremes are 0.24 and 3.4."""
USUAL_PACE = 1350.0
"""Median over PTB-XL of beats a minute times the mean frequency of the slopes of the QRS complex in Hz."""

_NOISE_MV, _NOISE_HZ = 0.025, 25.0
_WANDER_MV, _WANDER_HZ = 0.8, 0.6
_MAINS_MV, _MAINS_HZ = 0.05, (50.0, 60.0)
_SATURATED_S, _PLATEAU_S, _PLATEAUS = 0.2, 0.01, 3
_UNIT_FACTORS = (1e3, 1e-3, 1e6, 200.0, 1 / 200)
_POSSIBLE_RANGE_MV = (0.02, 20.0)
_PLAUSIBLE_RANGE_MV = (0.2, 5.0)
_SLOWEST_BPM, _FASTEST_BPM = 20.0, 300.0
_LARGEST_RATIO_OF_PACE = (0.38, 2.3)


def is_saturated(leads: Signal, rate_hz: float) -> bool:
    """Return whether a lead stays at its highest or lowest value for 0.2 s: the amplifier is at its rail."""
    return max((longest for longest, _ in _plateaus(leads, rate_hz)), default=0) >= max(3, _SATURATED_S * rate_hz)


def is_clipped(leads: Signal, rate_hz: float) -> bool:
    """Return whether a lead reaches its highest or lowest value in three plateaus: peaks are cut off at one height."""
    return max((number for _, number in _plateaus(leads, rate_hz)), default=0) >= _PLATEAUS


def _plateaus(leads: Signal, rate_hz: float) -> list[tuple[int, int]]:
    """Return for each lead's minimum and maximum the longest run of it and the number of runs of 10 ms or more."""
    shortest = max(2, round(_PLATEAU_S * rate_hz))
    extremes = np.concatenate([leads == leads.min(axis=1)[:, None], leads == leads.max(axis=1)[:, None]])
    worth_a_look = extremes.sum(axis=1) >= _PLATEAUS
    return [_runs(at_extreme, shortest) for at_extreme in extremes[worth_a_look]]


def _runs(at_extreme: NDArray[np.bool_], shortest: int) -> tuple[int, int]:
    places = np.flatnonzero(at_extreme)
    ends = np.flatnonzero(np.diff(places) > 1)
    lengths = np.diff(np.array([-1, *ends, len(places) - 1]))
    return int(lengths.max()), int((lengths >= shortest).sum())


def noise_mv(leads: Array, rate_hz: float) -> Array:
    """Return (leads,) the standard deviation in mV of what is above 25 Hz between the beats.

    It is the median of the absolute value over 0.6745, which QRS complexes do not move since they take less than half
    of the time (Donoho 1995's estimator of noise).
    """
    return np.asarray(np.median(np.abs(band_pass(leads, rate_hz, _NOISE_HZ)), axis=1) / 0.6745)


def is_noisy(leads: Array, rate_hz: float) -> bool:
    """Return whether a lead is noisier than in 99 % of PTB-XL's records."""
    return bool(noise_mv(leads, rate_hz).max() > _NOISE_MV)


def wander_mv(leads: Array, rate_hz: float) -> Array:
    """Return (leads,) the standard deviation in mV of what is below 0.6 Hz."""
    return np.asarray(band_pass(leads, rate_hz, 0.0, _WANDER_HZ).std(axis=1))


def is_wandering(leads: Array, rate_hz: float) -> bool:
    """Return whether a lead's baseline moves more than in 99 % of PTB-XL's records."""
    return bool(wander_mv(leads, rate_hz).max() > _WANDER_MV)


def is_mains(leads: Signal, rate_hz: float) -> bool:
    """Return whether a sine of 50 or 60 Hz has an amplitude above 0.05 mV in a lead; False at a rate too low for it."""
    return any(rate_hz > 2.2 * hz and mains_mv(leads, rate_hz, hz).max() > _MAINS_MV for hz in _MAINS_HZ)


def mains_mv(leads: Signal, rate_hz: float, mains_hz: float) -> Array:
    """Return (leads,) the amplitude in mV of the sine at a frequency, less the median of what lies 2 to 4 Hz beside."""
    waves = _waves(leads.shape[1], rate_hz, mains_hz)
    parts = (leads.astype(np.float32, copy=False) @ waves).astype(np.float64)
    sizes = np.hypot(parts[:, :7], parts[:, 7:])
    return np.asarray(np.maximum(sizes[:, 0] - np.median(sizes[:, 1:], axis=1), 0.0))


@lru_cache(maxsize=8)
def _waves(samples: int, rate_hz: float, mains_hz: float) -> NDArray[np.float32]:
    """Return (samples, 14) cosines, then sines, of the frequency and six beside it, scaled to give amplitudes."""
    turns = 2 * np.pi * np.outer(np.arange(samples) / rate_hz, mains_hz + np.array([0.0, -4, -3, -2, 2, 3, 4]))
    window = np.hanning(samples)[:, None]
    waves = np.hstack([np.cos(turns), np.sin(turns)]) * window * (2 / window.sum())
    return np.asarray(waves, dtype=np.float32)


def unit_factor(range_mv: float) -> float:
    """Return what amplitudes must be divided by to be mV, guessed from the usual range of a lead; 1 if possible.

    Args:
        range_mv: median over the leads of the 1st to 99th percentile, as if the unit were mV.

    Returns:
        1000 (microvolts), 0.001 (volts), 1e6 (nanovolts), 200 (counts of 5 microvolts), 1/200, or NaN where the range
        is impossible and none of them explains it; 1 for a range of exactly 0, which tells nothing.
    """
    if range_mv == 0.0 or _POSSIBLE_RANGE_MV[0] <= range_mv <= _POSSIBLE_RANGE_MV[1]:
        return 1.0
    low, high = _PLAUSIBLE_RANGE_MV
    good = [factor for factor in _UNIT_FACTORS if low <= range_mv / factor <= high]
    return min(good, key=lambda factor: abs(np.log(range_mv / factor / USUAL_RANGE_MV)), default=float("nan"))


def slope_frequency_hz(beat: Array, rate_hz: float) -> float:
    """Return the mean frequency of the power of the slopes of a QRS complex, all leads together; NaN of nothing.

    Args:
        beat: (leads, samples) some 0.25 s around the R peak.
        rate_hz: its samples per second.
    """
    slopes = np.diff(beat, axis=1)
    power = (np.abs(fft.rfft(slopes * np.hanning(slopes.shape[1]), 64, axis=1)) ** 2).sum(axis=0)
    total = float(power.sum())
    return float((power * fft.rfftfreq(64, 1 / rate_hz)).sum()) / total if total > 0 else float("nan")


def is_wrong_rate(beat: Array, interval_s: float, rate_hz: float) -> bool:
    """Return whether heart rate and QRS complexes are impossible together, so that the stated rate must be wrong.

    A rate stated k times too high makes the heart k times too fast and its QRS complexes k times too brief: their
    product, the pace, is off by k squared, which is seen where the heart rate alone could be a patient's.

    Args:
        beat: (leads, samples) QRS complex at `rate_hz`.
        interval_s: usual time between beats.
        rate_hz: stated samples per second.
    """
    heart_rate_bpm = 60.0 / interval_s
    if not _SLOWEST_BPM <= heart_rate_bpm <= _FASTEST_BPM:
        return True
    low, high = _LARGEST_RATIO_OF_PACE
    return not low <= heart_rate_bpm * slope_frequency_hz(beat, rate_hz) / USUAL_PACE <= high
