"""What is measured in ECGs as targets to learn from: angles by sine and cosine, numbers on one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg.measurements import AXES, MEASUREMENTS
from cardiobind.modalities.standard_scores import standard_scores

Array = NDArray[np.float64]

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
    return standard_scores(values, training, "ECGs")
