"""Damaged and hostile ECG files of the binary and text formats: a RecordError, in bounded time and memory.

`CARDIOBIND_FUZZ=20000 pytest tests/formats/test_formats_ecg_hostile.py -k damaged` is the longer run.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import ECG_FORMATS, read_ecg
from cardiobind.formats.ecg.array_ecg import read_array_ecg
from cardiobind.formats.ecg.dicom_ecg import read_dicom_ecg
from cardiobind.formats.ecg.edf_ecg import read_edf_ecg
from cardiobind.formats.ecg.scp_ecg import read_scp_ecg
from cardiobind.formats.ecg.wfdb_ecg import read_wfdb
from cardiobind.modalities.records import EcgRecord
from damage import EDITS, damage, fuzz, survives
from ecg_binary_fixtures import (
    CANARY,
    MDC,
    assemble,
    dicom_ecg_bytes,
    dicom_group,
    edf_bytes,
    lead_counts,
    patient,
    scp_bytes,
    wfdb_header,
    wfdb_signal,
)  # fmt: skip

LAYOUT = json.dumps({"leads": list(MDC), "rate_hz": 500, "unit": "uV"}).encode()
MEGABYTE = 1 << 20


@functools.cache
def good(kind: str) -> bytes:
    counts = lead_counts(60)
    if kind == "dicom":
        return dicom_ecg_bytes([dicom_group(counts), dicom_group(counts, originality="DERIVED")])
    if kind == "scp":
        return scp_bytes(counts, beats=(30,), beat_samples=20)
    if kind == "edf":
        return edf_bytes({f"ECG {lead}": values for lead, values in counts.items()}, per_record=20)
    if kind == "csv":
        return "\n".join(",".join(map(str, row)) for row in np.stack(list(counts.values()), 1)).encode()
    stream = io.BytesIO()
    (np.save if kind == "npy" else np.savez_compressed)(stream, np.stack(list(counts.values()), 1))
    return stream.getvalue()


READERS: dict[str, Callable[[str], EcgRecord]] = {
    "dicom": read_dicom_ecg, "scp": read_scp_ecg, "edf": read_edf_ecg, "csv": read_array_ecg, "npy": read_array_ecg,
    "npz": read_array_ecg,
}  # fmt: skip


def outcome(read: Callable[[], EcgRecord]) -> str | None:
    """Return None for a sound record, else the reason; whoever is named by neither."""
    found = survives(read)
    if isinstance(found, RecordError):
        return found.reason
    assert CANARY not in repr(found.header)
    assert np.isfinite(found.amplitude_mv).any()
    return None


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("head", [None, 400])
def test_damaged_bytes_give_a_record_or_a_reason(kind: str, head: int | None, tmp_path: Path) -> None:
    (tmp_path / "ecg_layout.json").write_bytes(LAYOUT)
    path = tmp_path / f"9000001.{kind}"
    path.write_bytes(good(kind))
    assert outcome(lambda: READERS[kind](str(path))) is None

    @fuzz
    @given(EDITS)
    def check(edits: list[tuple[str, float, bytes]]) -> None:
        path.write_bytes(damage(good(kind), edits, last=head))
        outcome(lambda: READERS[kind](str(path)))
        outcome(lambda: read_ecg(path))

    check()


@fuzz
@given(EDITS)
def test_damaged_layouts(edits: list[tuple[str, float, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ecg_layout.json").write_bytes(damage(LAYOUT, edits))
        (Path(folder) / "9000001.csv").write_bytes(good("csv"))
        outcome(lambda: read_array_ecg(f"{folder}/9000001.csv"))


@fuzz
@given(EDITS, EDITS, st.sampled_from(["8", "61", "80", "160", "212", "310", "311", "16+24", "32"]))
def test_damaged_wfdb(header_edits, data_edits, form: str) -> None:
    counts = {lead: values % 100 for lead, values in lead_counts(20).items()}
    stream = np.stack(list(counts.values()), 1).reshape(-1) % 100
    with tempfile.TemporaryDirectory() as folder:
        header = wfdb_header("9000001", counts, form, comments=f"# Name: {CANARY}\n#Dx: 426783006\n")
        (Path(folder) / "9000001.hea").write_bytes(damage(header, header_edits))
        (Path(folder) / "9000001.dat").write_bytes(damage(wfdb_signal("16", stream), data_edits))
        outcome(lambda: read_wfdb(str(Path(folder) / "9000001")))


def wide_dicom() -> bytes:
    """Annotations without end, all empty."""
    head = dicom_ecg_bytes([dicom_group(lead_counts(20))])
    at = head.index(struct.pack("<HH", 0x5400, 0x0100))
    items = (struct.pack("<HHI", 0xFFFE, 0xE000, 0)) * 200_000
    return head[:at] + struct.pack("<HH2sHI", 0x0040, 0xB020, b"SQ", 0, len(items)) + items + head[at:]


def deep_dicom() -> bytes:
    head = dicom_ecg_bytes([dicom_group(lead_counts(20))])
    at = head.index(struct.pack("<HH", 0x5400, 0x0100))
    level = struct.pack("<HH2sHI", 0x0040, 0xB020, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    return head[:at] + level * 20_000


def long_huffman() -> bytes:
    """A sample a bit."""
    leads = bytes([1, 4]) + struct.pack("<IIB", 1, 8 * 10_000, 1)
    rhythm = struct.pack("<HHBBH", 2500, 2000, 0, 0, 10_000) + bytes(10_000)
    return assemble({1: patient(), 2: struct.pack("<H", 19999), 3: leads, 6: rhythm})


def many_beats() -> bytes:
    leads = bytes([12, 5]) + b"".join(struct.pack("<IIB", 1, 10, k + 1) for k in range(12))
    beats = struct.pack("<HHH", 20, 1, 65535) + bytes(1000)
    rhythm = struct.pack("<HHBB12H", 2500, 2000, 2, 0, *[20] * 12) + bytes(240)
    return assemble({3: leads, 4: beats, 5: rhythm, 6: rhythm})


def npz_bomb() -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as f,
    ):
        header = f"{{'descr':'<f8','fortran_order':False,'shape':({128 * MEGABYTE // 96},12)}}\n".encode()
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        for _ in range(128):
            f.write(bytes(MEGABYTE))
    return stream.getvalue()


def fat_dicom() -> bytes:
    """One annotation of 15,000 elements."""
    head = dicom_ecg_bytes([dicom_group(lead_counts(20))])
    at = head.index(struct.pack("<HH", 0x5400, 0x0100))
    body = b"".join(struct.pack("<HH2sH", 0x0041, k & 0xFFFF, b"LO", 0) for k in range(15_000))
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
    return head[:at] + struct.pack("<HH2sHI", 0x0040, 0xB020, b"SQ", 0, len(item)) + item + head[at:]


def thin_dicom() -> bytes:
    """A header of 490,000 elements."""
    head = dicom_ecg_bytes([dicom_group(lead_counts(20))])
    at = head.index(struct.pack("<HH", 0x5400, 0x0100))
    elements = (struct.pack("<HH2sH", 0x0041 + 2 * (k >> 16), k & 0xFFFF, b"LO", 0) for k in range(490_000))
    return head[:at] + b"".join(elements) + head[at:]


HOSTILE = {
    "dicom, 200,000 items": ("dcm", wide_dicom),
    "dicom, 20,000 levels": ("dcm", deep_dicom),
    "dicom, 15,000 elements in an item": ("dcm", fat_dicom),
    "dicom, 490,000 elements": ("dcm", thin_dicom),
    "scp, a sample a bit": ("scp", long_huffman),
    "scp, 65,535 beats": ("scp", many_beats),
    "scp, 2 MB": ("scp", lambda: scp_bytes(lead_counts(20)).ljust(2 * MEGABYTE, b"\0")),
    "edf, 10^8 records": ("edf", lambda: edf_bytes({"ECG I": np.arange(50)}, records=99999999)),
    "edf, 9,999 signals": ("edf", lambda: edf_bytes({"ECG I": np.arange(50)}).replace(b"1   ECG I", b"9999ECG I")),
    "csv, a million columns": ("csv", lambda: b"1," * 1_000_000),
    "csv, a million lines": ("csv", lambda: b"1\n" * 1_000_000),
    "csv, one cell of 8 MB": ("csv", lambda: b"1" * (8 * MEGABYTE)),
    "csv, an open quote": ("csv", lambda: b'1,"' + b"1,2\n" * 500_000),
    "npz, 128 MB of zeros": ("npz", npz_bomb),
    "wfdb, 2^31 samples": ("hea", lambda: b"9000001 1 500 2147483648\n9000001.hea 16 200 16 0 0 0 0 I\n"),
    "wfdb, 65,000 signals": ("hea", lambda: b"9000001 65000 500\n" + b"9000001.hea 16 200 16 0 0 0 0 I\n" * 15_000),
    "wfdb, a frame of 1,000": ("hea", lambda: b"9000001 1 500 6000\n9000001.hea 212x1000 200 12 0 0 0 0 I\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_take_little_time_and_memory(name: str, tmp_path: Path) -> None:
    suffix, build = HOSTILE[name]
    (tmp_path / "ecg_layout.json").write_bytes(LAYOUT)
    path = tmp_path / f"9000001.{suffix}"
    path.write_bytes(build())
    reader = next(ECG_FORMATS.get(form) for form in ECG_FORMATS if ECG_FORMATS.get(form).recognises(str(path)))
    began = time.perf_counter()
    outcome(lambda: reader.read(str(path)))
    seconds = time.perf_counter() - began
    tracemalloc.start()
    outcome(lambda: reader.read(str(path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 256 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"
    assert seconds < 5, f"{seconds:.1f} s"
