"""Tables from CSV, tab-separated and Parquet files, of which only the columns asked for are read, text left as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked

BLOCK_BYTES = 16 << 20
_arrow: Any = pyarrow  # pyarrow has no type hints
_PARQUET = {".parquet", ".pq"}


def table_columns(path: Path | str) -> list[str]:
    """Return the column names of a table without reading its rows.

    Raises:
        RecordError: the file is missing, empty or no table.
    """
    path = Path(path)
    with decoding(reasons.BAD_TABLE, "the table's header cannot be parsed", str(path)):
        if path.suffix.lower() in _PARQUET:
            return list(_arrow.parquet.read_schema(path).names)
        with path.open("rb") as stream:
            line = stream.readline()
        if not line.strip():
            raise RecordError(reasons.EMPTY, "the table is empty", where=masked(path))
        options = _arrow.csv.ReadOptions(block_size=max(BLOCK_BYTES, 2 * len(line)), encoding=_encoding(line))
        header = _arrow.csv.read_csv(_arrow.BufferReader(line), read_options=options, parse_options=_dialect(line))
        return list(header.column_names)


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read columns of a table.

    Args:
        path: ``.csv``, ``.tsv``, ``.tab``, ``.txt`` or ``.parquet``.
        columns: names to read, or None for all.

    Returns:
        Text columns from a text file, with NaN for an empty cell: which text means missing, and what is a number, is
        for the caller to say. Parquet keeps its types; a list cell becomes a NumPy array.

    Raises:
        RecordError: the file is missing or damaged, or has not such a column.
    """
    path = Path(path)
    names = table_columns(path)
    wanted = names if columns is None else list(columns)
    absent = sorted(set(wanted) - set(names))
    if absent:
        raise RecordError(
            reasons.BAD_TABLE, "the table has no such column", where=masked(path), expected=", ".join(absent[:5])
        )
    repeated = sorted({name for name in wanted if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise RecordError(reasons.BAD_TABLE, "two columns have one name", where=masked(path), got=", ".join(repeated))
    with decoding(reasons.BAD_TABLE, "the table cannot be parsed", str(path)):
        table = (
            _arrow.parquet.read_table(path, columns=wanted)
            if path.suffix.lower() in _PARQUET
            else _read_text(path, wanted)
        )
        frame: pd.DataFrame = table.to_pandas()
    return frame


def _read_text(path: Path, columns: Sequence[str]) -> Any:
    with path.open("rb") as stream:
        line = stream.readline()
    encodings = ["latin-1"] if _encoding(line) == "latin-1" else ["utf-8", "latin-1"]
    for encoding in encodings:
        try:
            return _arrow.csv.read_csv(
                path,
                read_options=_arrow.csv.ReadOptions(block_size=max(BLOCK_BYTES, 2 * len(line)), encoding=encoding),
                parse_options=_dialect(line),
                convert_options=_arrow.csv.ConvertOptions(
                    include_columns=list(columns),
                    column_types={name: _arrow.string() for name in columns},
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                    null_values=["", "NA", "NaN", "nan"],
                ),
            )
        except (_arrow.ArrowInvalid, UnicodeDecodeError):
            if encoding == encodings[-1]:
                raise
    raise RecordError(reasons.BAD_TABLE, "the table is in no known encoding", where=masked(path))


def _dialect(line: bytes) -> Any:
    tab = line.count(b"\t") > line.count(b",")
    return _arrow.csv.ParseOptions(delimiter="\t" if tab else ",", newlines_in_values=True)


def _encoding(line: bytes) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
