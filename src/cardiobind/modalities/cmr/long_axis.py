"""Planes of a long-axis view: the phases and the place of the heart as the short axis of the same study gives them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.modalities.cmr.cine_phases import CinePhases, cycle_fraction
from cardiobind.modalities.cmr.heart_crop import crop_square, scale_to_bytes
from cardiobind.modalities.cmr.heart_location import HeartLocation, moving_centre
from cardiobind.modalities.cmr.layouts import CmrPreparation, cyclic_distance, phase_fractions, stored_planes
from cardiobind.modalities.cmr.quality import MEANINGS, fatal_codes
from cardiobind.modalities.records import CineRecord

Array = NDArray[np.float64]

NOT_A_PLANE = "not_a_plane"
NOT_ALONG_THE_AXIS = "not_along_the_axis"
_FARTHEST_MM = 25.0
_STEEPEST_DEG = 35.0


def long_axis_planes(
    plane: CineRecord,
    view: str,
    sax: CineRecord,
    heart: HeartLocation,
    found: CinePhases,
    phases: Sequence[int],
    settings: CmrPreparation,
) -> NDArray[np.uint8]:
    """Return a long-axis view at the moments of the short axis, around the ventricle: (moments, size, size).

    Args:
        plane: the cine of the view.
        view: which one it has to be.
        sax: the short axis of the same study.
        heart: where its ventricle is.
        found: its slices and phases.
        phases: of the short axis, one a moment.
        settings: crop and size.

    Raises:
        RecordError: the cine has a defect of `FATAL_CMR`, is no single plane, or does not run along the axis.
    """
    for code in fatal_codes(plane, view):
        raise RecordError(code, MEANINGS[code])
    if len(plane.frames) != 1:
        raise RecordError(NOT_A_PLANE, "a long-axis view of several slices", expected=1, got=len(plane.frames))
    if _steepness_deg(plane, sax) > _STEEPEST_DEG:
        raise RecordError(NOT_ALONG_THE_AXIS, "the plane does not run along the ventricle's axis")
    centre = projected_centre_mm(plane, sax, heart, found) or moving_centre(plane.frames, plane.pixel_spacing_mm)
    chosen = plane.frames[0, list(same_moments(phases, sax.trigger_times_ms, plane.trigger_times_ms))]
    cut = crop_square(chosen, plane.pixel_spacing_mm, centre, settings.crop_mm, settings.size_px)
    return stored_planes(scale_to_bytes(cut))


def same_moments(phases: Sequence[int], times_ms: Array, other_times_ms: Array) -> tuple[int, ...]:
    """Return the phases of another cine that are nearest, as fractions of the cycle, to phases of a first one.

    Args:
        phases: of the first cine.
        times_ms: (slices, phases) its trigger times.
        other_times_ms: those of the other cine. Where times are unknown, phases divide the cycle evenly from 0.
    """
    here, there = (phase_fractions(cycle_fraction(times), times.shape[1]) for times in (times_ms, other_times_ms))
    return tuple(int(cyclic_distance(here[phase], there).argmin()) for phase in phases)


def projected_centre_mm(
    plane: CineRecord, sax: CineRecord, heart: HeartLocation, found: CinePhases
) -> tuple[float, float] | None:
    """Return (row, column) in a plane of the middle of the ventricle that the short axis shows.

    None where the files do not tell the geometry, where that point lies over 25 mm from the plane (the patient has
    moved), or outside its image.
    """
    if len(sax.origins_mm) != len(sax.frames) or len(plane.origins_mm) != 1:
        return None
    run = slice(found.first_slice, found.last_slice + 1)
    rows, columns = heart.centres_mm[run, 0], heart.centres_mm[run, 1]
    along_row, along_column = sax.orientation[:3], sax.orientation[3:]
    points = sax.origins_mm[run] + columns[:, None] * along_row + rows[:, None] * along_column
    offset = points.mean(axis=0) - plane.origins_mm[0]
    right, down = float(offset @ plane.orientation[:3]), float(offset @ plane.orientation[3:])
    away = float(offset @ np.cross(plane.orientation[:3], plane.orientation[3:]))
    size = [n * mm for n, mm in zip(plane.frames.shape[2:], plane.pixel_spacing_mm, strict=True)]
    inside = 0 <= down < size[0] and 0 <= right < size[1]
    return (down, right) if inside and abs(away) <= _FARTHEST_MM else None


def _steepness_deg(plane: CineRecord, sax: CineRecord) -> float:
    """Return the angle between a plane and the axis of the short-axis stack; 0 where it is not known."""
    normal, axis = (np.cross(one.orientation[:3], one.orientation[3:]) for one in (plane, sax))
    if not np.isfinite([*normal, *axis]).all():
        return 0.0
    return math.degrees(math.asin(min(1.0, abs(float(normal @ axis)))))
