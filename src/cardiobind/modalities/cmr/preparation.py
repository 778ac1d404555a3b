"""The preparation of a short-axis cine: end systole, mid-beat and end diastole of a mid slice, cropped to the heart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.modalities.cmr.cine_phases import CinePhases, find_phases
from cardiobind.modalities.cmr.heart_crop import crop_square, scale_to_bytes
from cardiobind.modalities.cmr.heart_location import HeartLocation, locate_heart
from cardiobind.modalities.cmr.quality import (
    DOUBTFUL_CMR,
    FATAL_CMR,
    FEWEST_PHASES,
    MEANINGS,
    cmr_quality,
    fatal_codes,
    quality_of_located,
)
from cardiobind.modalities.records import CineRecord
from cardiobind.modalities.spec import InputSpec

__all__ = [
    "DOUBTFUL_CMR",
    "FATAL_CMR",
    "FRAME_NAMES",
    "CmrPreparation",
    "PreparedCine",
    "cmr_quality",
    "cmr_spec",
    "prepare_cmr",
]
FRAME_NAMES = ("end_systole", "mid_beat", "end_diastole")
_DOUBTFUL_CONFIDENCE = 0.25


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
        confidence: 0-1, how much the phases and the place can be trusted; below 0.3 look at the picture.
        quality: what `cmr_quality` says of the record.
    """

    frames: NDArray[np.uint8]
    slice_index: int
    es_phase: int
    mid_phase: int
    ed_phase: int
    centre_mm: tuple[float, float]
    confidence: float
    quality: tuple[str, ...] = ()


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
    for code in fatal_codes(record):
        got = f"view {record.view}, shape {np.shape(record.frames)}, spacing {record.pixel_spacing_mm} mm"
        expected = f"short-axis slices of at least {FEWEST_PHASES} phases"
        raise RecordError(code, MEANINGS[code], expected=expected, got=got)
    heart = locate_heart(record.frames, record.pixel_spacing_mm)
    found = find_phases(record.frames, record.pixel_spacing_mm, heart.centres_mm, record.trigger_times_ms)
    quality = quality_of_located(record, heart, found)
    centre = (float(heart.centres_mm[found.slice_index, 0]), float(heart.centres_mm[found.slice_index, 1]))
    chosen = record.frames[found.slice_index, [found.es_phase, found.mid_phase, found.ed_phase]]
    crop = crop_square(chosen, record.pixel_spacing_mm, centre, settings.crop_mm, settings.size_px)
    return PreparedCine(
        scale_to_bytes(crop), found.slice_index, found.es_phase, found.mid_phase, found.ed_phase, centre,
        _confidence(heart, found, quality), quality,
    )  # fmt: skip


def _confidence(heart: HeartLocation, found: CinePhases, quality: tuple[str, ...]) -> float:
    """Return the geometric mean of five signs, each 0-1, that what beats is one contracting ventricle.

    Codes of `DOUBTFUL_CMR` allow 0.25 at most: preparations of such cines fail unnoticed by the signs.
    """
    signs = (
        _ramp(heart.sharpness, 0.0, 0.4),
        _ramp(heart.motion_excess, 0.05, 0.4),
        _ramp(found.contraction, 0.05, 0.25),
        _ramp(found.coherence, 0.3, 0.8),
        _ramp(found.smoothness, 0.7, 0.95),
    )
    most = _DOUBTFUL_CONFIDENCE if DOUBTFUL_CMR & set(quality) else 1.0
    return min(math.prod(signs) ** (1 / len(signs)), most)


def _ramp(value: float, none: float, full: float) -> float:
    return min(max((value - none) / (full - none), 0.0), 1.0)
