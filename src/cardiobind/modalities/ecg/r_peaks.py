"""Where the heart beats in an ECG: the QRS complexes, by the energy of their slopes.

Source: after Pan and Tompkins, IEEE Trans Biomed Eng 1985;32:230 (band pass, derivative, square, moving window), over
all leads at once and with one threshold for the record in place of two adaptive ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from cardiobind.modalities.ecg.bands import band_pass

Array = NDArray[np.float64]

QRS_BAND_HZ = (7.0, 18.0)
_WINDOW_S = 0.1
_REFRACTORY_S = 0.25
_STRETCH_S = 2.0
_SHARE_OF_TYPICAL_BEAT = 0.3


def r_peaks(amplitude_mv: Array, rate_hz: float) -> NDArray[np.intp]:
    """Return the samples at which the QRS complexes of an ECG are centred, ascending.

    Args:
        amplitude_mv: (leads, samples) finite; the unit does not matter.
        rate_hz: samples per second, at least 40.
    """
    energy = _slope_energy(amplitude_mv, rate_hz)
    stretch = min(max(1, round(_STRETCH_S * rate_hz)), len(energy))
    largest = energy[: len(energy) // stretch * stretch].reshape(-1, stretch).max(axis=1)
    typical = float(np.median(largest))
    if typical <= 0:
        return np.zeros(0, np.intp)
    height = _SHARE_OF_TYPICAL_BEAT * typical
    peaks: NDArray[np.intp] = find_peaks(energy, height=height, distance=max(1, round(_REFRACTORY_S * rate_hz)))[0]
    return peaks


def _slope_energy(amplitude_mv: Array, rate_hz: float) -> Array:
    slope = np.diff(band_pass(amplitude_mv, rate_hz, *QRS_BAND_HZ), axis=1, append=0.0)
    slope[:, -1] = 0.0
    return np.asarray(uniform_filter1d((slope**2).sum(axis=0), max(1, round(_WINDOW_S * rate_hz))))


def typical_beat(amplitude_mv: Array, peaks: NDArray[np.intp], before: int, after: int) -> Array | None:
    """Return the median over beats of each lead around the peaks, or None where no beat lies wholly inside.

    Args:
        amplitude_mv: (leads, samples).
        peaks: samples, as of `r_peaks`.
        before: number of samples kept before a peak.
        after: number kept from it on.

    Returns:
        (leads, before + after), the peak at column `before`.
    """
    whole = peaks[(peaks >= before) & (peaks + after <= amplitude_mv.shape[1])]
    if not len(whole):
        return None
    return np.asarray(np.median(amplitude_mv[:, whole[:, None] + np.arange(-before, after)], axis=1))
