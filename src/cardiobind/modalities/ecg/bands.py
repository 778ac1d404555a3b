"""Smooth frequency bands of a finite signal, and its change of rate, by the Fourier transform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.float64]

_STEEPNESS = 8


def line_between_ends(signal: NDArray[np.floating[Any]]) -> Array:
    """Return the straight line from the first to the last sample of each row, without which the ends would ring."""
    first, last = signal[..., :1].astype(np.float64), signal[..., -1:].astype(np.float64)
    return np.asarray(first + (last - first) * np.linspace(0.0, 1.0, signal.shape[-1]))


def band_pass(signal: Array, rate_hz: float, low_hz: float = 0.0, high_hz: float = float("inf")) -> Array:
    """Return the part of a signal between two frequencies, half of the power passing at each; no phase shift.

    Args:
        signal: (..., samples), finite.
        rate_hz: its samples per second.
        low_hz: lower edge; 0 keeps the slow waves and the level.
        high_hz: upper edge.
    """
    line, samples = line_between_ends(signal), signal.shape[-1]
    frequency = fft.rfftfreq(samples, 1 / rate_hz)
    gain = 1 / (1 + (frequency / high_hz) ** _STEEPNESS)
    if low_hz > 0:
        gain *= 1 - 1 / (1 + (frequency / low_hz) ** _STEEPNESS)
    part = fft.irfft(fft.rfft(signal - line, axis=-1) * gain, samples, axis=-1)
    return np.asarray(part if low_hz > 0 else part + line)


def resample_spectrum(signal: NDArray[np.floating[Any]], rate_hz: float, wanted_hz: float) -> Array:
    """Return a signal at another rate by cutting or padding its spectrum: cheap, for looking at, not for storing.

    Args:
        signal: (..., samples), finite.
        rate_hz: its samples per second.
        wanted_hz: those of the result, which has round(samples x wanted / rate) of them, at least 2.
    """
    samples = max(2, round(signal.shape[-1] * wanted_hz / rate_hz))
    if samples == signal.shape[-1]:
        return signal.astype(np.float64)
    line = line_between_ends(signal)
    bins = fft.rfft(signal - line, axis=-1)[..., : samples // 2 + 1]
    ends = np.linspace(0.0, 1.0, samples)
    level = line[..., :1] + (line[..., -1:] - line[..., :1]) * ends
    return np.asarray(fft.irfft(bins, samples, axis=-1) * (samples / signal.shape[-1]) + level)
