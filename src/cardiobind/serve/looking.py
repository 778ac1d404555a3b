"""What a page draws: the ECG as recorded, and the cine's chosen slice with its crop."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cardiobind.modalities.cmr.heart_crop import scale_to_bytes
from cardiobind.modalities.cmr.layouts import LONG_AXIS, CmrPreparation
from cardiobind.modalities.cmr.preparation import PreparedCine
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.modalities.records import LEADS, CineRecord, EcgRecord

MOST_SAMPLES = 20_000
DECIMALS_MV = 4


def ecg_view(record: EcgRecord, settings: EcgPreparation, quality: Sequence[str]) -> dict[str, Any]:
    """Return the stretch of an ECG that is scored, as it was recorded.

    Args:
        record: as read; an absent sample becomes null.
        settings: preparation, which takes its duration from the start of the record.
        quality: codes of what is wrong with it.

    Returns:
        JSON-compatible: ``rate_hz``, ``start_s``, ``leads``, ``present``, ``amplitude_mv`` (12 lists), ``quality``.
        Of a lead over 20,000 samples only every second (third, ...) is there, and ``rate_hz`` is that of what is there.
    """
    samples = min(record.amplitude_mv.shape[1], math.ceil(settings.duration_s * record.rate_hz))
    every = math.ceil(samples / MOST_SAMPLES)
    shown = record.amplitude_mv[:, :samples:every].astype(np.float64)
    return {
        "rate_hz": record.rate_hz / every,
        "start_s": 0.0,
        "leads": list(LEADS),
        "present": [lead for lead, there in zip(LEADS, record.present, strict=True) if there],
        "amplitude_mv": [_numbers(row) for row in shown],
        "quality": list(quality),
    }


def _numbers(row: NDArray[np.float64]) -> list[float | None]:
    rounded: list[float | None] = np.round(row, DECIMALS_MV).tolist()
    known = np.isfinite(row)
    return rounded if known.all() else [x if there else None for x, there in zip(rounded, known, strict=True)]


def cine_view(record: CineRecord, prepared: PreparedCine, settings: CmrPreparation) -> dict[str, Any]:
    """Return the chosen slice over the beat, and where the network looks.

    Args:
        record: as read.
        prepared: what `cardiobind.modalities.cmr.preparation.prepare_cmr` made of it.
        settings: of the preparation.

    Returns:
        JSON-compatible: ``frames`` (a PNG a phase, base64), ``width``, ``height`` (px), ``pixel_mm`` (row, column),
        ``crop`` (edges in px of the frame, whose first pixel spans 0 to 1), ``phase_ms`` or null, ``slice`` and
        ``slices`` (from 1), ``planes`` (name, frame and slice of each plane of the short axis), ``quality``.
    """
    frames = scale_to_bytes(record.frames[prepared.slice_index].astype(np.float64))
    high, wide = record.pixel_spacing_mm
    top, left = (
        centre / spacing + 0.5 - settings.crop_mm / (2 * spacing)
        for centre, spacing in zip(prepared.centre_mm, record.pixel_spacing_mm, strict=True)
    )
    return {
        "frames": [_png(frame) for frame in frames],
        "width": frames.shape[2],
        "height": frames.shape[1],
        "pixel_mm": [high, wide],
        "crop": {"top": top, "left": left, "height": settings.crop_mm / high, "width": settings.crop_mm / wide},
        "phase_ms": _phase_ms(record.trigger_times_ms[prepared.slice_index]),
        "slice": prepared.slice_index + 1,
        "slices": len(record.frames),
        "planes": _planes(prepared, settings),
        "quality": list(prepared.quality),
    }


def _planes(prepared: PreparedCine, settings: CmrPreparation) -> list[dict[str, Any]]:
    grid = settings.planes
    short = [place for place in grid.places if place not in LONG_AXIS]
    at = [(where, phase) for where in prepared.slices[: len(short)] for phase in prepared.phases]
    return [
        {"name": name, "frame": phase, "slice": where + 1} for name, (where, phase) in zip(grid.names, at, strict=False)
    ]


def _phase_ms(times_ms: NDArray[np.float64]) -> float | None:
    steps = np.diff(times_ms)
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(np.median(steps)), 2) if steps.size else None


def _png(pixels: NDArray[np.uint8]) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode("ascii")


def as_json(view: dict[str, Any] | None) -> bytes:
    """Return a view as JSON."""
    return json.dumps(view, separators=(",", ":"), allow_nan=False).encode("ascii")
