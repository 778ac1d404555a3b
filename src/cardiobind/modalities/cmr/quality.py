"""What is wrong with a short-axis cine, as codes: of its form, of its files, and of what is seen in it."""

from __future__ import annotations

import math

import numpy as np

from cardiobind.modalities.cmr.cine_phases import CinePhases, cycle_fraction, find_phases
from cardiobind.modalities.cmr.heart_location import HeartLocation, locate_heart
from cardiobind.modalities.cmr.signs import CineSigns, cine_signs
from cardiobind.modalities.records import CineRecord

FEWEST_PHASES = 8
MEANINGS = {
    "wrong_view": "the cine is not a short-axis stack",
    "wrong_shape": "the cine is not an array of slices by phases by rows by columns, or its images are tiny",
    "bad_spacing": "the pixel spacing of the cine is not a plausible length in mm",
    "small_field_of_view": "the images of the cine are too small to hold a heart",
    "too_few_phases": "the cine has too few phases to follow a heart beat",
    "non_finite": "the cine holds pixels that are not numbers",
    "implausible_intensity": "the cine holds pixels far brighter than any scanner writes",
    "flat": "the images of the cine are empty",
    "no_motion": "nothing moves in the cine",
}
FATAL_CMR = frozenset(MEANINGS)
DOUBTFUL_CMR = frozenset({"wrong_orientation", "slices_misaligned", "noisy", "frames_out_of_order"})

_FEWEST_PIXELS = 16
_FEW_SLICES = 4
_SMALLEST_FIELD_MM = 60.0
_LARGEST_INTENSITY = 1e9
_WIDEST_GAP = 1.5
_LEAST_TILT_DEG = 15.0
_LONGEST_POOL = 1.4
_LARGEST_JUMP_MM = 10.0
_LARGEST_WRAP = 1.2
_LARGEST_DISORDER = 0.7
_LEAST_CONTRAST = 0.15
_LEAST_NOISE_RATIO = 4.0
_LEAST_MOTION = 0.05


def cmr_quality(record: CineRecord) -> tuple[str, ...]:
    """Return the codes of what is wrong with a cine; those in `FATAL_CMR` make it unusable and come alone or first.

    Args:
        record: the cine as read.

    Returns:
        Fatal: wrong_view, wrong_shape, bad_spacing, small_field_of_view (under 60 mm), too_few_phases (under 8),
        non_finite, implausible_intensity (above 1e9), flat, no_motion (all frames equal).
        Of the files: few_slices (under 4), no_trigger_times, repaired_frames, missing_slices (left out by the reader,
        or a gap of 1.5 times the usual distance).
        Seen: wrong_orientation (slices within 15 degrees of axial, coronal or sagittal, or a long blood pool),
        slices_misaligned (a heart over 10 mm beside its neighbours, in the middle half of the slices), noisy (blood
        less than 4 standard deviations of noise above muscle), low_contrast (under 0.15 of the images' range),
        frames_out_of_order, mistriggered (the last frame does not lead to the first), little_motion (what moves is not
        gathered in a heart).
    """
    faults = fatal_codes(record)
    if faults:
        return (*faults, *file_codes(record)) if faults[0] in ("flat", "no_motion") else faults
    heart = locate_heart(record.frames, record.pixel_spacing_mm)
    found = find_phases(record.frames, record.pixel_spacing_mm, heart.centres_mm, record.trigger_times_ms)
    return quality_of_located(record, heart, found)


def quality_of_located(record: CineRecord, heart: HeartLocation, found: CinePhases) -> tuple[str, ...]:
    """Return the codes of a cine without fatal ones whose heart and phases are already known."""
    return (*file_codes(record), *seen_codes(cine_signs(record, heart, found)))


def fatal_codes(record: CineRecord, view: str = "sax") -> tuple[str, ...]:
    """Return why a cine cannot be prepared as one of a view, or nothing."""
    frames = np.asarray(record.frames)
    if record.view != view:
        return ("wrong_view",)
    if frames.ndim != 4 or min(frames.shape[0] - 1, *(n - _FEWEST_PIXELS for n in frames.shape[2:])) < 0:
        return ("wrong_shape",)
    if not all(math.isfinite(mm) and 0.1 <= mm <= 10 for mm in record.pixel_spacing_mm):
        return ("bad_spacing",)
    if min(n * mm for n, mm in zip(frames.shape[2:], record.pixel_spacing_mm, strict=True)) < _SMALLEST_FIELD_MM:
        return ("small_field_of_view",)
    if frames.shape[1] < FEWEST_PHASES:
        return ("too_few_phases",)
    if not np.isfinite(frames).all():
        return ("non_finite",)
    if max(abs(float(frames.min())), abs(float(frames.max()))) > _LARGEST_INTENSITY:
        return ("implausible_intensity",)
    still = {"flat": frames.min() == frames.max(), "no_motion": (frames == frames[:, :1]).all()}
    return tuple(code for code, is_so in still.items() if is_so)


def file_codes(record: CineRecord) -> tuple[str, ...]:
    """Return what the files lack: slices, frames, times."""
    steps = np.abs(np.diff(record.slice_positions_mm))
    gap = len(steps) > 1 and bool(steps.max() > _WIDEST_GAP * np.median(steps))
    found = {
        "few_slices": record.frames.shape[0] < _FEW_SLICES,
        "no_trigger_times": cycle_fraction(record.trigger_times_ms) is None,
        "repaired_frames": bool(record.meta.get("repaired_frames")),
        "missing_slices": gap or bool(record.meta.get("dropped_slices")),
    }
    return tuple(code for code, is_so in found.items() if is_so)


def seen_codes(signs: CineSigns) -> tuple[str, ...]:
    """Return what the images show; a sign that is NaN says nothing, and noise hides the order of the frames."""
    noisy = signs.noise_ratio < _LEAST_NOISE_RATIO
    found = {
        "wrong_orientation": signs.tilt_deg < _LEAST_TILT_DEG or signs.elongation > _LONGEST_POOL,
        "slices_misaligned": signs.jump_mm > _LARGEST_JUMP_MM,
        "noisy": noisy,
        "low_contrast": signs.contrast < _LEAST_CONTRAST,
        "frames_out_of_order": not noisy and signs.disorder > _LARGEST_DISORDER,
        "mistriggered": not noisy and _LARGEST_DISORDER >= signs.disorder and signs.wrap > _LARGEST_WRAP,
        "little_motion": signs.motion_excess < _LEAST_MOTION,
    }
    return tuple(code for code, is_so in found.items() if is_so)
