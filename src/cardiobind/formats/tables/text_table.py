"""Tables in text files, separated by commas, tabs or semicolons, of which only the columns asked for are kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.csv

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked

BLOCK_BYTES = 4 << 20
LARGEST_HEADER_BYTES = 16 << 20
MOST_HEADER_LINES = 1000
MOST_COLUMNS = 200_000
NO_VALUE = ("", "NA", "NaN", "nan", "#N/A")
_arrow: Any = pyarrow  # pyarrow has no type hints
_WIDE_ENCODINGS = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Header:
    """The header line of a text table.

    Attributes:
        names: of the columns, in order.
        line: its bytes without the byte order mark.
        delimiter: the commonest of comma, tab and semicolon in it.
    """

    names: list[str]
    line: bytes
    delimiter: str


def read_header(path: Path) -> Header:
    """Return the header of a text table without reading further.

    Raises:
        RecordError: the file is empty or no text, or its header is longer than any table's.
    """
    line = _first_line(path)
    delimiter = max(",\t;", key=lambda mark: line.count(mark.encode()))
    if line.count(delimiter.encode()) > MOST_COLUMNS:
        raise RecordError(
            reasons.UNSUPPORTED, "the table has too many columns", where=masked(path),
            expected=f"at most {MOST_COLUMNS}", got=line.count(delimiter.encode()) + 1,
        )  # fmt: skip
    text = io.StringIO(line.decode(_encoding(line)), newline="")
    try:
        return Header(next(csv.reader(text, delimiter=delimiter)), line, delimiter)
    except (csv.Error, StopIteration):
        raise RecordError(reasons.BAD_TABLE, "the table's header cannot be parsed", where=masked(path)) from None


def read_columns(path: Path, header: Header, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of a text table as text, NaN for an empty cell, block by block.

    Raises:
        RecordError: a row has more or fewer cells than the header.
    """
    encodings = ["latin-1"] if _encoding(header.line) == "latin-1" else ["utf-8", "latin-1"]
    for encoding in encodings:
        try:
            return _read(path, header, columns, encoding)
        except (_arrow.ArrowInvalid, UnicodeDecodeError):
            if encoding == encodings[-1]:
                _refuse_ragged(path, header, columns)
                raise
    raise RecordError(reasons.BAD_TABLE, "the table is in no known encoding", where=masked(path))


def _read(
    path: Path, header: Header, columns: Sequence[str], encoding: str, on_ragged: Callable[[Any], str] | None = None
) -> pd.DataFrame:
    stream = _arrow.csv.open_csv(
        path,
        read_options=_arrow.csv.ReadOptions(
            block_size=max(BLOCK_BYTES, 2 * len(header.line)), encoding=encoding, use_threads=False
        ),
        parse_options=_arrow.csv.ParseOptions(
            delimiter=header.delimiter, newlines_in_values=True, invalid_row_handler=on_ragged
        ),
        convert_options=_arrow.csv.ConvertOptions(
            include_columns=list(columns),
            column_types={name: _arrow.string() for name in columns},
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
            null_values=list(NO_VALUE),
        ),
    )
    with stream:
        frame: pd.DataFrame = _arrow.Table.from_batches(list(stream), stream.schema).to_pandas()
    return frame


def _refuse_ragged(path: Path, header: Header, columns: Sequence[str]) -> None:
    """Read once more, only to say which row of a table that cannot be read has another length than the header."""
    ragged: list[tuple[int | None, int, int]] = []

    def note(row: Any) -> str:
        ragged.append((row.number, row.actual_columns, row.expected_columns))
        return "error"

    try:
        _read(path, header, columns, "latin-1", note)
    except (_arrow.ArrowInvalid, UnicodeDecodeError):
        if ragged:
            raise _ragged_error(path, ragged) from None


def _ragged_error(path: Path, ragged: Sequence[tuple[int | None, int, int]]) -> RecordError:
    number, actual, expected = ragged[0]
    return RecordError(
        reasons.BAD_TABLE, "a row has another number of cells than the header", where=f"{masked(path)} row {number}",
        expected=expected, got=actual, hint="a cell that holds the separator must be in quotes",
    )  # fmt: skip


def _first_line(path: Path) -> bytes:
    with path.open("rb") as stream:
        start = stream.read(4)
        if start.startswith(_WIDE_ENCODINGS):
            raise RecordError(
                reasons.NOT_RECOGNISED, "the table is not plain text", where=masked(path),
                hint="UTF-16 text: save it as UTF-8; a workbook: give the file its suffix .xlsx",
            )  # fmt: skip
        stream.seek(len(_BOM) if start.startswith(_BOM) else 0)
        line = b"".join(_header_parts(stream, path))
    if not line.strip():
        raise RecordError(reasons.EMPTY, "the table is empty", where=masked(path))
    return line


def _header_parts(stream: Any, path: Path) -> Iterator[bytes]:
    """Yield the lines of the header: more than one where a quoted name holds a line break."""
    length, quotes, lines = 0, 0, 0
    while part := stream.readline(LARGEST_HEADER_BYTES + 1):
        if b"\n" not in part and b"\r" in part:  # the line ends of old spreadsheets
            part = part[: part.index(b"\r") + 1]
        length, quotes, lines = length + len(part), quotes + part.count(b'"'), lines + 1
        if length > LARGEST_HEADER_BYTES or lines > MOST_HEADER_LINES:
            raise RecordError(
                reasons.UNSUPPORTED, "the table's header is too long", where=masked(path),
                expected=f"at most {LARGEST_HEADER_BYTES} bytes and {MOST_HEADER_LINES} lines",
            )  # fmt: skip
        yield part
        if quotes % 2 == 0:
            return


def _encoding(line: bytes) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
