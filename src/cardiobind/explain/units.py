"""The parts of a signal that occlusion hides: each lead in each beat, each lead in each wave, blocks of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg.r_peaks import r_peaks

Units = NDArray[np.int64]

WAVES_S = {"P": (-0.25, -0.06), "QRS": (-0.06, 0.10), "ST-T": (0.10, 0.45)}
"""Times around an R peak; what is in none of them is the rest of the beat."""
_BEFORE_P = 0.3
_WITHOUT_BEATS_S = 1.0
BLOCKS = 8


def beats(ecg: NDArray[np.floating], rate_hz: float) -> Units:
    """Return the number of the beat of each sample (T,), from 0; a beat begins 0.3 RR intervals before its R peak.

    Where no beat is found it is the number of the second.

    Args:
        ecg: (leads, T) finite; the unit does not matter.
        rate_hz: samples per second, at least 40.
    """
    samples = np.arange(ecg.shape[1])
    peaks = r_peaks(np.asarray(ecg, dtype=np.float64), rate_hz)
    if len(peaks) < 2:
        return np.asarray(samples // round(_WITHOUT_BEATS_S * rate_hz), np.int64)
    begins = peaks[1:] - np.rint(_BEFORE_P * np.diff(peaks)).astype(np.int64)
    return np.asarray(np.searchsorted(begins, samples, side="right"), np.int64)


def waves(ecg: NDArray[np.floating], rate_hz: float) -> Units:
    """Return the wave of each sample (T,): 0, 1, 2 as in `WAVES_S`, 3 for what is in none of them.

    Args:
        ecg: (leads, T) finite; the unit does not matter.
        rate_hz: samples per second, at least 40.
    """
    found = np.full(ecg.shape[1], len(WAVES_S), np.int64)
    seconds = np.arange(ecg.shape[1]) / rate_hz
    for place, (begin, end) in reversed(list(enumerate(WAVES_S.values()))):
        for peak in r_peaks(np.asarray(ecg, dtype=np.float64), rate_hz):
            away = seconds - peak / rate_hz
            found[(away >= begin) & (away < end)] = place
    return found


def lead_units(parts: Units, leads: int) -> Units:
    """Return one unit a lead and part, (leads, T), numbered from 0 without gaps."""
    part = np.unique(parts, return_inverse=True)[1]
    return np.asarray(np.arange(leads)[:, None] * (part.max() + 1) + part, np.int64)


def blocks(shape: tuple[int, ...]) -> Units:
    """Return one unit a square of pixels and plane, (planes, rows, columns): 8 by 8 squares a plane."""
    planes, rows, columns = shape
    down, across = (np.arange(size) * BLOCKS // size for size in (rows, columns))
    square = down[:, None] * BLOCKS + across
    return np.asarray(np.arange(planes)[:, None, None] * BLOCKS**2 + square, np.int64)
