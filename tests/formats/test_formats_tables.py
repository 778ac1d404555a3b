"""Tables: header styles, list cells, text left as text, only the columns asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.tables.code_lists import normal_code, parse_code_list
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.formats.tables.ukb_headers import columns_by_field, identifier_column, parse_header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("p31", (31, None, None)),
        ("p21003_i2", (21003, 2, None)),
        ("p4080_i2_a1", (4080, 2, 1)),
        ("p41280_a243", (41280, None, 243)),
        ("participant.p4080_i0_a0", (4080, 0, 0)),
        ("participant.p31", (31, None, None)),
        ("31-0.0", (31, 0, 0)),
        ("4080-2.1", (4080, 2, 1)),
        ("41270-0.242", (41270, 0, 242)),
        ("f.31.0.0", (31, 0, 0)),
        ("f.21003.2.0", (21003, 2, 0)),
        ("Sex", (31, None, None)),
        ("Age when attended assessment centre | Instance 2", (21003, 2, None)),
        ("Systolic blood pressure, automated reading | Instance 2 | Array 1", (4080, 2, 1)),
    ],
)
def test_every_header_style_is_understood(header: str, expected: tuple[int, int | None, int | None]) -> None:
    column = parse_header(header)
    assert column is not None
    assert (column.field, column.instance, column.array) == expected


@given(st.integers(1, 99999), st.integers(0, 3), st.integers(0, 300))
def test_the_styles_agree(field: int, instance: int, array: int) -> None:
    headers = [f"p{field}_i{instance}_a{array}", f"{field}-{instance}.{array}", f"f.{field}.{instance}.{array}"]
    found = [parse_header(h) for h in (*headers, f"participant.{headers[0]}")]
    assert {(c.field, c.instance, c.array) for c in found if c is not None} == {(field, instance, array)}
    assert None not in found


@pytest.mark.parametrize("header", ["", "eid", "p31x", "p4080_a1_i2", "31-0", "f.31", "31-0.0.0", "something"])
def test_other_names_are_no_field(header: str) -> None:
    assert parse_header(header) is None


def test_columns_are_grouped_and_sorted_and_the_identifier_found() -> None:
    found = columns_by_field(["eid", "p4080_i2_a1", "p4080_i2_a0", "p4080_i0_a0", "note"])
    assert [c.header for c in found[4080]] == ["p4080_i0_a0", "p4080_i2_a0", "p4080_i2_a1"]
    for name in ("eid", "participant.eid", "f.eid", "Participant ID"):
        assert identifier_column(["x", name]) == name
    assert identifier_column(["x"]) is None


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("D261|E113", ["D261", "E113"]),
        ('["I10","I251"]', ["I10", "I251"]),
        ("['I10', 'I251']", ["I10", "I251"]),
        ("[1, 2]", ["1", "2"]),
        ("[]", []),
        ("", []),
        (None, []),
        (float("nan"), []),
        (pd.NA, []),
        ("I10", ["I10"]),
        ("I10||I251", ["I10", "", "I251"]),
        (np.array(["I10", None], dtype=object), ["I10", ""]),
        ('["I24.9 Acute, unspecified","I25.0 Other"]', ["I24.9 Acute, unspecified", "I25.0 Other"]),
    ],
)
def test_list_cells_of_every_style(cell: object, codes: list[str]) -> None:
    assert parse_code_list(cell) == codes


@given(st.lists(st.from_regex(r"[A-Z][0-9]{2,3}", fullmatch=True), max_size=8))
def test_list_styles_agree(codes: list[str]) -> None:
    cells = ["|".join(codes), str(codes), str(codes).replace("'", '"'), np.array(codes, dtype=object)]
    assert all(parse_code_list(cell) == codes for cell in cells)


def test_codes_are_normal() -> None:
    assert [normal_code(c) for c in ("I21.4", "i214", "I21.4 Acute infarction", " ", "K49")] == [
        "I214", "I214", "I214", "", "K49",
    ]  # fmt: skip


def test_only_the_columns_asked_for_are_read_and_text_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('eid,a,b,c\n9000001,007,"x,y",\n9000002,NA,"line\nbreak",3\n')
    frame = read_table(path, ["c", "a", "b"])
    assert list(frame.columns) == ["c", "a", "b"]
    assert frame["a"].tolist()[0] == "007"
    assert frame["b"].tolist() == ["x,y", "line\nbreak"]
    assert frame.isna().sum().to_dict() == {"c": 1, "a": 1, "b": 0}
    assert table_columns(path) == ["eid", "a", "b", "c"]


def test_a_very_wide_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "ukb.csv"
    names = [f"{field}-{i}.{a}" for field in range(20000, 23000) for i in range(3) for a in range(3)]
    path.write_text(",".join(["eid", *names]) + "\n" + ",".join(["9000001", *map(str, range(len(names)))]) + "\n")
    frame = read_table(path, ["eid", names[-1]])
    assert frame.iloc[0].tolist() == ["9000001", str(len(names) - 1)]


@pytest.mark.parametrize("suffix", ["tab", "tsv"])
def test_tabs_and_latin_1_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ukb.{suffix}"
    path.write_bytes("f.eid\tf.1.0.0\n9000001\tmüde\n".encode("latin-1"))
    assert read_table(path)["f.1.0.0"].tolist() == ["müde"]


def test_parquet_keeps_types_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pd.DataFrame({"eid": ["9000001"], "p41270": [["I10", "I251"]], "p31": [1]}).to_parquet(path)
    frame = read_table(path, ["p41270", "p31"])
    assert parse_code_list(frame["p41270"].iloc[0]) == ["I10", "I251"]
    assert frame["p31"].tolist() == [1]


def test_defects_have_reasons(tmp_path: Path) -> None:
    def reason(name: str, data: bytes | None, columns: list[str] | None = None) -> str:
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(RecordError) as caught:
            read_table(path, columns)
        return caught.value.reason

    assert reason("missing.csv", None) == reasons.MISSING_FILE
    assert reason("empty.csv", b"") == reasons.EMPTY
    assert reason("columns.csv", b"a,b\n1,2\n", ["c"]) == reasons.BAD_TABLE
    assert reason("ragged.csv", b"a,b\n1,2,3\n") == reasons.BAD_TABLE
    assert reason("twice.csv", b"a,a\n1,2\n") == reasons.BAD_TABLE
    assert reason("bad.parquet", b"PAR1xxxxPAR1") == reasons.BAD_TABLE
