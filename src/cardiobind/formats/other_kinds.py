"""What a file is that was given in the place of another kind: a cine for an ECG, a table for a cine."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, masked
from cardiobind.formats.cine.nifti_layouts import stem_of
from cardiobind.formats.location import SEPARATOR, files_below, open_archive, read_bytes
from cardiobind.formats.magic import told_by_first_bytes
from cardiobind.formats.tables.table_file import table_columns
from cardiobind.modalities.features import FEATURE_BY_NAME

ECG, CINE, TABLE = "ecg", "cmr", "table"
KINDS = {ECG: "an ECG", CINE: "a cine", TABLE: "a table of medical facts"}
GIVEN_AS = {
    ECG: "give it as ecg (--ecg)", CINE: "give it as cmr (--cmr)",
    TABLE: "give it as the table (--table), or its values as facts over HTTP",
}  # fmt: skip
MOST_LOOKED_AT = 25
_ARRAYS = "array"
_TABLES = {".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".xlsx", ".xlsm"}
_KEYS = {"subject", "eid", "f.eid"}
_STORAGE, _WAVEFORM = b"1.2.840.10008.5.1.4.1.1.", b"1.2.840.10008.5.1.4.1.1.9."
"""How the classes of DICOM objects begin: of all that is stored, and of waveforms."""

_MAY_BE_ANOTHER = {
    reasons.NOT_RECOGNISED, reasons.NO_WAVEFORM, reasons.NO_FRAMES, reasons.BAD_HEADER, reasons.BAD_TABLE,
    reasons.BAD_DICOM, reasons.BAD_ZIP, reasons.BAD_NUMBER, reasons.BAD_NIFTI,
}  # fmt: skip


def in_its_place(error: RecordError, location: str, wanted: str) -> RecordError:
    """Return the error of a file that could not be read, saying what the file is where it is of another kind.

    Args:
        error: of its reader.
        location: of the file.
        wanted: ``ecg``, ``cmr`` or ``table``.
    """
    if error.reason not in _MAY_BE_ANOTHER:
        return error
    found = kind_of(location)
    if found is not None and found != wanted:
        return _another(found, location, wanted)
    told = told_by_first_bytes(location) or _text(location)
    if error.hint is not None or not told:
        return error
    return RecordError(
        error.reason, error.what, where=error.where, expected=error.expected, got=error.got,
        hint=f"{told}; give the recording as the device wrote it" if wanted != TABLE else told,
    )  # fmt: skip


def _another(found: str, location: str, wanted: str) -> RecordError:
    return RecordError(
        reasons.OTHER_KIND, f"this is {KINDS[found]}, where {KINDS[wanted]} is read", where=masked(location),
        hint=GIVEN_AS[found],
    )  # fmt: skip


def refuse_signal(location: str) -> None:
    """Refuse an ECG or a cine that is given as a table; text is read as a table whatever it says.

    Raises:
        RecordError: it is one, with the reason `other_kind`.
    """
    found = _signal(location)
    if found is not None:
        raise _another(found, location, TABLE)


def kind_of(location: str) -> str | None:
    """Return ``ecg``, ``cmr`` or ``table`` by what a location holds, None where nothing is known of it."""
    return _signal(location) or (TABLE if _is_table(location) else None)


def _signal(location: str) -> str | None:
    if SEPARATOR not in location and (os.path.isdir(location) or zipfile.is_zipfile(location)):
        found = [_of_file(one) for one in islice(_inside(location), MOST_LOOKED_AT)]
        return CINE if CINE in found else ECG if ECG in found else None
    return _of_file(location)


def _inside(location: str) -> Iterator[str]:
    if os.path.isdir(location):
        yield from map(str, files_below(Path(location)))
        return
    try:
        names = [info.filename for info in open_archive(location).infolist() if not info.is_dir()]
    except RecordError:
        return
    yield from (f"{location}{SEPARATOR}{name}" for name in names)


def _of_file(location: str) -> str | None:
    ecgs = (name for name in ECG_FORMATS if not name.startswith(_ARRAYS))
    if any(ECG_FORMATS.get(name).recognises(location) for name in ecgs):
        return ECG
    try:
        head = read_bytes(location, limit=1024)
    except (RecordError, OSError, ValueError):
        return None
    nifti = stem_of(location) is not None and (head[:2] == b"\x1f\x8b" or head[:4] in _NIFTI)
    image = head[128:132] == b"DICM" and _STORAGE in head and _WAVEFORM not in head
    return CINE if nifti or image else None


_NIFTI = {size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big")}


def _is_table(location: str) -> bool:
    if SEPARATOR in location or PurePosixPath(location).suffix.lower() not in _TABLES:
        return False
    try:
        names = {name.strip() for name in table_columns(location)}
    except RecordError:
        return False
    return bool(names & _KEYS or names & set(FEATURE_BY_NAME))


def _text(location: str) -> str:
    try:
        head = read_bytes(location, limit=512)
        words = head[: len(head) - 3].decode("utf-8") if len(head) == 512 else head.decode("utf-8")
    except (RecordError, OSError, ValueError):
        return ""
    if words.lstrip().startswith("<"):
        return "it is HTML or XML of a kind that is not read"
    return "it is plain text" if "".join(words.split()).isprintable() else ""
