"""One sheet of an inspection: facts, tables and pictures of what was found at one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from matplotlib.figure import Figure

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A drawn figure: `alt` for those who cannot see it, `caption` printed below."""

    figure: Figure
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class SheetTable:
    """A table; the first of `rows` is the header, the first `text_columns` columns hold words."""

    rows: Rows
    caption: str
    text_columns: int = 1


@dataclass(frozen=True)
class Sheet:
    """What an inspection found.

    Attributes:
        title: kind of thing.
        facts: (name, value) pairs.
        warnings: what is wrong with it, in words.
        tables: longer lists.
        pictures: what it looks like.
        parts: sheets of things inside a folder.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...] = ()
    tables: tuple[SheetTable, ...] = ()
    pictures: tuple[Picture, ...] = ()
    parts: tuple[Sheet, ...] = field(default_factory=tuple)
