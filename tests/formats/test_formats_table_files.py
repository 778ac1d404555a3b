"""Tables as people save them: separators, marks, quotes, workbooks, 27,000 columns; and as nobody should."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import time
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.tables.excel_table import MOST_ROWS
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.formats.tables.ukb_headers import columns_by_field, identifier_column, parse_header
from cardiobind.sources import UkbSource
from memory import PEAK_MB

quick = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MISSING = {"", "NA", "NaN", "nan", "#N/A"}


def refusal(location: Path | str, columns: list[str] | None = None) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read_table(location, columns)
    assert "SECRETNAME" not in str(caught.value)
    return caught.value


def outcome(location: Path, columns: list[str] | None = None) -> str:
    """Return what the refusal says, nothing if the table is read; any other exception is a failure."""
    try:
        assert isinstance(read_table(location, columns), pd.DataFrame)
    except RecordError as error:
        return f"{error.reason in reasons.REASONS} {error}"
    return ""


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def with_part(path: Path, name: str, data: bytes) -> Path:
    """Return a copy of a workbook with one part replaced."""
    out = path.with_name(f"hostile_{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, data if part == name else old.read(part))
    return out


SHEET = "xl/worksheets/sheet1.xml"
SHEET_HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
SHEET_TAIL = b"</sheetData></worksheet>"

cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


@quick
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6), st.sampled_from(",\t;"),
       st.sampled_from(["\n", "\r\n"]), st.booleans())  # fmt: skip
def test_every_text_comes_back_as_csv_would_give_it(
    tmp_path: Path, rows: list[list[str]], mark: str, end: str, with_bom: bool
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=mark, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["eid", "b", "c"], *rows])
    path = tmp_path / "t.csv"
    path.write_bytes((b"\xef\xbb\xbf" if with_bom else b"") + out.getvalue().encode())
    frame = read_table(path, ["c", "eid"])
    expected = [[None if row[k] in MISSING else row[k] for k in (2, 0)] for row in rows]
    assert frame.astype(object).where(frame.notna(), None).to_numpy().tolist() == expected


def test_semicolons_old_line_ends_and_quoted_names_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"eid;p31;p50_i2\n9000001;1;170,5\n")
    assert read_table(path).iloc[0].tolist() == ["9000001", "1", "170,5"]
    path.write_bytes(b"eid,p31\r9000001,1\r9000002,0\r")
    assert read_table(path)["p31"].tolist() == ["1", "0"]
    path.write_bytes(b'eid,"a\nname","b,c"\r\n9000001,1,2\r\n')
    assert table_columns(path) == ["eid", "a\nname", "b,c"]
    assert read_table(path)["b,c"].tolist() == ["2"]


def test_a_mark_before_the_first_name_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfeid,p31\r\n9000001,1\r\n")
    assert identifier_column(table_columns(path)) == "eid"
    assert read_table(path, ["eid"])["eid"].tolist() == ["9000001"]


def test_a_ragged_row_is_named_by_its_number_and_never_quoted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("eid,p31\n9000001,1\n9000002,1,SECRETNAME\n")
    error = refusal(path, ["eid"])
    assert error.reason == reasons.BAD_TABLE
    for part in ("row 3", "expected: 2", "got: 3"):
        assert part in str(error)


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for data in ("eid,p31\n".encode("utf-16"), b"PK\x03\x04 a workbook", b"\xd0\xcf\x11\xe0 an old one"):
        path.write_bytes(data)
        assert refusal(path).reason == reasons.NOT_RECOGNISED
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    assert refusal(tmp_path / "t.xls").reason == reasons.UNSUPPORTED
    (tmp_path / "t.xlsx").write_bytes(b"eid,p31\n")
    assert refusal(tmp_path / "t.xlsx").reason == reasons.BAD_TABLE
    assert refusal(tmp_path / "absent.xlsx").reason == reasons.MISSING_FILE


def test_a_table_without_a_header_does_not_show_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("9000001,1,9000001\n")
    assert "9000001" not in str(refusal(path))


def test_a_formula_is_text_and_no_number(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('eid,p53_i2,p50_i2\n9000001,2016-05-01,"=1+169"\n')
    source = UkbSource(tmp_path)
    assert source.table()["height_cm"].isna().all()
    assert {"reason": "not_a_number", "column": "height_cm", "count": 1} in source.issues()


def test_a_workbook_is_read_as_its_csv_would_be(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["eid", "p53_i2", "p50_i2", "p31", "note"],
        [9000001, date(2016, 5, 1), 170.5, True, "=HYPERLINK(\"http://x\")"],
        [9000002.0, datetime(2016, 5, 2, 8, 30), None, False, "NA"],
        [None, None, None, None, None],
        [9000003, "2016-05-03", "#N/A", None, "two\r\nlines"],
    ]  # fmt: skip
    path = workbook(tmp_path / "clinic.xlsx", Notes=[["nothing"]], Visits=rows)
    assert table_columns(path) == ["nothing"]
    frame = read_table(f"{path}::Visits", ["p50_i2", "eid", "p53_i2", "p31"])
    assert frame.astype(object).where(frame.notna(), None).to_numpy().tolist() == [
        ["170.5", "9000001", "2016-05-01", "1"],
        [None, "9000002", "2016-05-02 08:30:00", "0"],
        [None, "9000003", "2016-05-03", None],
    ]
    assert read_table(f"{path}::Visits", ["note"])["note"].tolist()[2] == "two\nlines"
    assert refusal(f"{path}::Other").reason == reasons.BAD_TABLE
    assert refusal(f"{path}::Visits", ["p21"]).reason == reasons.BAD_TABLE


CELL = st.one_of(st.none(), st.integers(-(10**9), 10**9), st.booleans(), st.sampled_from(["a", "b c", "0.5"]))


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(CELL, CELL).filter(lambda row: row != (None, None)), max_size=5))
def test_workbook_and_csv_agree(tmp_path: Path, rows: list[tuple[Any, Any]]) -> None:
    plain = [["" if c is None else str(int(c)) if isinstance(c, bool) else str(c) for c in row] for row in rows]
    path = workbook(tmp_path / "a.xlsx", one=[["x", "y"], *map(list, rows)])
    (tmp_path / "a.csv").write_text("".join(",".join(row) + "\n" for row in [["x", "y"], *plain]))
    pd.testing.assert_frame_equal(read_table(path), read_table(tmp_path / "a.csv"))


def test_workbooks_that_claim_too_much_are_refused_in_time(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", one=[["eid", "p31"], [9000001, 1]])
    wide = b'<row r="1">' + b"<c><v>1</v></c>" * 1_000_000 + b"</row>"
    holes = b'<row r="1"><c t="str"><v>eid</v></c></row><row r="999999999"><c><v>1</v></c></row>'
    entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    far = b'<row r="1"><c r="ZZZ1"><v>1</v></c></row>'
    hostile = {
        "bomb": b" " * (80 << 20), "wide": SHEET_HEAD + wide + SHEET_TAIL, "holes": SHEET_HEAD + holes + SHEET_TAIL,
        "entity": entity + SHEET_HEAD + SHEET_TAIL, "far": SHEET_HEAD + far + SHEET_TAIL,
        "utf16": (SHEET_HEAD + wide + SHEET_TAIL).decode().encode("utf-16"), "torn": SHEET_HEAD + b"<row><c>",
    }  # fmt: skip
    for name, data in hostile.items():
        path = with_part(good, SHEET, data)
        began = time.process_time()
        assert refusal(path).reason in (reasons.UNSUPPORTED, reasons.BAD_TABLE), name
        assert time.process_time() - began < 5, name


def test_a_parquet_index_is_a_column_and_the_order_is_the_one_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"eid": ["9000001"], "p31": [1], "p50_i2": [170.5]}).set_index("eid").to_parquet(path)
    frame = read_table(path, ["p50_i2", "eid", "p31"])
    assert list(frame.columns) == ["p50_i2", "eid", "p31"]
    assert frame.iloc[0].tolist() == [170.5, "9000001", 1]


def test_a_small_file_of_very_many_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    column = pyarrow.DictionaryArray.from_arrays(np.zeros(10_000_001, np.int8), ["9000001"])
    pyarrow.parquet.write_table(pyarrow.table({"eid": column}), path)
    assert path.stat().st_size < 1 << 20
    assert refusal(path, ["eid"]).reason == reasons.UNSUPPORTED


def test_a_dimension_of_the_whole_sheet_costs_nothing(tmp_path: Path) -> None:
    good = workbook(tmp_path / "good.xlsx", one=[["eid", "p31"], [9000001, 1]])
    with zipfile.ZipFile(good) as archive:
        sheet = archive.read(SHEET)
    path = with_part(good, SHEET, sheet.replace(b'ref="A1:B2"', f'ref="A1:XFD{MOST_ROWS}"'.encode()))
    assert read_table(path).to_numpy().tolist() == [["9000001", "1"]]


@quick
@given(st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 40)), min_size=1, max_size=4))
def test_damaged_workbooks_are_refused_or_read(tmp_path: Path, edits: list[tuple[float, bytes, int]]) -> None:
    good = tmp_path / "good.xlsx"
    if not good.exists():
        workbook(good, one=[["eid", "p31", "name"], [9000001, 1, "SECRETNAME"], [9000002, 0, None]])
    path = tmp_path / "damaged.xlsx"
    data = good.read_bytes()
    for place, payload, cut in edits:
        at = int(place * len(data))
        data = data[:at] + payload + data[at + cut :]
    path.write_bytes(data)
    said = outcome(path, ["eid", "p31"])
    assert "SECRETNAME" not in said
    assert "9000001" not in said


@quick
@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_a_clear_error(tmp_path: Path, data: bytes) -> None:
    for suffix in ("csv", "xlsx", "parquet"):
        path = tmp_path / f"t.{suffix}"
        path.write_bytes(data)
        assert not outcome(path).startswith("False")


@quick
@given(st.text(max_size=60))
def test_any_header_is_a_column_or_none(header: str) -> None:
    column = parse_header(header)
    assert column is None or column.header == header
    assert sum(map(len, columns_by_field([header]).values())) == (column is not None)


def test_a_header_without_end_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a" * (20 << 20))
    assert refusal(path).reason == reasons.UNSUPPORTED
    path.write_bytes(b"a," * 300_000)
    assert refusal(path).reason == reasons.UNSUPPORTED
    path.write_bytes(b'"' + b"a\n" * (9 << 20))
    assert refusal(path).reason == reasons.UNSUPPORTED


WIDE = f"""
import sys
from cardiobind.formats.tables.table_file import read_table
before = {PEAK_MB}
frame = read_table(sys.argv[1], ["eid", "13000-0.0", "26998-0.0"])
assert frame.shape == (2000, 3) and frame["26998-0.0"].notna().sum() == 200, frame.shape
print({PEAK_MB} - before)
"""


def test_of_27000_columns_only_those_asked_for_are_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = ["eid", *(f"{field}-0.0" for field in range(26_999))]
    with path.open("w") as out:
        out.write(",".join(names) + "\n")
        for row in range(2000):
            value = "1.25" if row % 10 == 0 else ""
            out.write(f"{9_000_001 + row}" + f",{value}" * 26_999 + "\n")
    ran = subprocess.run([sys.executable, "-c", WIDE, str(path)], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 256
