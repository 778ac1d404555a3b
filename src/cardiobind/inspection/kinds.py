"""What one file is, told by its name and first bytes."""

from __future__ import annotations

from pathlib import Path

from cardiobind.errors import RecordError
from cardiobind.formats import CINE_FORMATS, ECG_FORMATS
from cardiobind.formats.ecg.array_layout import has_layout
from cardiobind.formats.location import SEPARATOR, open_archive

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".xlsx")
MOST_MEMBERS_LOOKED_AT = 500
_OF_ECGS = {".hea", ".xml", ".scp", ".edf", ".dcm"}


def kind_of(place: str) -> str | None:
    """Return ``"table"``, ``"ecg: FORMAT"``, ``"cine: FORMAT"``, ``"archive of ecg: FORMAT"``, or None if unknown.

    A CSV is an ECG only where a layout says so.
    """
    if Path(place).suffix.lower() in TABLE_SUFFIXES and not has_layout(place):
        return "table" if Path(place).is_file() else None
    ecg = next((name for name in ECG_FORMATS if ECG_FORMATS.get(name).recognises(place)), None)
    if ecg is not None:
        return f"ecg: {ecg}"
    if Path(place).suffix.lower() == ".zip" and (member := first_ecg_member(place)) is not None:
        return f"archive of {kind_of(member)}"
    cine = next((name for name in CINE_FORMATS if CINE_FORMATS.get(name).recognises(place)), None)
    return None if cine is None else f"cine: {cine}"


def first_ecg_member(archive: str) -> str | None:
    """Return the location of the first member of a zip archive that is an ECG; None where there is none."""
    try:
        names = open_archive(archive).namelist()[:MOST_MEMBERS_LOOKED_AT]
    except RecordError:
        return None
    members = (f"{archive}{SEPARATOR}{name}" for name in names if Path(name).suffix.lower() in _OF_ECGS)
    return next((m for m in members if any(ECG_FORMATS.get(form).recognises(m) for form in ECG_FORMATS)), None)
