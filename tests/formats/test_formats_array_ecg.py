"""CSV, NPY and NPZ with a declared layout: to the count, and every wrong layout is told which key is wrong."""

from __future__ import annotations

import io
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.formats.ecg.array_layout import EXAMPLE, ArrayLayout
from cardiobind.modalities.records import LEADS
from ecg_binary_fixtures import CANARY, lead_counts
from ingest_fixtures import write_zip

LAYOUT: dict[str, Any] = {"leads": list(LEADS), "rate_hz": 500, "unit": "uV"}
COUNTS = np.stack(list(lead_counts(50).values()))


def declare(folder: Path, layout: dict[str, Any] | str, name: str = "ecg_layout.json") -> None:
    (folder / name).write_text(layout if isinstance(layout, str) else json.dumps(layout))


def csv(values: np.ndarray, delimiter: str = ",") -> str:
    return "\n".join(delimiter.join(str(value) for value in row) for row in values) + "\n"


def error_of(location: Path) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read_ecg(location)
    assert CANARY not in str(caught.value)
    assert "9000001" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("axis", ["samples_first", "leads_first"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_to_the_count(tmp_path: Path, axis: str, delimiter: str, end: str) -> None:
    values = COUNTS if axis == "leads_first" else COUNTS.T
    (tmp_path / "a.csv").write_bytes(csv(values, delimiter).replace("\n", end).encode())
    declare(tmp_path, {**LAYOUT, "axis": axis, "delimiter": delimiter})
    record = read_ecg(tmp_path / "a.csv")
    np.testing.assert_allclose(record.amplitude_mv, COUNTS / 1000, rtol=1e-6)
    assert record.rate_hz == 500


def test_header_skipped_lines_decimal_comma_and_other_columns(tmp_path: Path) -> None:
    table = "exported by x\n" + "time;V1;II;note\n" + "0,0;1,5;-2,5;7\n" + "0,1;NA;3;8\n"
    (tmp_path / "a.csv").write_text("\ufeff" + table, encoding="utf-8")
    layout = {"leads": "header", "rate_hz": 10, "unit": "mV", "delimiter": ";", "decimal": ",", "skip_rows": 1}
    declare(tmp_path, layout, "a.layout.json")
    amplitude = read_ecg(tmp_path / "a.csv").amplitude_mv
    np.testing.assert_array_equal(amplitude[6], np.array([1.5, np.nan], np.float32))
    np.testing.assert_array_equal(amplitude[1], np.array([-2.5, 3], np.float32))


def test_missing_values_scale_and_columns_that_are_no_lead(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("9\t1\t2\n9\t-32768\tgone\n9\t\t3\n")
    layout = {"leads": ["-", "II", "V5"], "rate_hz": 10, "unit": "mV", "scale": 0.5, "missing": [-32768, "gone"]}
    declare(tmp_path, layout)
    amplitude = read_ecg(tmp_path / "a.tsv").amplitude_mv
    np.testing.assert_array_equal(amplitude[1], np.array([0.5, np.nan, np.nan], np.float32))
    np.testing.assert_array_equal(amplitude[10], np.array([1, np.nan, 1.5], np.float32))
    assert np.isnan(np.delete(amplitude, [1, 10], axis=0)).all()


@pytest.mark.parametrize("dtype", ["i2", ">i2", "i4", "f4", "f8", "i8"])
@pytest.mark.parametrize("axis", ["samples_first", "leads_first"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_to_the_count(tmp_path: Path, dtype: str, axis: str, order: str) -> None:
    values = COUNTS if axis == "leads_first" else COUNTS.T
    np.save(tmp_path / "a.npy", np.asarray(values.astype(dtype), order=order))
    declare(tmp_path, {**LAYOUT, "axis": axis})
    np.testing.assert_allclose(read_ecg(tmp_path / "a.npy").amplitude_mv, COUNTS / 1000, rtol=1e-6)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save) -> None:
    save(tmp_path / "one.npz", COUNTS.T)
    save(tmp_path / "two.npz", ecg=COUNTS.T, label=np.zeros(1))
    declare(tmp_path, LAYOUT)
    np.testing.assert_allclose(read_ecg(tmp_path / "one.npz").amplitude_mv, COUNTS / 1000, rtol=1e-6)
    assert 'key "array"' in str(error_of(tmp_path / "two.npz"))
    declare(tmp_path, {**LAYOUT, "array": "ecg"}, "two.layout.json")
    np.testing.assert_allclose(read_ecg(tmp_path / "two.npz").amplitude_mv, COUNTS / 1000, rtol=1e-6)


def test_inside_an_archive(tmp_path: Path) -> None:
    members = {"x/1.csv": csv(COUNTS.T).encode(), "x/ecg_layout.json": json.dumps(LAYOUT).encode()}
    archive = write_zip(tmp_path / "a.zip", members)
    np.testing.assert_allclose(read_ecg(f"{archive}::x/1.csv").amplitude_mv, COUNTS / 1000, rtol=1e-6)


def test_eight_leads_give_twelve(tmp_path: Path) -> None:
    rows = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
    np.save(tmp_path / "a.npy", COUNTS[rows])
    declare(tmp_path, {**LAYOUT, "leads": [LEADS[k] for k in rows], "axis": "leads_first"})
    record = read_ecg(tmp_path / "a.npy")
    np.testing.assert_allclose(record.amplitude_mv, COUNTS / 1000, rtol=1e-6, atol=1e-7)
    assert set(record.header.derived_leads) == {"III", "aVR", "aVL", "aVF"}


def test_without_a_layout_the_error_shows_one(tmp_path: Path) -> None:
    (tmp_path / "9000001.csv").write_text(csv(COUNTS.T))
    error = error_of(tmp_path / "9000001.csv")
    assert EXAMPLE in str(error)
    assert "ecg_layout.json" in str(error)
    declare(tmp_path, EXAMPLE)
    np.testing.assert_allclose(read_ecg(tmp_path / "9000001.csv").amplitude_mv, COUNTS / 1000, rtol=1e-6)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("leads", ["I", "SECRETNAME"]), ("leads", ["I", "I"]), ("leads", []), ("leads", "SECRETNAME"), ("leads", None),
        ("rate_hz", 0), ("rate_hz", "500"), ("rate_hz", 1e9), ("rate_hz", None), ("unit", "counts"), ("unit", None),
        ("axis", "columns"), ("scale", 0), ("scale", "x"), ("delimiter", "ab"), ("decimal", "-"), ("skip_rows", -1),
        ("skip_rows", 1.5), ("missing", "x"), ("array", 3),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(tmp_path: Path, key: str, value: object) -> None:
    (tmp_path / "a.csv").write_text(csv(COUNTS.T))
    layout = {**LAYOUT, key: value}
    declare(tmp_path, {name: given for name, given in layout.items() if given is not None})
    error = error_of(tmp_path / "a.csv")
    assert error.reason == reasons.BAD_HEADER
    assert error.what.startswith(key)
    assert EXAMPLE in str(error)


@pytest.mark.parametrize("content", ["[]", "{", "3", "[" * 60000, json.dumps({**LAYOUT, "SECRETNAME": 1})])
def test_a_layout_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.csv").write_text(csv(COUNTS.T))
    declare(tmp_path, content)
    assert error_of(tmp_path / "a.csv").reason == reasons.BAD_HEADER


def test_the_layouts_of_the_documentation_are_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "formats_ecg.md").read_text()
    shown = re.findall(r"```json\n(.*?)\n```", page, re.DOTALL)
    assert EXAMPLE in shown
    assert [ArrayLayout.model_validate(json.loads(layout)).rate_hz for layout in shown] == [500, 500]


@pytest.mark.parametrize("suffix", ["csv", "npy"])
def test_a_real_signal_written_out_comes_back(shared_data: Path, tmp_path: Path, suffix: str) -> None:
    real = read_ecg(shared_data / "ptbxl" / "sample" / "records500" / "00000" / "00063_hr").amplitude_mv
    microvolts = np.round(real.T * 1000).astype(np.int16)
    if suffix == "csv":
        (tmp_path / "a.csv").write_text(csv(microvolts))
    else:
        np.save(tmp_path / "a.npy", microvolts)
    declare(tmp_path, LAYOUT)
    np.testing.assert_allclose(read_ecg(tmp_path / f"a.{suffix}").amplitude_mv, real, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,2\n3,SECRETNAME\n", reasons.BAD_NUMBER), ("1,2\n3\n", reasons.BAD_NUMBER),
        ("1,2\n3,4,5\n", reasons.BAD_NUMBER),
        ("1,2,3\n", reasons.WRONG_LENGTH), ("", reasons.EMPTY), ("\n", reasons.WRONG_LENGTH),
        ("1e999,2\n", reasons.BAD_HEADER),
        (",\n,\n", reasons.NO_WAVEFORM), ("," * 5000 + "\n", reasons.BAD_NUMBER), ("\0\0", reasons.BAD_NUMBER),
    ],
)  # fmt: skip
def test_each_defect_of_a_csv_has_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "9000001.csv").write_text(text)
    declare(tmp_path, {"leads": ["I", "V1"], "rate_hz": 10, "unit": "mV"})
    assert error_of(tmp_path / "9000001.csv").reason == reason


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{CANARY: 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickled, reasons.UNSUPPORTED),
        (lambda: npy("{'descr':'<f8','fortran_order':False,'shape':(1000000000,2)}", bytes(64)), reasons.TRUNCATED),
        (lambda: npy("{'descr':'<f8','fortran_order':False,'shape':(2,2)}", bytes(40)), reasons.WRONG_LENGTH),
        (lambda: npy("{'descr':'<f8','fortran_order':False,'shape':(-2,-2)}", bytes(32)), reasons.WRONG_LENGTH),
        (lambda: npy("{'descr':'<c8','fortran_order':False,'shape':(2,2)}", bytes(32)), reasons.UNSUPPORTED),
        (lambda: npy("{'descr':'<f8','fortran_order':False,'shape':(4,)}", bytes(32)), reasons.WRONG_LENGTH),
        (lambda: npy("{'descr':'<f8','fortran_order':False,'shape':(0,2)}"), reasons.BAD_HEADER),
        (lambda: npy("(" * 5000), reasons.BAD_HEADER),
        (lambda: b"\x93NUMPY\x09\x00", reasons.BAD_HEADER),
        (lambda: b"SECRETNAME", reasons.BAD_HEADER),
    ],
)
def test_each_defect_of_an_npy_has_its_reason(tmp_path: Path, data, reason: str) -> None:
    (tmp_path / "9000001.npy").write_bytes(data())
    declare(tmp_path, {"leads": ["I", "V1"], "rate_hz": 10, "unit": "mV"})
    assert error_of(tmp_path / "9000001.npy").reason == reason
