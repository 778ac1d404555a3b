"""What is measured in ECGs as targets to learn from: angles by sine and cosine, numbers on one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.modalities.ecg.measurements import AXES, MEASUREMENTS

Array = NDArray[np.float64]

LARGEST_SD = 4.0
"""Beyond it a measurement is taken to be this far off: a failed delineation must not rule the squared error."""
_ANGLES = [MEASUREMENTS.index(name) for name in AXES]
_NUMBERS = [place for place in range(len(MEASUREMENTS)) if place not in _ANGLES]
TARGETS = (
    *(MEASUREMENTS[place] for place in _NUMBERS), *(name.replace("_deg", "_cos") for name in AXES),
    *(name.replace("_deg", "_sin") for name in AXES),
)  # fmt: skip
"""Names, in the order of `measurement_targets`."""


def measurement_targets(measured: NDArray[np.floating], training: NDArray[np.bool_]) -> Array:
    """Return measurements as targets (n, len(TARGETS)), standardised by the training ECGs, NaN where not measured.

    Args:
        measured: (n, len(MEASUREMENTS)) as of `cardiobind.modalities.ecg.measurements.measure_ecg`.
        training: (n,), which of them mean and standard deviation are taken from; one that does not vary there is NaN.

    Raises:
        InputError: nothing that is measured varies among the training ECGs.
    """
    radians = np.radians(np.asarray(measured[:, _ANGLES], dtype=np.float64))
    values = np.concatenate([measured[:, _NUMBERS], np.cos(radians), np.sin(radians)], axis=1)
    mean, sd = _mean_and_sd(values[training])
    if not np.isfinite(mean[sd > 0]).any():
        raise InputError("nothing that is measured varies among the training ECGs", where="ECG measurements")
    with np.errstate(invalid="ignore", divide="ignore"):
        scored = np.where(sd > 0, (values - mean) / sd, np.nan)
    return np.clip(scored, -LARGEST_SD, LARGEST_SD)


def _mean_and_sd(values: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column (K,) over what is known; a column without values has sd 0."""
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, values, 0.0).sum(axis=0) / count
    return mean, np.sqrt(np.where(there, (values - mean) ** 2, 0.0).sum(axis=0) / count)
