"""An inspection as one HTML page that needs no other file."""

from __future__ import annotations

from cardiobind.evaluation.report.html import bullets, heading, page, paragraph, picture, table
from cardiobind.inspection.sheet import Sheet, SheetTable

_WARNING = "It shows raw data of persons: keep it where the data may be kept. Research use only."


def to_html(sheet: Sheet) -> str:
    """Return a sheet and its parts as a page with the pictures inside."""
    sheets = (sheet, *sheet.parts)
    sections = [(f"part-{number}", one.title, _section(one)) for number, one in enumerate(sheets)]
    return page("What is in it", sheet.title, _WARNING, sections, "Made by cardiobind inspect")


def to_text(sheet: Sheet) -> list[str]:
    """Return a sheet and its parts as lines for a terminal, without pictures."""
    lines: list[str] = []
    for one in (sheet, *sheet.parts):
        width = max((len(name) for name, _ in one.facts), default=0)
        lines += ["", one.title, *(f"  {name:<{width}}  {value}" for name, value in one.facts)]
        lines += [f"  ! {warning}" for warning in one.warnings]
        lines += [line for table in one.tables for line in _aligned(table)]
    return lines


def _aligned(table: SheetTable) -> list[str]:
    widths = [max(len(row[column]) for row in table.rows) for column in range(len(table.rows[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table.rows]
    return ["", f"  {table.caption}", *(f"  {row.rstrip()}" for row in rows)]


def _section(sheet: Sheet) -> str:
    parts = [table((("fact", "value"), *sheet.facts), "What it is", text_columns=2)] if sheet.facts else []
    if sheet.warnings:
        parts += [heading("What is wrong with it"), bullets(sheet.warnings)]
    elif not sheet.parts:
        parts.append(paragraph("Nothing wrong was found."))
    parts += [picture(one.figure, one.alt, one.caption, raster=True) for one in sheet.pictures]
    parts += [table(one.rows, one.caption, text_columns=one.text_columns) for one in sheet.tables]
    return "\n".join(parts)
