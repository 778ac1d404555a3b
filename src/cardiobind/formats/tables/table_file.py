"""Tables from text, Parquet and Excel files, of which only the columns asked for are read, text left as text."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.ecg.array_layout import EXAMPLE
from cardiobind.formats.tables.excel_table import SEPARATOR, read_sheet, sheet_columns
from cardiobind.formats.tables.text_table import read_columns, read_header

_arrow: Any = pyarrow  # pyarrow has no type hints
_PARQUET = {".parquet", ".pq"}
_EXCEL = {".xlsx", ".xlsm"}
MOST_ROWS = 10_000_000
_OLD_EXCEL = {".xls", ".xlsb"}


def table_path(location: Path | str) -> Path:
    """Return the file of a table's location, which may name a sheet: ``clinic.xlsx::Visits``."""
    return Path(str(location).partition(SEPARATOR)[0])


def table_columns(location: Path | str) -> list[str]:
    """Return the column names of a table without reading its rows.

    Args:
        location: ``.csv``, ``.tsv``, ``.tab``, ``.txt``, ``.parquet`` or ``.xlsx``; of a workbook the first sheet, or
            the one named behind ``::``.

    Raises:
        RecordError: the file is missing, empty, larger than is read, or no table.
    """
    path = table_path(location)
    with decoding(reasons.BAD_TABLE, "the table's header cannot be parsed", str(path)):
        kind = _kind(path)
        if kind == "parquet":
            return list(_arrow.parquet.read_schema(path).names)
        return sheet_columns(path, _sheet(location)) if kind == "excel" else read_header(path).names


def read_table(location: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read columns of a table.

    Args:
        location: as for `table_columns`.
        columns: names to read, or None for all.

    Returns:
        Text columns from a text file or workbook, with NaN for an empty cell: which text means missing, and what is a
        number, is for the caller to say. Parquet keeps its types; a list cell becomes a NumPy array.

    Raises:
        RecordError: the file is missing or damaged, has not such a column, or has it twice.
    """
    path, names = table_path(location), table_columns(location)
    wanted = names if columns is None else list(columns)
    _check_wanted(path, names, wanted)
    with decoding(reasons.BAD_TABLE, "the table cannot be parsed", str(path)):
        kind = _kind(path)
        if kind == "parquet":
            return _parquet_columns(path, wanted)
        return read_sheet(path, _sheet(location), wanted) if kind == "excel" else _text_columns(path, wanted)


def _parquet_columns(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    with _arrow.parquet.ParquetFile(path) as file:
        rows = file.metadata.num_rows
        if rows > MOST_ROWS:
            raise RecordError(
                reasons.UNSUPPORTED, "the table has too many rows", where=masked(path), expected=f"at most {MOST_ROWS}",
                got=rows,
            )  # fmt: skip
        frame: pd.DataFrame = file.read(columns=list(wanted)).to_pandas(ignore_metadata=True)
    return frame[list(wanted)]


def _text_columns(path: Path, wanted: Sequence[str]) -> pd.DataFrame:
    return read_columns(path, read_header(path), wanted)


def _check_wanted(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    absent = sorted(set(wanted) - set(names))
    if absent:
        raise RecordError(
            reasons.BAD_TABLE, "the table has no such column", where=masked(path), expected=", ".join(absent[:5])
        )
    repeated = sorted({name for name in wanted if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise RecordError(
            reasons.BAD_TABLE, "two columns have one name", where=masked(path),
            got=", ".join(map(_shown, repeated[:5])),
            hint=f"is the first line a header? an ECG wants NAME.layout.json beside it, for example {EXAMPLE}",
        )  # fmt: skip


def _shown(name: str) -> str:
    """Return a column name for an error; a number is a cell of a table without header and is not shown."""
    try:
        float(name)
    except ValueError:
        return masked(name)
    return "a number"


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _OLD_EXCEL:
        raise RecordError(
            reasons.UNSUPPORTED, "this kind of workbook is not read", where=masked(path),
            hint="save it as .xlsx or CSV",
        )  # fmt: skip
    if suffix in _EXCEL and path.is_file() and not zipfile.is_zipfile(path):
        raise RecordError(reasons.BAD_TABLE, "the workbook is damaged", where=masked(path))
    return "parquet" if suffix in _PARQUET else "excel" if suffix in _EXCEL else "text"


def _sheet(location: Path | str) -> str:
    return str(location).partition(SEPARATOR)[2]
