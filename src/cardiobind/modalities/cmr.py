"""The preparation of a short-axis cine: end systole, mid-beat and end diastole of a mid slice, cropped to the heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.modalities.cine_phases import CinePhases, cycle_fraction, find_phases
from cardiobind.modalities.heart_crop import crop_square, scale_to_bytes
from cardiobind.modalities.heart_location import HeartLocation, locate_heart
from cardiobind.modalities.records import CineRecord
from cardiobind.modalities.spec import InputSpec

FRAME_NAMES = ("end_systole", "mid_beat", "end_diastole")
FATAL_CMR = frozenset(
    {
        "wrong_shape",
        "bad_spacing",
        "small_field_of_view",
        "too_few_phases",
        "non_finite",
        "implausible_intensity",
        "flat",
        "no_motion",
    }
)

_FEWEST_PHASES = 8
_FEWEST_PIXELS = 16
_FEW_SLICES = 4
_SMALLEST_FIELD_MM = 60.0
_LARGEST_INTENSITY = 1e9
_MEANINGS = {
    "wrong_shape": "the cine is not an array of slices by phases by rows by columns, or its images are tiny",
    "bad_spacing": "the pixel spacing of the cine is not a plausible length in mm",
    "small_field_of_view": "the images of the cine are too small to hold a heart",
    "too_few_phases": "the cine has too few phases to follow a heart beat",
    "non_finite": "the cine holds pixels that are not numbers",
    "implausible_intensity": "the cine holds pixels far brighter than any scanner writes",
    "flat": "the images of the cine are empty",
    "no_motion": "nothing moves in the cine",
}


@dataclass(frozen=True)
class CmrPreparation:
    """How a short-axis cine is prepared; the defaults are those of arXiv 2411.05900 (78 of 210 pixels of 1.82 mm).

    Attributes:
        size_px: rows and columns of a prepared image.
        crop_mm: side of the square around the heart.
    """

    size_px: int = 210
    crop_mm: float = 142.0


@dataclass(frozen=True)
class PreparedCine:
    """A cine as every stage uses it.

    Attributes:
        frames: (3, size, size) uint8: end systole, a frame between, end diastole of one slice.
        slice_index: which slice.
        es_phase, mid_phase, ed_phase: which phases.
        centre_mm: (row, column) of the crop's centre, from the centre of the first pixel.
        confidence: 0-1, how much the phases and the place can be trusted; below about 0.3 look at the picture.
    """

    frames: NDArray[np.uint8]
    slice_index: int
    es_phase: int
    mid_phase: int
    ed_phase: int
    centre_mm: tuple[float, float]
    confidence: float


def cmr_spec(settings: CmrPreparation) -> InputSpec:
    """Return the shape and names of a prepared cine as an encoder is fed it."""
    return InputSpec("cmr", (len(FRAME_NAMES), settings.size_px, settings.size_px), names=FRAME_NAMES)


def prepare_cmr(record: CineRecord, settings: CmrPreparation) -> PreparedCine:
    """Return three frames of a mid slice around the heart, found without any segmentation model.

    Args:
        record: one or more short-axis slices of at least 8 phases.
        settings: crop and size.

    Raises:
        RecordError: the record has a defect of `FATAL_CMR`, which is the reason.

    Source: arXiv 2411.05900 for what is kept; `locate_heart` and `find_phases` for how it is found.
    """
    for code in cmr_quality(record):
        if code in FATAL_CMR:
            got = f"shape {np.shape(record.frames)}, spacing {record.pixel_spacing_mm} mm"
            raise RecordError(code, _MEANINGS[code], expected=f"at least {_FEWEST_PHASES} phases", got=got)
    heart = locate_heart(record.frames, record.pixel_spacing_mm)
    found = find_phases(record.frames, record.pixel_spacing_mm, heart.centres_mm, record.trigger_times_ms)
    centre = (float(heart.centres_mm[found.slice_index, 0]), float(heart.centres_mm[found.slice_index, 1]))
    chosen = record.frames[found.slice_index, [found.es_phase, found.mid_phase, found.ed_phase]]
    crop = crop_square(chosen, record.pixel_spacing_mm, centre, settings.crop_mm, settings.size_px)
    return PreparedCine(
        scale_to_bytes(crop), found.slice_index, found.es_phase, found.mid_phase, found.ed_phase, centre,
        _confidence(heart, found),
    )  # fmt: skip


def _confidence(heart: HeartLocation, found: CinePhases) -> float:
    """Return the geometric mean of five signs, each 0-1, that what beats is one contracting ventricle."""
    signs = (
        _ramp(heart.sharpness, 0.0, 0.4),
        _ramp(heart.motion_excess, 0.05, 0.4),
        _ramp(found.contraction, 0.05, 0.25),
        _ramp(found.coherence, 0.3, 0.8),
        _ramp(found.smoothness, 0.7, 0.95),
    )
    return math.prod(signs) ** (1 / len(signs))


def _ramp(value: float, none: float, full: float) -> float:
    return min(max((value - none) / (full - none), 0.0), 1.0)


def cmr_quality(record: CineRecord) -> tuple[str, ...]:
    """Return the codes of what is wrong with a cine, worst first; those in `FATAL_CMR` make it unusable.

    Args:
        record: the cine as read.

    Returns:
        Some of wrong_shape, bad_spacing, small_field_of_view (under 60 mm), too_few_phases, non_finite,
        implausible_intensity (above 1e9), flat, no_motion, few_slices (under 4), no_trigger_times, repaired_frames.
    """
    frames = np.asarray(record.frames)
    if frames.ndim != 4 or min(frames.shape[0] - 1, *(n - _FEWEST_PIXELS for n in frames.shape[2:])) < 0:
        return ("wrong_shape",)
    if not all(math.isfinite(mm) and 0.1 <= mm <= 10 for mm in record.pixel_spacing_mm):
        return ("bad_spacing",)
    if min(n * mm for n, mm in zip(frames.shape[2:], record.pixel_spacing_mm, strict=True)) < _SMALLEST_FIELD_MM:
        return ("small_field_of_view",)
    if frames.shape[1] < _FEWEST_PHASES:
        return ("too_few_phases",)
    if not np.isfinite(frames).all():
        return ("non_finite",)
    if max(abs(float(frames.min())), abs(float(frames.max()))) > _LARGEST_INTENSITY:
        return ("implausible_intensity",)
    return _content_codes(record)


def _content_codes(record: CineRecord) -> tuple[str, ...]:
    frames = record.frames
    found = {
        "flat": bool(frames.min() == frames.max()),
        "no_motion": bool((frames == frames[:, :1]).all()),
        "few_slices": frames.shape[0] < _FEW_SLICES,
        "no_trigger_times": cycle_fraction(record.trigger_times_ms) is None,
        "repaired_frames": bool(record.meta.get("repaired_frames")),
    }
    return tuple(code for code, is_so in found.items() if is_so)
