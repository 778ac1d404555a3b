"""Damaged enhanced and compressed DICOM gives a record or a RecordError, never another exception."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from cardiobind.formats import read_cine
from cardiobind.modalities.records import VIEWS
from cine_fixtures import enhanced, plane, series, ukb_long_axis, volume
from damage import EDITS, damage, fuzz, survives
from ingest_fixtures import write_zip

NEEDS = {JPEG2000Lossless: "openjpeg", JPEGLSLossless: "jpeg_ls"}


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
        survives(lambda: read_cine(path))


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
            survives(lambda: read_cine(folder))

    check()


@fuzz
@given(EDITS, st.booleans(), st.sampled_from(VIEWS))
def test_long_axis(edits, mixed: bool, view: str) -> None:
    members = dict(long_axis(mixed))
    names = sorted(members)
    for name in (names[0], names[7]):
        members[name] = damage(members[name], edits)
    with tempfile.TemporaryDirectory() as folder:
        path = write_zip(Path(folder, "9000001_20208_2_0.zip"), members)
        survives(lambda: read_cine(path, view))
