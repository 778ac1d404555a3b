"""Cine MR from DICOM: UK Biobank's archives (fields 20208, 20209) and series of any scanner, classic or enhanced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import CINE_FORMATS, Format, masked
from cardiobind.formats.cine.cine_geometry import LARGEST_STACK_BYTES, order_slices
from cardiobind.formats.cine.dicom_files import is_dicom_file
from cardiobind.formats.cine.dicom_frame import Frame
from cardiobind.formats.cine.dicom_frames import read_frames
from cardiobind.formats.cine.dicom_phases import Slice, order_phases, phase_number
from cardiobind.formats.cine.dicom_views import numbered_slices, slices_of_view
from cardiobind.formats.cine.nifti_layouts import is_nifti_folder
from cardiobind.modalities.records import CineRecord


def recognises(location: str) -> bool:
    """Tell whether the location is a zip archive, a DICOM file, or a folder that is not one of NIfTI files."""
    try:
        if Path(location).is_dir():
            return not is_nifti_folder(location)
    except (OSError, ValueError):
        return False
    return location.lower().endswith(".zip") or is_dicom_file(location)


def read_dicom_cine(location: str, view: str = "sax") -> CineRecord:
    """Read the cine of one view.

    A slice that lacks a few phases gets copies of the phase before (cyclically), listed in
    ``meta["repaired_frames"]`` as (slice, phase); one that lacks over a fifth of them, or has too many, is left
    out and counted in ``meta["dropped_slices"]``.

    Args:
        location: folder, zip archive, or a DICOM file of many frames.
        view: one of `cardiobind.modalities.records.VIEWS`.

    Raises:
        RecordError: no cine of this view, or a file of it is damaged.
    """
    frames = read_frames(location)
    groups = slices_of_view(frames, view, location)
    phases = phase_number(groups)
    ordered = [one for group in groups if (one := order_phases(group, phases)) is not None]
    if phases < 2 or not ordered:
        raise RecordError(
            reasons.NO_FRAMES, "no slice has several phases", where=masked(location), got=f"{len(groups)} slices"
        )
    _refuse_large(ordered, phases, location)
    expected = max(len(groups), numbered_slices(frames)) if view == "sax" else len(groups)
    return _record(ordered, view, dropped=expected - len(ordered))


def _refuse_large(slices: Sequence[Slice], phases: int, location: str) -> None:
    rows, columns = slices[0].frames[0].shape
    size = len(slices) * phases * rows * columns * 4
    if size > LARGEST_STACK_BYTES:
        raise RecordError(
            reasons.TOO_LARGE, "the stack is too large to be a cine", where=masked(location),
            expected=f"at most {LARGEST_STACK_BYTES} bytes of float32", got=size,
        )  # fmt: skip


def _record(slices: Sequence[Slice], view: str, dropped: int) -> CineRecord:
    first_frames = [one.frames[0] for one in slices]
    first = first_frames[0]
    order = order_slices(
        np.array([_vector(frame.position_mm, 3) for frame in first_frames]),
        _vector(first.orientation, 6),
        first.step_mm or 1.0,
        numbered=numbered_slices(first_frames) > 0,
    )
    sorted_slices = [slices[index] for index in order.indices]
    repaired = [(index, phase) for index, one in enumerate(sorted_slices) for phase in one.repaired]
    times = np.array([[np.nan if f.trigger_ms is None else f.trigger_ms for f in s.frames] for s in sorted_slices])
    for index, phase in repaired:
        times[index, phase] = np.nan
    return CineRecord(
        _pixels(sorted_slices),
        first.spacing_mm,
        order.positions_mm,
        times,
        view=view,
        orientation=_vector(first.orientation, 6),
        origins_mm=np.array([_vector(one.frames[0].position_mm, 3) for one in sorted_slices]),
        slice_thickness_mm=first.thickness_mm or float("nan"),
        base_to_apex=order.base_to_apex,
        meta={
            "series": [one.frames[0].description for one in sorted_slices],
            "repaired_frames": repaired,
            "dropped_slices": dropped,
        },
    )


def _vector(values: NDArray[np.float64] | None, length: int) -> NDArray[np.float64]:
    return np.full(length, np.nan) if values is None else values


def _pixels(slices: Sequence[Slice]) -> NDArray[np.float32]:
    first = slices[0].frames
    out = np.empty((len(slices), len(first), *first[0].shape), np.float32)
    for index, one in enumerate(slices):
        for phase, frame in enumerate(one.frames):
            _same_size(frame, first[0])
            frame.pixels_into(out[index, phase])
    return out


def _same_size(frame: Frame, first: Frame) -> None:
    if frame.shape != first.shape:
        raise RecordError(
            reasons.BAD_GEOMETRY, "images of one view differ in size", where=frame.name, expected=first.shape,
            got=frame.shape,
        )  # fmt: skip


CINE_FORMATS.register("dicom")(Format("dicom", recognises, read_dicom_cine))
