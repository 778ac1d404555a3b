"""Damaged XML recordings give a record or a RecordError: bytes changed anywhere, and fields changed in sound XML.

`CARDIOBIND_FUZZ=20000 pytest tests/formats/test_formats_xml_fuzz.py` is the longer run.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind.formats import read_ecg
from damage import EDITS, damage, fuzz, survives
from ecg_xml_fixtures import (
    CANARY,
    TWELVE,
    aecg_annotations,
    aecg_series,
    aecg_set,
    exercise_xml,
    hl7_aecg,
    muse_waveform,
    muse_xml,
    residual_channels,
    sierra_plain,
    sierra_xli,
    sierra_xml,
    stored_counts,
    twelve_counts,
)  # fmt: skip
from ingest_fixtures import cardiosoft_xml, random_counts

EIGHT, FULL = stored_counts(12), twelve_counts(12)
FILES: dict[str, Callable[[], bytes]] = {
    "cardiosoft": lambda: cardiosoft_xml(random_counts(12)),
    "exercise": exercise_xml,
    "muse": lambda: muse_xml(muse_waveform(EIGHT), muse_waveform(EIGHT, kind="Median")),
    "aecg": lambda: hl7_aecg(aecg_series(aecg_set(EIGHT), extra=aecg_annotations())),
    "philips xli": lambda: sierra_xml(
        sierra_xli(residual_channels(FULL)), TWELVE, 12, compression="XLI", charset="utf-8"
    ),
    "philips utf-16": lambda: sierra_xml(sierra_plain(FULL), TWELVE, 12),
    "philips plain": lambda: sierra_xml(
        " ".join(str(x) for v in FULL.values() for x in v), (), 12, encoding="Plain", charset="utf-8"
    ),
}
FIELD = re.compile(rb'(?<=>)[^<>]+(?=</)|(?<==")[^"]*(?=")')
VALUES = st.sampled_from(
    [b"", b"0", b"-1", b"1e999", b"1e300", b"1e-300", b"nan", b"99999999999999999999", b"1e9", b"0.5", b"I", b"V1",
     b"off", b"AAAA", b"1,,2", b"1 2", b"\xff", b"&#0;", b"&x;", CANARY.encode()]
)  # fmt: skip
CHANGES = st.lists(st.tuples(st.floats(0, 0.999), VALUES), min_size=1, max_size=3)


@cache
def sound(kind: str) -> bytes:
    return FILES[kind]()


def with_fields(data: bytes, changes: list[tuple[float, bytes]]) -> bytes:
    for place, value in changes:
        fields = list(FIELD.finditer(data))
        if fields:
            chosen = fields[int(place * len(fields))]
            data = data[: chosen.start()] + value + data[chosen.end() :]
    return data


def read_survives(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "9000001_20205_2_0.xml"
        path.write_bytes(data)
        survives(lambda: read_ecg(path))


@pytest.mark.parametrize("kind", FILES)
def test_changed_bytes(kind: str) -> None:
    fuzz(given(EDITS)(lambda edits: read_survives(damage(sound(kind), edits))))()


@pytest.mark.parametrize("kind", FILES)
def test_changed_fields(kind: str) -> None:
    fuzz(given(CHANGES)(lambda changes: read_survives(with_fields(sound(kind), changes))))()
