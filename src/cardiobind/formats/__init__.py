"""From a file to arrays and header: one module a format, each registered, each raising RecordError and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cardiobind.formats.cine
import cardiobind.formats.ecg  # noqa: F401 - registers the formats
from cardiobind.errors import InputError, RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import CINE_FORMATS, ECG_FORMATS, Format, masked, read_with
from cardiobind.formats.cine.nifti_layouts import view_of_name
from cardiobind.formats.other_kinds import CINE, ECG, in_its_place
from cardiobind.modalities.records import VIEWS, CineRecord, EcgRecord

__all__ = ["CINE_FORMATS", "ECG_FORMATS", "Format", "masked", "read_cine", "read_ecg", "read_long_axis"]


def read_ecg(location: str | Path) -> EcgRecord:
    """Read an ECG of any registered format, told by name and first bytes.

    Args:
        location: path, or ``archive.zip::member``; a WFDB record is named with or without ``.hea``.

    Returns:
        Twelve leads in canonical order, in mV.

    Raises:
        RecordError: the format is unknown, the bytes are wrong, or the file is a cine or a table.
    """
    try:
        return read_with(ECG_FORMATS, str(location))
    except RecordError as error:
        raise in_its_place(error, str(location), ECG) from None


def read_cine(location: str | Path, view: str = "sax") -> CineRecord:
    """Read the cine of one view, of any registered format.

    Args:
        location: a folder or a zip archive of DICOM files, a DICOM file of many frames, a NIfTI file, or the folder of
            one subject's NIfTI files.
        view: one of `cardiobind.modalities.records.VIEWS`.

    Returns:
        Slices by phases, with spacing, positions and trigger times.

    Raises:
        InputError: there is no such view.
        RecordError: the format is unknown, the bytes are wrong or hold no cine of this view.
    """
    if view not in VIEWS:
        raise InputError("there is no such view", where="view", expected=" | ".join(VIEWS), got=view)
    try:
        return read_with(CINE_FORMATS, str(location), view=view)
    except RecordError as error:
        raise in_its_place(error, str(location), CINE) from None


def read_long_axis(location: str | Path, views: Sequence[str]) -> tuple[dict[str, CineRecord], dict[str, str]]:
    """Read those long-axis views that are there.

    Args:
        location: as for `read_cine`; a single file whose name does not state its view holds none.
        views: which to look for.

    Returns:
        Cines by view, and the reason code of each view that is there and cannot be read; of all where nothing is there.
    """
    found: dict[str, CineRecord] = {}
    faults: dict[str, str] = {}
    place = str(location)
    if "::" not in place and not Path(place).exists():
        return {}, dict.fromkeys(views, reasons.MISSING_FILE)
    several = place.lower().endswith(".zip") or Path(place).is_dir() or view_of_name(place) is not None
    for view in views if several else ():
        try:
            found[view] = read_cine(location, view)
        except RecordError as error:
            if error.reason != reasons.NO_FRAMES:
                faults[view] = error.reason
    return found, faults
