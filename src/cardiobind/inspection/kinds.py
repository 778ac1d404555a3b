"""What one file is, told by its name and first bytes."""

from __future__ import annotations

from pathlib import Path

from cardiobind.formats import CINE_FORMATS, ECG_FORMATS
from cardiobind.formats.ecg.array_layout import has_layout

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".pq", ".xlsx")


def kind_of(place: str) -> str | None:
    """Return ``"table"``, ``"ecg: FORMAT"``, ``"cine: FORMAT"``, or None where no reader knows the file.

    A CSV is an ECG only where a layout says so.
    """
    if Path(place).suffix.lower() in TABLE_SUFFIXES and not has_layout(place):
        return "table" if Path(place).is_file() else None
    ecg = next((name for name in ECG_FORMATS if ECG_FORMATS.get(name).recognises(place)), None)
    if ecg is not None:
        return f"ecg: {ecg}"
    cine = next((name for name in CINE_FORMATS if CINE_FORMATS.get(name).recognises(place)), None)
    return None if cine is None else f"cine: {cine}"
