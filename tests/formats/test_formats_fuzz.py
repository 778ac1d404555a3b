"""Damaged bytes of any kind give a record or a RecordError, never another exception."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind.formats import read_cine, read_ecg
from cardiobind.formats.cine.dicom_frames import manifest_descriptions
from cardiobind.formats.ecg.cardiosoft_xml import read_cardiosoft_xml
from cardiobind.formats.ecg.wfdb_ecg import read_wfdb
from cardiobind.formats.tables.table_file import read_table
from damage import EDITS, damage, fuzz, survives
from ingest_fixtures import cardiosoft_xml, dicom_bytes, random_counts, stack, ukb_cine, write_zip


@functools.cache
def small_xml() -> bytes:
    return cardiosoft_xml(random_counts(20))


@functools.cache
def small_zip() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_zip(Path(folder) / "a.zip", ukb_cine(stack(slices=2, phases=3, side=6))).read_bytes()


HEADER = (
    "9000001 12 100 5 10:00:00 01/02/2012\n"
    + "".join(f"9000001.dat 16 1000(0)/mV 16 0 0 0 0 {lead}\n" for lead in random_counts(1))
).encode()


@fuzz
@given(EDITS)
def test_cardiosoft(edits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "9000001_20205_2_0.xml"
        path.write_bytes(damage(small_xml(), edits))
        survives(lambda: read_cardiosoft_xml(str(path)))
        survives(lambda: read_ecg(path))


@fuzz
@given(EDITS, EDITS, st.sampled_from(["16", "212", "24", "80", "310", "516", "16x2", "61+3", "8"]))
def test_wfdb(header_edits, data_edits, form: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        header = damage(HEADER.replace(b".dat 16 ", f".dat {form} ".encode()), header_edits)
        (Path(folder) / "9000001.hea").write_bytes(header)
        (Path(folder) / "9000001.dat").write_bytes(damage(bytes(120), data_edits))
        survives(lambda: read_wfdb(str(Path(folder) / "9000001")))


@fuzz
@given(EDITS)
def test_zip_of_dicom(edits) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "9000001_20209_2_0.zip"
        path.write_bytes(damage(small_zip(), edits))
        survives(lambda: read_cine(path))


@fuzz
@given(EDITS, st.booleans())
def test_dicom_folder(edits, compressed: bool) -> None:
    images = stack(slices=1, phases=3, side=6)
    files = [
        dicom_bytes(images[0, p], description="CINE_segmented_SAX_b1", instance=p + 1, trigger_ms=p) for p in range(3)
    ]
    if compressed:
        files[1] = files[1].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    files[1] = damage(files[1], edits)
    with tempfile.TemporaryDirectory() as folder:
        for p, data in enumerate(files):
            (Path(folder) / f"9000001{p}.dcm").write_bytes(data)
        survives(lambda: read_cine(folder))


@fuzz
@given(st.text(max_size=300))
def test_manifest(text: str) -> None:
    assert isinstance(manifest_descriptions("filename,modality\n" + text), dict)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"eid": ["9000001", "9000002"], "p31": ["1", "0"], "p41270": ["I10|I21", None]})
    path = tmp_path / f"good.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    good = path.read_bytes()

    @fuzz
    @given(EDITS)
    def check(edits) -> None:
        damaged = tmp_path / f"9000001.{suffix}"
        damaged.write_bytes(damage(good, edits))
        survives(lambda: read_table(damaged, ["eid", "p31"]))

    check()
