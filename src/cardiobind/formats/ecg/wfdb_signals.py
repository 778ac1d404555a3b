"""The sample formats of WFDB signal files, decoded from bytes (https://physionet.org/physiotools/wag/signal-5.htm)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Counts = NDArray[np.int32]


def _integers(dtype: str, shift: int = 0) -> Callable[[bytes], _Counts]:
    def decode(data: bytes) -> _Counts:
        return np.frombuffer(data, dtype).astype(np.int32) - shift

    return decode


def _format_24(data: bytes) -> _Counts:
    low, middle, high = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32).T
    return _signed(low | middle << 8 | high << 16, 24)


def _format_212(data: bytes) -> _Counts:
    first, middle, last = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32).T
    pairs = np.stack([first | (middle & 0x0F) << 8, last | (middle & 0xF0) << 4], axis=1)
    return _signed(pairs.reshape(-1), 12)


def _format_310(data: bytes) -> _Counts:
    first, second = np.frombuffer(data, "<u2").reshape(-1, 2).astype(np.int32).T
    third = first >> 11 | (second >> 11) << 5
    return _signed(np.stack([first >> 1 & 0x3FF, second >> 1 & 0x3FF, third], axis=1).reshape(-1), 10)


def _format_311(data: bytes) -> _Counts:
    words = np.frombuffer(data, "<u4")
    fields = np.stack([words & 0x3FF, words >> 10 & 0x3FF, words >> 20 & 0x3FF], axis=1).reshape(-1)
    return _signed(fields.astype(np.int32), 10)


def _signed(values: _Counts, bits: int) -> _Counts:
    return np.where(values >= 1 << (bits - 1), values - (1 << bits), values)


# format -> samples of a group, bytes of a group, decoder of whole groups
_DECODERS: dict[str, tuple[int, int, Callable[[bytes], _Counts]]] = {
    "8": (1, 1, _integers("i1")),
    "16": (1, 2, _integers("<i2")),
    "24": (1, 3, _format_24),
    "32": (1, 4, _integers("<i4")),
    "61": (1, 2, _integers(">i2")),
    "80": (1, 1, _integers("u1", 1 << 7)),
    "160": (1, 2, _integers("<u2", 1 << 15)),
    "212": (2, 3, _format_212),
    "310": (3, 4, _format_310),
    "311": (3, 4, _format_311),
}
FORMATS = tuple(_DECODERS)


def bytes_needed(form: str, samples: int) -> int:
    """Return how many bytes that many samples of a format take."""
    group, size, _ = _DECODERS[form]
    whole, rest = divmod(samples, group)
    tail = {("212", 1): 2, ("310", 1): 2, ("310", 2): 4, ("311", 1): 2, ("311", 2): 3}.get((form, rest), 0)
    return whole * size + tail


def samples_held(form: str, size_bytes: int) -> int:
    """Return how many whole samples a file of that size holds at most."""
    group, size, _ = _DECODERS[form]
    whole, rest = divmod(size_bytes, size)
    return whole * group + sum(bytes_needed(form, n) <= rest for n in range(1, group))


def decode_counts(form: str, data: bytes, samples: int, columns: int, initial: NDArray[np.int64]) -> _Counts:
    """Return (samples, columns) counts of a signal file whose signals all have one format.

    Args:
        form: one of `FORMATS`.
        data: at least the bytes needed.
        samples: rows of the result.
        columns: signals in the file.
        initial: (columns,) initial values of the header, which format 8 counts from.
    """
    group, size, decode = _DECODERS[form]
    groups = -(-samples * columns // group)
    padded = data[: bytes_needed(form, samples * columns)].ljust(groups * size, b"\0")
    counts = decode(padded)[: samples * columns].reshape(samples, columns)
    return counts if form != "8" else (np.cumsum(counts, axis=0, dtype=np.int64) + initial).astype(np.int32)
