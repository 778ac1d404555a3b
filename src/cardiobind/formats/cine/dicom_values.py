"""Single values of a DICOM header as they stand in the file, tolerant of what devices write."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from cardiobind.formats.cine.dicom_files import TAG


def raw_bytes(dataset: FileDataset, keyword: str) -> bytes:
    """Return an element as it stands in the file: decoding each by pydicom would take most of the reading time."""
    if TAG[keyword] not in dataset:
        return b""
    value: Any = dataset.get_item(TAG[keyword]).value
    return value if isinstance(value, bytes) else str(value if value is not None else "").encode("latin-1", "replace")


def text(dataset: FileDataset, keyword: str) -> str:
    """Return an element's text without padding."""
    return raw_bytes(dataset, keyword).decode("latin-1").strip(" \0")


def word(dataset: FileDataset, keyword: str) -> int:
    """Return an element of 16 bits, 0 where it is absent."""
    raw = raw_bytes(dataset, keyword)
    return int.from_bytes(raw[:2], "little" if dataset.original_encoding[1] else "big")


def number(dataset: FileDataset, keyword: str) -> float | None:
    """Return a decimal string as a number; None where absent or not finite."""
    written = text(dataset, keyword)
    value = float(written) if written else None
    return value if value is not None and math.isfinite(value) else None


def integer(dataset: FileDataset, keyword: str) -> int | None:
    """Return an integer string as a number; None where absent or not finite."""
    value = number(dataset, keyword)
    return None if value is None else int(value)


def vector(dataset: FileDataset, keyword: str, length: int) -> NDArray[np.float64] | None:
    """Return (length,) decimal strings as numbers; None where absent, of another length or not finite."""
    parts = text(dataset, keyword).split("\\")
    if len(parts) != length:
        return None
    values = np.array([float(part) for part in parts])
    return values if np.isfinite(values).all() else None


def natural(uid: str) -> tuple[int, ...]:
    """Return the components of a UID as numbers, so that UIDs sort by age."""
    return tuple(int(part) for part in re.findall(r"\d{1,64}", uid))
