"""What a file or a folder holds, in words and drawn, before anything is prepared or trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cardiobind.errors import InputError, RecordError
from cardiobind.formats import CINE_FORMATS, ECG_FORMATS, masked, reasons
from cardiobind.formats.location import split_location
from cardiobind.formats.magic import told_by_first_bytes
from cardiobind.inspection.cine import inspect_cine
from cardiobind.inspection.ecg import inspect_ecg
from cardiobind.inspection.folder import inspect_folder
from cardiobind.inspection.kinds import TABLE_SUFFIXES, first_ecg_member, kind_of
from cardiobind.inspection.page import to_html, to_text
from cardiobind.inspection.sheet import Sheet
from cardiobind.inspection.table import inspect_table

__all__ = ["Sheet", "inspect", "to_html", "to_text"]


def inspect(location: str | Path, view: str | None = None) -> Sheet:
    """Describe and draw an ECG, a cine MRI, a table, or a folder of them.

    Args:
        location: path, or ``archive.zip::member``.
        view: of a cine, one of `cardiobind.modalities.records.VIEWS`; the first that is there if None.

    Returns:
        What was found. It holds no identifier and no file name.

    Raises:
        InputError: there is nothing at that place.
        RecordError: a file that no reader knows, or that is damaged.
    """
    place = str(location)
    path = Path(split_location(place)[0] or place)
    kind = kind_of(place)
    if kind is None and not path.exists():
        raise InputError("there is nothing at that place", where=masked(place), hint="correct the path")
    if kind is not None and kind.startswith("ecg"):
        return inspect_ecg(place)
    if kind is not None and kind.startswith("archive") and (member := first_ecg_member(place)) is not None:
        return replace(inspect_ecg(member), title="Archive of electrocardiograms: its first")
    if path.is_dir():
        return inspect_folder(path, view)
    if kind == "table":
        return inspect_table(path)
    if kind is not None:
        return inspect_cine(place, view)
    known = " | ".join([*ECG_FORMATS, *CINE_FORMATS, *TABLE_SUFFIXES])
    told = "; ".join(part for part in ("no reader knows the file", told_by_first_bytes(place)) if part)
    raise RecordError(reasons.NOT_RECOGNISED, told, where=masked(place), expected=known)
