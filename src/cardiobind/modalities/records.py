"""What a reader hands over: one ECG or one cine MRI as arrays with units, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
VIEWS = ("sax", "lax_2ch", "lax_3ch", "lax_4ch")


@dataclass(frozen=True)
class EcgHeader:
    """What an ECG file says besides its samples; never an identifier.

    Attributes:
        acquired_at: ISO 8601 without a zone, as the device wrote it; None where unknown.
        device: maker and model.
        highpass_hz, lowpass_hz, notch_hz: corner frequencies of the device's filters; None where unknown or off.
        statements: the device's interpretation, one sentence each.
        measurements: the device's global measurements, name with unit -> value (``"QRSDuration_ms"``).
        derived_leads: leads that the reader calculated from others (Einthoven, Goldberger).
    """

    acquired_at: str | None = None
    device: str = ""
    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    notch_hz: float | None = None
    statements: tuple[str, ...] = ()
    measurements: Mapping[str, float] = field(default_factory=dict)
    derived_leads: tuple[str, ...] = ()


@dataclass(frozen=True)
class EcgRecord:
    """A 12-lead electrocardiogram.

    Attributes:
        amplitude_mv: (12, samples) float32 in the order of `LEADS`; an absent lead or sample is NaN.
        rate_hz: samples per second.
        header: what the file says besides.
    """

    amplitude_mv: NDArray[np.float32]
    rate_hz: float
    header: EcgHeader = field(default_factory=EcgHeader)

    @property
    def present(self) -> NDArray[np.bool_]:
        """(12,) whether a lead has any sample."""
        return np.asarray(np.isfinite(self.amplitude_mv).any(axis=1))


@dataclass(frozen=True)
class CineRecord:
    """A cine MRI of one view: a short-axis stack, or one long-axis plane.

    Attributes:
        frames: (slices, phases, rows, columns) float32, arbitrary intensity, slices in the order of their position.
        pixel_spacing_mm: distance between rows, distance between columns.
        slice_positions_mm: (slices,) position along the slice normal, ascending.
        trigger_times_ms: (slices, phases) time after the R wave, NaN where unknown.
        view: one of `VIEWS`.
        orientation: (6,) direction cosines of a row, then of a column, in DICOM's patient axes; NaN where unknown.
        origins_mm: (slices, 3) centre of each slice's first pixel in the same axes; NaN where unknown.
        slice_thickness_mm: NaN where unknown.
        base_to_apex: whether the slices run from base to apex; None where the files do not tell.
        meta: what the files say besides: ``series``, ``repaired_frames``, ``dropped_slices``; no identifier.
        long_axis: of a short-axis stack: the long-axis planes of the same study that were read with it, by view.
        long_axis_faults: the reason code of each view that is there and could not be read.
    """

    frames: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float]
    slice_positions_mm: NDArray[np.float64]
    trigger_times_ms: NDArray[np.float64]
    view: str = "sax"
    orientation: NDArray[np.float64] = field(default_factory=lambda: np.full(6, np.nan))
    origins_mm: NDArray[np.float64] = field(default_factory=lambda: np.full((0, 3), np.nan))
    slice_thickness_mm: float = float("nan")
    base_to_apex: bool | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    long_axis: Mapping[str, CineRecord] = field(default_factory=dict)
    long_axis_faults: Mapping[str, str] = field(default_factory=dict)
