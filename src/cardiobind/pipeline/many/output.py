"""Rows into a file: Parquet, CSV or JSON by its ending, the same numbers to the bit in each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from cardiobind.errors import ConfigError
from cardiobind.pipeline.many.columns import Column

_arrow: Any = pyarrow  # pyarrow has no type hints
_TYPES = {"text": _arrow.string(), "number": _arrow.float64(), "flag": _arrow.bool_()}
ROWS_AT_ONCE = 16_384
METADATA_KEY = b"cardiobind"

Row = Mapping[str, Any]
Write = Callable[[Path, Iterable[Row], Sequence[Column], Mapping[str, Any]], None]


def writer_of(out: Path) -> Write:
    """Return what writes rows into a file of this name.

    Raises:
        ConfigError: no format has this ending.
    """
    if out.suffix.lower() not in WRITERS:
        raise ConfigError(
            "unknown kind of table", where="--out", expected=" | ".join(WRITERS), got=out.suffix or "none"
        )
    return WRITERS[out.suffix.lower()]


def write_parquet(path: Path, rows: Iterable[Row], columns: Sequence[Column], facts: Mapping[str, Any]) -> None:
    """Write a Parquet file whose metadata hold the facts, as JSON under the key ``cardiobind``."""
    fields = [_arrow.field(c.name, _TYPES[c.kind]) for c in columns]
    schema = _arrow.schema(fields, metadata={METADATA_KEY: json.dumps(facts, sort_keys=True)})
    write_table(
        path, (_arrow.table([_array(c, block) for c in columns], schema=schema) for block in blocks(rows)), schema
    )


def write_table(path: Path, tables: Iterable[Any], schema: Any) -> None:
    """Write Arrow tables of one schema into one Parquet file."""
    with _arrow.parquet.ParquetWriter(path, schema) as writer:
        for table in tables:
            writer.write_table(table)


def write_csv(path: Path, rows: Iterable[Row], columns: Sequence[Column], facts: Mapping[str, Any]) -> None:
    """Write a CSV; numbers have all digits that a float64 needs, flags are ``true`` or ``false``."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        writer.writerows([_cell(column.value(row)) for column in columns] for row in rows)


def write_jsonl(path: Path, rows: Iterable[Row], columns: Sequence[Column], facts: Mapping[str, Any]) -> None:
    """Write one JSON object a line, what `cardiobind predict` prints of one subject under ``prediction``."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{_object(row)}\n" for row in rows)


def write_json(path: Path, rows: Iterable[Row], columns: Sequence[Column], facts: Mapping[str, Any]) -> None:
    """Write one JSON array of the same objects, one a line."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write("[")
        stream.writelines(f"{',' if number else ''}\n{_object(row)}" for number, row in enumerate(rows))
        stream.write("\n]\n")


WRITERS: dict[str, Write] = {
    ".parquet": write_parquet, ".pq": write_parquet, ".csv": write_csv, ".jsonl": write_jsonl, ".ndjson": write_jsonl,
    ".json": write_json,
}  # fmt: skip


def blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield the rows some thousands at a time; once nothing where there is none."""
    left = iter(rows)
    block = list(islice(left, ROWS_AT_ONCE))
    yield block
    while block := list(islice(left, ROWS_AT_ONCE)):
        yield block


def _array(column: Column, rows: Sequence[Row]) -> Any:
    return _arrow.array([column.value(row) for row in rows], type=_TYPES[column.kind])


def _object(row: Row) -> str:
    named = {"prediction" if name == "told" else name: value for name, value in row.items()}
    return json.dumps(named, allow_nan=False, ensure_ascii=False)


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
