"""Column names of UK Biobank tables in their five styles -> (field, instance, array).

========================== ================= ==================== ============
RAP table exporter         ``eid``           ``p4080_i2_a1``      ``p31``
RAP ``dx extract_dataset`` participant.eid   with the same prefix
ukbconv csv                ``eid``           ``4080-2.1``         ``31-0.0``
ukbconv R, tab             ``f.eid``         ``f.4080.2.1``       ``f.31.0.0``
titles                     Participant ID    ``Age when attended assessment centre | Instance 2``
========================== ================= ==================== ============
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cardiobind.formats.tables.ukb_titles import TITLES

_STYLES = (
    re.compile(r"^(?:participant\.)?p(\d+)(?:_i(\d+))?(?:_a(\d+))?$"),
    re.compile(r"^(\d+)-(\d+)\.(\d+)$"),
    re.compile(r"^f\.(\d+)\.(\d+)\.(\d+)$"),
)
_TITLE = re.compile(r"^(.*?)(?: \| Instance (\d+))?(?: \| Array (\d+))?$")
_IDENTIFIERS = {"eid", "participant.eid", "f.eid", "participant id", "n_eid"}


@dataclass(frozen=True, order=True)
class Column:
    """One column of a UK Biobank table; instance and array are None where the header has none."""

    field: int
    instance: int | None
    array: int | None
    header: str


def parse_header(header: str) -> Column | None:
    """Return field, instance and array of a column name, or None if it is of no style known."""
    for style in _STYLES:
        match = style.match(header)
        if match:
            field, instance, array = match.groups()
            return Column(int(field), _optional(instance), _optional(array), header)
    match = _TITLE.match(header.strip())
    if match and match.group(1).lower() in TITLES:
        return Column(TITLES[match.group(1).lower()], _optional(match.group(2)), _optional(match.group(3)), header)
    return None


def identifier_column(headers: Iterable[str]) -> str | None:
    """Return the name of the column that holds the participant identifier, or None."""
    return next((header for header in headers if header.strip().lower() in _IDENTIFIERS), None)


def columns_by_field(headers: Iterable[str]) -> dict[int, list[Column]]:
    """Return the columns of each field, in order of instance and array."""
    found: dict[int, list[Column]] = {}
    for header in headers:
        column = parse_header(header)
        if column is not None:
            found.setdefault(column.field, []).append(column)
    return {field: sorted(columns, key=lambda c: (c.instance or 0, c.array or 0)) for field, columns in found.items()}


def _optional(text: str | None) -> int | None:
    return None if text is None else int(text)
