"""Examples of what was left out, for the report: words, type of file and, where it could be read, a small picture."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.records import CineRecord, EcgRecord

PER_REASON = 3
LONGEST_DETAIL = 300
ECG_COLUMNS = 500
CINE_PIXELS = 96
MISSING_UV = -32768


def thumbnail(record: EcgRecord | CineRecord) -> NDArray[Any] | None:
    """Return a small picture of a record, or None of one that is not even an array of the right kind.

    Returns:
        ECG: (12, at most 500) int16 in microvolts, the furthest from zero of each stretch, -32768 where missing.
        Cine: (at most 96, at most 96) uint8, first phase of the middle slice.
    """
    try:
        return _ecg(record.amplitude_mv) if isinstance(record, EcgRecord) else _cine(record.frames)
    except (ValueError, IndexError, TypeError, AttributeError, ArithmeticError, MemoryError):
        return None


def describe(location: str, modality: str, reason: str, detail: str, picture: NDArray[Any] | None) -> dict[str, Any]:
    """Return a JSON-compatible example that names nobody.

    Args:
        location: of the record; only the ending of its name is kept.
        modality: of the record.
        reason: code of the quarantine table.
        detail: the reason in words.
        picture: see `thumbnail`.
    """
    suffix = PurePath(location.partition("::")[2] or location).suffix.lower()
    shown = None if picture is None else _packed(picture)
    kind = suffix if re.fullmatch(r"\.[a-z][a-z0-9]{0,7}", suffix) else ""
    words = re.sub(r"\d{6,}", "*", detail[:LONGEST_DETAIL])
    return {"modality": modality, "reason": reason, "detail": words, "file_type": kind, "thumbnail": shown}


def unpack(packed: Mapping[str, Any]) -> NDArray[Any]:
    """Return the picture of an example."""
    data = np.frombuffer(base64.b64decode(packed["data"]), dtype=np.dtype(packed["dtype"]))
    return data.reshape(packed["shape"])


def first_of_each(examples: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first three examples of each modality and reason, in their order."""
    seen: dict[tuple[str, str], int] = {}
    kept = []
    for example in examples:
        key = (example["modality"], example["reason"])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= PER_REASON:
            kept.append(example)
    return kept


def _ecg(amplitude_mv: NDArray[Any]) -> NDArray[np.int16] | None:
    leads, samples = amplitude_mv.shape
    if leads != 12 or not samples:
        return None
    width = -(-samples // ECG_COLUMNS)
    uv = np.full((12, -(-samples // width) * width), np.nan)
    uv[:, :samples] = np.asarray(amplitude_mv, dtype=np.float64) * 1000
    stretches = np.where(np.isfinite(uv), uv, 0).reshape(12, -1, width)
    furthest = np.take_along_axis(stretches, np.abs(stretches).argmax(axis=2)[..., None], axis=2)[..., 0]
    missing = ~np.isfinite(uv).reshape(12, -1, width).any(axis=2)
    return np.where(missing, MISSING_UV, np.clip(np.round(furthest), -32767, 32767)).astype("<i2")


def _cine(frames: NDArray[Any]) -> NDArray[np.uint8] | None:
    image = np.asarray(frames[len(frames) // 2][0], dtype=np.float64)
    if image.ndim != 2 or not image.size:
        return None
    step = -(-max(image.shape) // CINE_PIXELS)
    small = np.where(np.isfinite(image), image, 0)[::step, ::step]
    low, high = np.percentile(small, (1, 99))
    scaled: NDArray[np.uint8] = np.round(255 * np.clip((small - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)
    return scaled


def _packed(picture: NDArray[Any]) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(picture).tobytes()).decode("ascii")
    return {"dtype": picture.dtype.str, "shape": list(picture.shape), "data": data}
