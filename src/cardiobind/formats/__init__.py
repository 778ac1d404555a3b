"""From a file to arrays and header: one module a format, each registered, each raising RecordError and nothing else."""

from __future__ import annotations

from pathlib import Path

from cardiobind.formats import cardiosoft_xml, dicom_cine, wfdb_ecg
from cardiobind.formats.base import CINE_FORMATS, ECG_FORMATS, Format, masked, read_with
from cardiobind.modalities.records import CineRecord, EcgRecord

__all__ = [
    "CINE_FORMATS", "ECG_FORMATS", "Format", "cardiosoft_xml", "dicom_cine", "masked", "read_cine", "read_ecg",
    "wfdb_ecg",
]  # fmt: skip


def read_ecg(location: str | Path) -> EcgRecord:
    """Read an ECG of any registered format, told by name and first bytes.

    Args:
        location: path, or ``archive.zip::member``; a WFDB record is named with or without ``.hea``.

    Returns:
        Twelve leads in canonical order, in mV.

    Raises:
        RecordError: the format is unknown or the bytes are wrong.
    """
    return read_with(ECG_FORMATS, str(location))


def read_cine(location: str | Path) -> CineRecord:
    """Read a short-axis cine of any registered format.

    Args:
        location: a folder or a zip archive of DICOM files.

    Returns:
        Slices by phases, with spacing, positions and trigger times.

    Raises:
        RecordError: the format is unknown or the bytes are wrong.
    """
    return read_with(CINE_FORMATS, str(location))
