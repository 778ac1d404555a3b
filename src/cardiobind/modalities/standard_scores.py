"""Numbers on one scale: standard scores by the training subjects, held within bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError

Array = NDArray[np.float64]

LARGEST_SD = 4.0
"""Beyond it a measurement is taken to be this far off: a failed one must not rule the squared error."""


def standard_scores(values: NDArray[np.floating], training: NDArray[np.bool_], what: str) -> Array:
    """Return columns (n, K) in standard deviations from the mean of the training rows, NaN where not measured.

    Args:
        values: (n, K), NaN where not measured.
        training: (n,), which rows mean and standard deviation are taken from; a column that does not vary there is NaN.
        what: is measured, for the error.

    Raises:
        InputError: nothing varies among the training rows.
    """
    numbers: Array = np.asarray(values, dtype=np.float64)
    mean, sd = _mean_and_sd(numbers[training])
    if not np.isfinite(mean[sd > 0]).any():
        raise InputError(f"nothing that is measured varies among the training {what}", where="measurements")
    with np.errstate(invalid="ignore", divide="ignore"):
        scored = np.where(sd > 0, (numbers - mean) / sd, np.nan)
    return np.clip(scored, -LARGEST_SD, LARGEST_SD)


def _mean_and_sd(values: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column (K,) over what is known; a column without values has sd 0."""
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / count
    return mean, np.sqrt(np.where(there, (values - mean) ** 2, 0.0).sum(axis=0) / count)
