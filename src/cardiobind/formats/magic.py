"""What a file that no reader knows is, by its first bytes."""

from __future__ import annotations

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.location import read_bytes

_BEGINNINGS = {
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "packed by gzip: unpack it first",
    b"PK\x03\x04": "a zip archive",
}


def told_by_first_bytes(location: str) -> str:
    """Return "the file is empty", "it is a JPEG picture" and the like, or "" where the bytes say nothing."""
    try:
        head = read_bytes(location, limit=8)
    except RecordError as error:
        return "the file is empty" if error.reason == reasons.EMPTY else ""
    return next((f"it is {kind}" for mark, kind in _BEGINNINGS.items() if head.startswith(mark)), "")
