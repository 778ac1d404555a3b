"""Tables in Excel workbooks (.xlsx), streamed row by row; what a file claims of its size is checked beforehand."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked
from cardiobind.formats.tables.text_table import NO_VALUE

SEPARATOR = "::"
LARGEST_PART_BYTES = 64 << 20
MOST_PARTS = 2000
MOST_COLUMNS = 16_384
MOST_ROWS = 1_048_576
MOST_EMPTY_ROWS = 10_000
MOST_TAGS_PER_ROW = 12 * MOST_COLUMNS
_CHUNK_BYTES = 1 << 20
_arrow: Any = pyarrow  # pyarrow has no type hints


def sheet_columns(path: Path, sheet: str) -> list[str]:
    """Return the names in the first row of a sheet.

    Args:
        path: the workbook.
        sheet: its name; empty for the first one.

    Raises:
        RecordError: there is no such sheet, it is empty, or the workbook is larger than is read.
    """
    with _rows(path, sheet) as rows:
        return _names(rows, path)


def read_sheet(path: Path, sheet: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return columns of a sheet as text, NaN for an empty cell; of a formula its last result is taken.

    Raises:
        RecordError: as `sheet_columns`, or a row has cells beyond the header, or the sheet has too many rows.
    """
    with _rows(path, sheet) as rows:
        names = _names(rows, path)
        places = [names.index(name) for name in columns]
        cells = [[_at(row, place) for place in places] for row in _filled(rows, len(names), path)]
    arrays = [_arrow.array([row[k] for row in cells], type=_arrow.string()) for k in range(len(places))]
    frame: pd.DataFrame = _arrow.Table.from_arrays(arrays, names=list(columns)).to_pandas()
    return frame


@contextmanager
def _rows(path: Path, sheet: str) -> Iterator[Iterator[tuple[Any, ...]]]:
    from openpyxl.reader import excel
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        _check_parts(path)
        open_workbook: Any = excel.load_workbook
        workbook = open_workbook(path, read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, SyntaxError):
        raise RecordError(reasons.BAD_TABLE, "the workbook is damaged", where=masked(path)) from None
    try:
        titles = [one.title for one in workbook.worksheets]
        if not titles or (sheet and sheet not in titles):
            raise RecordError(reasons.BAD_TABLE, "the workbook has no such sheet", where=masked(path))
        chosen = workbook[sheet or titles[0]]
        chosen.reset_dimensions()
        yield chosen.iter_rows(values_only=True)
    finally:
        workbook.close()


def _check_parts(path: Path) -> None:
    """Refuse parts that unpack to more than is read, that define entities, or whose rows are wider than a sheet."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if len(parts) > MOST_PARTS:
            raise _too_large(path, f"at most {MOST_PARTS} parts", len(parts))
        for part in parts:
            if part.file_size > LARGEST_PART_BYTES:
                raise _too_large(path, f"at most {LARGEST_PART_BYTES} bytes a part", part.file_size)
            if part.filename.lower().endswith((".xml", ".rels", ".vml")):
                with archive.open(part) as stream:
                    _check_part(stream, path, part.filename.endswith("sharedStrings.xml"))


def _check_part(stream: Any, path: Path, are_strings: bool) -> None:
    tags, tail = 0, b""
    while block := stream.read(_CHUNK_BYTES):
        text = tail + block
        wide = not tail and (b"\x00" in block[:4] or block.startswith((b"\xff\xfe", b"\xfe\xff")))
        if wide or b"<!DOCTYPE" in text or b"<!ENTITY" in text or (are_strings and b"sheetData" in text):
            raise RecordError(reasons.BAD_TABLE, "the workbook is unsafe or damaged", where=masked(path))
        if not are_strings:
            first, *others = block.split(b"<row")
            tags += first.count(b"<")
            for row in others:
                _check_tags(tags, path)
                tags = row.count(b"<")
            _check_tags(tags, path)
        tail = block[-16:]


def _check_tags(tags: int, path: Path) -> None:
    if tags > MOST_TAGS_PER_ROW:
        raise _too_large(path, f"at most {MOST_COLUMNS} columns", f"{tags} tags in a row")


def _names(rows: Iterator[tuple[Any, ...]], path: Path) -> list[str]:
    names = [_text(cell) or "" for cell in next(rows, ())]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise RecordError(reasons.EMPTY, "the sheet is empty", where=masked(path), expected="names in its first row")
    if len(names) > MOST_COLUMNS:
        raise _too_large(path, f"at most {MOST_COLUMNS} columns", len(names))
    return names


def _filled(rows: Iterator[tuple[Any, ...]], width: int, path: Path) -> Iterator[tuple[Any, ...]]:
    empty = 0
    for number, row in enumerate(rows, start=2):
        empty = 0 if any(cell is not None for cell in row) else empty + 1
        if number > MOST_ROWS or empty > MOST_EMPTY_ROWS:
            raise _too_large(path, f"at most {MOST_ROWS} rows, {MOST_EMPTY_ROWS} of them empty on end", number)
        if any(_text(cell) is not None for cell in row[width:]):
            raise RecordError(
                reasons.BAD_TABLE, "a row has cells beyond the header", where=f"{masked(path)} row {number}",
                expected=width, got=len(row),
            )  # fmt: skip
        if not empty:
            yield row


def _at(row: tuple[Any, ...], place: int) -> str | None:
    return _text(row[place]) if place < len(row) else None


def _text(cell: Any) -> str | None:
    """Return a cell as a text file would hold it: whole numbers without a point, days as YYYY-MM-DD."""
    if cell is None or (isinstance(cell, str) and cell in NO_VALUE):
        return None
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date):
        return cell.isoformat()
    return re.sub(r"\r\n?", "\n", str(cell))


def _too_large(path: Path, expected: str, got: object) -> RecordError:
    return RecordError(
        reasons.UNSUPPORTED, "the workbook is larger than is read", where=masked(path), expected=expected, got=got,
        hint="save the sheet as CSV or Parquet",
    )  # fmt: skip
