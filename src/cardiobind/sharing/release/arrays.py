"""Files of arrays, byte by byte: each array is of the network, and nothing is between or behind them."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cardiobind.sharing.release.documents import parse
from cardiobind.sharing.release.findings import Finding, Findings

Shape = tuple[int, ...]
Expected = Mapping[str, tuple[str, Shape]]
"""Type (as safetensors says it) and shape of each array by name."""

_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8}
_LONGEST_HEADER = 2**22


def check_weights(where: str, path: Path, expected: Expected) -> Findings:
    """Yield what a file of weights holds beside those of the network."""
    header = yield from read_header(where, path)
    if header is None:
        return
    if header.pop("__metadata__", {"format": "pt"}) != {"format": "pt"}:
        yield Finding(where, "metadata that are not declared")
    for name, entry in header.items():
        if name not in expected:
            yield Finding(where, "an array that the network of the contract does not have")
        elif (entry["dtype"], tuple(entry["shape"])) != expected[name]:
            yield Finding(f"{where}, {name}", "another shape or type than the network of the contract has")
    yield from (Finding(f"{where}, {name}", "not there") for name in expected if name not in header)
    yield from check_values(where, path, set(expected))


def read_header(where: str, path: Path) -> Any:
    """Yield what is wrong with the layout of a file and return its header, None where it cannot be relied on."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))[0]
        raw = stream.read(min(length, _LONGEST_HEADER))
    try:
        header = parse(raw)
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        spans = sorted((*_span(entry), _needed(entry)) for entry in entries.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        yield Finding(where, "not a file of arrays")
        return None
    if len(raw.rstrip(b" ")) + 8 <= len(raw):
        yield Finding(where, "more blanks in the header than it needs")
    end = 0
    for start, stop, needed in spans:
        if start != end or stop - start != needed:
            yield Finding(where, "bytes between the arrays, or arrays over one another")
        end = stop
    if 8 + length + end != size:
        yield Finding(where, "bytes behind the arrays")
    return header


def _span(entry: Mapping[str, Any]) -> tuple[int, int]:
    if set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError
    start, stop = entry["data_offsets"]
    return int(start), int(stop)


def _needed(entry: Mapping[str, Any]) -> int:
    return _BYTES[entry["dtype"]] * math.prod(int(count) for count in entry["shape"])


def check_values(where: str, path: Path, wanted: set[str]) -> Findings:
    """Yield which of the wanted arrays of a file hold values that may not be there."""
    try:
        arrays = load_file(path)
    except (SafetensorError, ValueError, OSError):
        yield Finding(where, "not a file of arrays")
        return
    for name, values in arrays.items():
        if name in wanted:
            yield from (Finding(f"{where}, {name}", what) for what in _odd(values))


def _odd(values: Any) -> list[str]:
    checks: dict[str, Callable[[Any], bool]] = {
        "values that are not finite": lambda x: not np.isfinite(x).all(),
        "a value like a participant's number": like_participants,
    }
    return [what for what, is_so in checks.items() if is_so(values)]


def like_participants(values: Any) -> bool:
    """Tell whether an array holds a whole number from one million to six and a half."""
    size = np.abs(values[np.isfinite(values)]) if values.dtype.kind == "f" else np.abs(values)
    return bool(((size >= 10**6) & (size <= 6_500_000) & (size == np.rint(size))).any())
