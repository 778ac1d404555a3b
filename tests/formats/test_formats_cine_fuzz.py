"""Damaged enhanced and compressed DICOM gives a record or a RecordError, never another exception."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, reasons
from cardiobind.modalities.records import VIEWS
from cine_fixtures import SECRET, enhanced, plane, series, ukb_long_axis, volume
from ingest_fixtures import write_zip

fuzz = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "repeat"]), st.floats(0, 1),
        st.one_of(st.binary(min_size=1, max_size=6), st.sampled_from([b"-1", b"1e999", b"nan", b"\xff\xff", b"\\"])),
    ),
    min_size=1, max_size=4,
)  # fmt: skip
NEEDS = {JPEG2000Lossless: "openjpeg", JPEGLSLossless: "jpeg_ls"}


def damage(data: bytes, edits: list[tuple[str, float, bytes]], first: int = 0) -> bytes:
    for kind, place, payload in edits:
        at = first + int(place * (len(data) - first))
        rest = at + len(payload) if kind == "set" else at
        payload = data[max(at - 40, 0) : at] if kind == "repeat" else payload
        data = data[:at] if kind == "cut" else data[:at] + payload + data[rest:]
    return data


def survives(path: Path, view: str = "sax") -> None:
    record, refused = None, None
    try:
        record = read_cine(path, view)
    except RecordError as error:
        refused = error
    assert record is not None or (refused is not None and refused.reason in reasons.REASONS)
    assert SECRET not in f"{refused}"
    assert "9000001" not in f"{refused}"
    assert record is None or np.isfinite(record.frames).all()
    assert record is None or np.isfinite(record.slice_positions_mm).all()


@functools.cache
def multi_frame() -> bytes:
    return enhanced(volume(2, 3, 6, 5))


@functools.cache
def compressed(syntax: str) -> bytes:
    return next(iter(series(volume(1, 1, 40, 36), compress=syntax).values()))


@functools.cache
def long_axis(mixed: bool) -> dict[str, bytes]:
    return ukb_long_axis(
        {name: plane(angle, 5) for name, angle in (("2Ch", 90), ("3Ch", 150), ("4Ch", 30))}, mixed=mixed
    )


@fuzz
@given(EDITS)
def test_enhanced(edits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "9000001.dcm")
        path.write_bytes(damage(multi_frame(), edits))
        survives(path)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless], ids=lambda s: s.name)
def test_compressed(syntax) -> None:
    pytest.importorskip(NEEDS.get(syntax, "pydicom"))
    good = compressed(syntax)

    @fuzz
    @given(EDITS)
    def check(edits) -> None:
        with tempfile.TemporaryDirectory() as folder:
            second = damage(good, edits, first=good.find(b"\xe0\x7f\x10\x00"))
            for name, data in (("1.dcm", good), ("9000001.dcm", second)):
                Path(folder, name).write_bytes(data)
            survives(Path(folder))

    check()


@fuzz
@given(EDITS, st.booleans(), st.sampled_from(VIEWS))
def test_long_axis(edits, mixed: bool, view: str) -> None:
    members = dict(long_axis(mixed))
    names = sorted(members)
    for name in (names[0], names[7]):
        members[name] = damage(members[name], edits)
    with tempfile.TemporaryDirectory() as folder:
        survives(write_zip(Path(folder, "9000001_20208_2_0.zip"), members), view)
