"""Errors that are kept with a quarantined record quote neither the file's name nor a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg
from cardiobind.formats.tables.table_file import read_table


def test_a_missing_layout_is_told_without_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "SECRETNAME.csv").write_text("1,2\n")
    with pytest.raises(RecordError) as caught:
        read_ecg(tmp_path / "SECRETNAME.csv")
    error = caught.value
    assert "SECRETNAME" not in f"{error.what} {error.expected} {error.got} {error.hint}"
    assert "NAME.layout.json" in str(error.expected)


def test_a_table_without_header_is_refused_without_its_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("-35,-35,7\n1,2,3\n")
    with pytest.raises(RecordError, match=r"NAME\.layout\.json") as caught:
        read_table(tmp_path / "a.csv")
    assert "-35" not in str(caught.value)
