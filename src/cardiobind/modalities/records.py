"""What a reader hands over: one ECG or one cine MRI as arrays with units, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class EcgRecord:
    """A 12-lead electrocardiogram.

    Attributes:
        amplitude_mv: (12, samples) float32 in the order of `LEADS`; an absent lead or sample is NaN.
        rate_hz: samples per second.
        meta: what the file says besides: ``acquired_at``, ``filters``, ``statements``, ``device``; no identifier.
    """

    amplitude_mv: NDArray[np.float32]
    rate_hz: float
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CineRecord:
    """A short-axis cine stack.

    Attributes:
        frames: (slices, phases, rows, columns) float32, arbitrary intensity, slices in the order of their position.
        pixel_spacing_mm: distance between rows, distance between columns.
        slice_positions_mm: (slices,) position along the slice normal, ascending.
        trigger_times_ms: (slices, phases) time after the R wave, NaN where unknown.
        meta: what the files say besides: ``series``, ``repaired_frames``; no identifier.
    """

    frames: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float]
    slice_positions_mm: NDArray[np.float64]
    trigger_times_ms: NDArray[np.float64]
    meta: Mapping[str, Any] = field(default_factory=dict)
