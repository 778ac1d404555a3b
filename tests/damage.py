"""Bytes damaged at random, and what a reader may make of them: a sound record or a RecordError, nothing else.

`CARDIOBIND_FUZZ=20000 pytest tests/formats -k "fuzz or hostile"` is the longer run of what the fast tests do 60 times;
`python tests/fuzz_formats.py` damages every registered format under limits of time and memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats.reasons import REASONS

Edit = tuple[str, float, bytes]
"""Kind, place as a fraction of the bytes that may be hit, payload."""
Record = TypeVar("Record")

KINDS = ("cut", "insert", "repeat", "zero", "set")
PAYLOADS = (
    b"-1", b"1e999", b"nan", b"\xff\xff", b"\xff\xff\xff\xff", b"<", b">", b",", b"99999999", b"\0\0\0\x80", b"\0",
)  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.floats(0, 1),
        st.one_of(st.binary(max_size=6), st.sampled_from((*PAYLOADS, b"\\"))),
    ),
    min_size=1,
    max_size=4,
)
IDENTIFIERS = ("9000001", "SECRETNAME")
fuzz = settings(
    max_examples=int(os.environ.get("CARDIOBIND_FUZZ", "60")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


def edit(data: bytes, at: int, kind: str, payload: bytes) -> bytes:
    """Return the bytes after one edit at a place."""
    return {
        "cut": data[:at],
        "insert": data[:at] + payload + data[at:],
        "repeat": data[:at] + data[max(at - 40, 0) : at] * 2 + data[at:],
        "zero": data[:at] + bytes(8) + data[at + 8 :],
        "set": data[:at] + payload + data[at + len(payload) :],
    }[kind]


def damage(data: bytes, edits: list[Edit], first: int = 0, last: int | None = None) -> bytes:
    """Return the bytes after the edits, all of which fall between `first` and `last`."""
    for kind, place, payload in edits:
        end = len(data) if last is None else min(last, len(data))
        data = edit(data, first + int(place * max(end - first, 0)), kind, payload)
    return data


def survives(read: Callable[[], Record]) -> Record | RecordError:
    """Return the record, found sound, or the refusal, found to name a known reason and no person."""
    refused = None
    try:
        record = read()
    except RecordError as error:
        refused = error
    if refused is not None:
        assert refused.reason in REASONS
        assert not any(named in f"{refused} {refused!r}" for named in IDENTIFIERS)
        return refused
    if hasattr(record, "amplitude_mv"):
        assert record.amplitude_mv.shape[0] == 12
        assert not np.isinf(record.amplitude_mv).any()
        assert 0 < record.rate_hz < np.inf
    if hasattr(record, "frames"):
        assert np.isfinite(record.frames).all()
        assert np.isfinite(record.slice_positions_mm).all()
    return record
