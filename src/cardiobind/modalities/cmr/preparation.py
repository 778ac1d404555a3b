"""The preparation of a cine: by default end systole, mid-beat and end diastole of a mid slice, cropped to the heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.modalities.cmr.cine_phases import CinePhases, cycle_fraction, find_phases
from cardiobind.modalities.cmr.heart_crop import crop_square, scale_to_bytes
from cardiobind.modalities.cmr.heart_location import HeartLocation, locate_heart
from cardiobind.modalities.cmr.layouts import (
    FRAME_NAMES,
    LAYOUTS,
    SLICES,
    CmrPreparation,
    absent_planes,
    spread_slices,
    stored_planes,
)
from cardiobind.modalities.cmr.long_axis import long_axis_planes
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
_DOUBTFUL_CONFIDENCE = 0.25


@dataclass(frozen=True)
class PreparedCine:
    """A cine as every stage uses it.

    Attributes:
        frames: (planes, size, size) uint8, named by `cmr_spec`; by default end systole, a frame between and end
            diastole of one slice. A plane is 0 everywhere if and only if the subject lacks it.
        slice_index: the mid slice.
        es_phase, mid_phase, ed_phase: which phases.
        centre_mm: (row, column) of the crop's centre in the mid slice, from the centre of the first pixel.
        confidence: 0-1, how much the phases and the place can be trusted; below 0.3 look at the picture.
        quality: what `cmr_quality` says of the record, and what the layout lacks: ``repeated_slices`` (fewer than
            three), ``repeated_phases`` (fewer than moments), ``no_lax_2ch`` (no such view in the files),
            ``lax_2ch_unusable`` (there, and not to be used), and so for each view.
        slices: (places,) slice of each place of the short axis.
        phases: (moments,) phase of each moment.
        base_is: ``first`` or ``last`` slice of the ventricle, as the files tell or, ending in ``_by_size``, the pools.
        long_axis_faults: why a view that is there is not used, by view.
    """

    frames: NDArray[np.uint8]
    slice_index: int
    es_phase: int
    mid_phase: int
    ed_phase: int
    centre_mm: tuple[float, float]
    confidence: float
    quality: tuple[str, ...] = ()
    slices: tuple[int, ...] = ()
    phases: tuple[int, ...] = ()
    base_is: str = ""
    long_axis_faults: Mapping[str, str] = field(default_factory=dict)


def cmr_spec(settings: CmrPreparation) -> InputSpec:
    """Return the shape and names of a prepared cine as an encoder is fed it."""
    names = settings.planes.names
    return InputSpec("cmr", (len(names), settings.size_px, settings.size_px), names=names)


def prepare_cmr(record: CineRecord, settings: CmrPreparation) -> PreparedCine:
    """Return the planes of a layout around the heart, found without any segmentation model.

    Args:
        record: one or more short-axis slices of at least 8 phases, with the long-axis views that were read.
        settings: crop, size and layout.

    Raises:
        RecordError: the short axis has a defect of `FATAL_CMR`, which is the reason.

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
    slices, base_is = _slices(record, found, settings)
    phases = LAYOUTS[settings.layout].phases(found, cycle_fraction(record.trigger_times_ms), settings.video_phases)
    short = _short_axis(record, heart, slices, phases, settings)
    views, faults = _long_axis(record, heart, found, phases, settings)
    return PreparedCine(
        np.concatenate([short, *views.values()]) if views else short,
        found.slice_index, found.es_phase, found.mid_phase, found.ed_phase, centre,
        _confidence(heart, found, quality), (*quality, *_lacking(slices, phases, views, faults)),
        slices, phases, base_is, faults,
    )  # fmt: skip


def _slices(record: CineRecord, found: CinePhases, settings: CmrPreparation) -> tuple[tuple[int, ...], str]:
    """Return the slice of each place and where the base is: of one place the mid slice, whichever the base is."""
    last = not record.base_to_apex if record.base_to_apex is not None else found.base_is_last
    base_is = ("last" if last else "first") + ("_by_size" if record.base_to_apex is None else "")
    ends = (found.last_slice, found.first_slice) if last else (found.first_slice, found.last_slice)
    three = dict(zip(SLICES, spread_slices(*ends, found.slice_index), strict=True))
    return tuple(three[place] for place in LAYOUTS[settings.layout].places), base_is


def _short_axis(
    record: CineRecord, heart: HeartLocation, slices: Sequence[int], phases: Sequence[int], settings: CmrPreparation
) -> NDArray[np.uint8]:
    """Return (places * moments, size, size), each slice cut around its own centre, all scaled together."""
    crops = [
        crop_square(
            record.frames[k, list(phases)], record.pixel_spacing_mm,
            (float(heart.centres_mm[k, 0]), float(heart.centres_mm[k, 1])), settings.crop_mm, settings.size_px,
        )
        for k in slices
    ]  # fmt: skip
    return stored_planes(scale_to_bytes(np.concatenate(crops)))


def _long_axis(
    record: CineRecord, heart: HeartLocation, found: CinePhases, phases: Sequence[int], settings: CmrPreparation
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, str]]:
    """Return the planes of each view that the layout asks for, 0 where absent, and why one there is not used."""
    views = {view: absent_planes(len(phases), settings.size_px) for view in settings.long_axis}
    faults = {view: code for view, code in record.long_axis_faults.items() if view in views}
    for view in views:
        if view in record.long_axis:
            try:
                views[view] = long_axis_planes(record.long_axis[view], view, record, heart, found, phases, settings)
            except RecordError as error:
                faults[view] = error.reason
    return views, faults


def _lacking(
    slices: Sequence[int], phases: Sequence[int], views: Mapping[str, NDArray[np.uint8]], faults: Mapping[str, str]
) -> tuple[str, ...]:
    repeated = {"repeated_slices": slices, "repeated_phases": phases}
    twice = [code for code, chosen in repeated.items() if len(set(chosen)) < len(chosen)]
    absent = [view for view, planes in views.items() if not planes.any()]
    return (*twice, *(f"{view}_unusable" if view in faults else f"no_{view}" for view in absent))


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
