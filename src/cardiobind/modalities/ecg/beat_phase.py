"""Where in the heart beat a moment of an ECG is: 0 at an R peak, 1 at the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg.r_peaks import r_peaks

Array = NDArray[np.float64]


def beat_phases(ecg: NDArray[np.floating], rate_hz: float, samples: Array) -> Array:
    """Return the phase of the beat at each of these samples, as a fraction of the RR interval it lies in.

    Args:
        ecg: (leads, T) finite; the unit does not matter.
        rate_hz: samples per second, at least 40.
        samples: (N,) places, which may lie between samples.

    Returns:
        (N,) in [0, 1), NaN before the first R peak and from the last on.
    """
    peaks = r_peaks(np.asarray(ecg, dtype=np.float64), rate_hz)
    phase = np.full(len(samples), np.nan)
    if len(peaks) < 2:
        return phase
    beat = np.searchsorted(peaks, samples, side="right") - 1
    inside = (beat >= 0) & (beat < len(peaks) - 1)
    start = peaks[beat[inside]]
    phase[inside] = (samples[inside] - start) / (peaks[beat[inside] + 1] - start)
    return phase
