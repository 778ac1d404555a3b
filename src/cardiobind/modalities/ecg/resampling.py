"""A signal at another number of samples per second."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from cardiobind.errors import InputError

_MOST_STEPS_OF_A_RATIO = 1000


def rate_ratio(rate_hz: float, wanted_hz: float) -> Fraction:
    """Return wanted / rate as a ratio of whole numbers, the lower at most 1000; 0 where it is smaller than that."""
    return Fraction(wanted_hz / rate_hz).limit_denominator(_MOST_STEPS_OF_A_RATIO)


def resampled_length(samples: int, rate_hz: float, wanted_hz: float) -> int:
    """Return the number of samples that `resample` makes of `samples`."""
    return math.ceil(samples * rate_ratio(rate_hz, wanted_hz))


def resample(signal: NDArray[np.float64], rate_hz: float, wanted_hz: float) -> NDArray[np.float64]:
    """Return a signal at another rate, low-pass filtered where the rate falls; linear, constants kept to 0.1 %.

    Args:
        signal: (..., samples), finite.
        rate_hz: its samples per second.
        wanted_hz: those of the result.

    Returns:
        (..., ceil(samples x wanted / rate)) float64.

    Raises:
        InputError: a rate is not positive, or the two differ by more than a factor of 1000.
    """
    if not (rate_hz > 0 and wanted_hz > 0 and rate_ratio(rate_hz, wanted_hz) > 0):
        raise InputError("the signal cannot be resampled", expected="positive rates", got=(rate_hz, wanted_hz))
    ratio = rate_ratio(rate_hz, wanted_hz)
    if ratio == 1:
        return signal.copy()
    resampled: NDArray[np.float64] = resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return resampled
