"""Tables as files that go into a paper: CSV with full numbers, Markdown and LaTeX with rounded ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_FLOAT_ROWS = 40
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "−": "$-$", "–": "--", "²": r"\textsuperscript{2}", "×": r"$\times$", "±": r"$\pm$", "≥": r"$\geq$",
    "≤": r"$\leq$", "→": r"$\rightarrow$", "·": r"$\cdot$", "⊂": r"$\subset$", "Δ": r"$\Delta$", "\n": " ",
}  # fmt: skip


@dataclass(frozen=True)
class PaperTable:
    """One table, for people and for programs.

    Attributes:
        name: stem of its files and its label in LaTeX.
        caption: what it shows.
        rows: text, the header first, all equally long.
        records: the same and more with unrounded numbers, a mapping a line; for CSV.
        text_columns: columns from the left that hold words; the others stand at the right.
        notes: printed below.
    """

    name: str
    caption: str
    rows: Sequence[Sequence[str]]
    records: Sequence[Mapping[str, Any]]
    text_columns: int = 1
    notes: Sequence[str] = ()


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as CSV: a column for each key in order of first appearance, empty where there is no value.

    Args:
        records: values are text, numbers or None; what a spreadsheet would take for a formula is kept from being one.
    """
    columns = list(dict.fromkeys(key for record in records for key in record))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_csv_cell(record.get(column)) for column in columns] for record in records])
    return out.getvalue()


def markdown_text(table: PaperTable) -> str:
    """Return a table as Markdown with its caption above and its notes below."""
    header, *body = ["| " + " | ".join(_markdown_cell(text) for text in row) + " |" for row in table.rows]
    rule = "|" + "".join(" --- |" if i < table.text_columns else " ---: |" for i in range(len(table.rows[0])))
    notes = [f"- {note}" for note in table.notes]
    return "\n".join([f"**{table.caption}**", "", header, rule, *body, *([""] if notes else []), *notes]) + "\n"


def latex_text(table: PaperTable) -> str:
    """Return a table as LaTeX that needs `booktabs`, and `longtable` where it is longer than a page."""
    header, *body = [" & ".join(latex_escape(text) for text in row) + r" \\" for row in table.rows]
    columns = "".join("l" if i < table.text_columns else "r" for i in range(len(table.rows[0])))
    caption = rf"\caption{{{latex_escape(table.caption)}}}\label{{tab:{table.name}}}"
    notes = [r"\par\smallskip\footnotesize " + " ".join(latex_escape(n) for n in table.notes)] if table.notes else []
    if len(body) > LONGEST_FLOAT_ROWS:
        top = [rf"\begin{{longtable}}{{{columns}}}", caption + r" \\", r"\toprule", header, r"\midrule", r"\endhead"]
        lines = [*top, *body, r"\bottomrule", r"\end{longtable}", *notes]
    else:
        top = [r"\begin{table}", r"\centering", caption, rf"\begin{{tabular}}{{{columns}}}", r"\toprule", header]
        lines = [*top, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}"]
    return "\n".join(lines) + "\n"


def latex_escape(text: str) -> str:
    """Return text as LaTeX prints it letter by letter."""
    return "".join(_ESCAPES.get(letter, letter) for letter in text)


def write_tables(folder: Path, tables: Sequence[PaperTable]) -> list[Path]:
    """Write each table as ``NAME.csv``, ``NAME.md`` and ``NAME.tex``, and return the paths.

    Args:
        folder: made where it is not there.
        tables: with names of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for table in tables:
        for ending, text in files_of(table).items():
            written.append(folder / f"{table.name}.{ending}")
            written[-1].write_text(text, encoding="utf-8")
    return written


def files_of(table: PaperTable) -> dict[str, str]:
    """Return the content of a table's files by their ending: csv, md, tex."""
    return {"csv": csv_text(table.records), "md": markdown_text(table), "tex": latex_text(table)}


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _markdown_cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
