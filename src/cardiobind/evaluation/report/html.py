"""The few pieces of HTML a report is made of; all text is escaped here and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure

from cardiobind.evaluation.figures.style import png_base64, svg
from cardiobind.evaluation.table_files import PaperTable, files_of

LONGEST_OPEN = 40
STYLE = """
:root { --ink: #1d2733; --muted: #566270; --rule: #d5dae0; --accent: #0b5394; }
* { box-sizing: border-box; }
html { font: 16px/1.55 -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
html { color: var(--ink); background: #fff; }
body { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.lead { font-size: 1.1rem; color: var(--muted); }
.warning { border-left: 4px solid #b45309; background: #fff8ee; padding: .6rem .9rem; max-width: 46rem; }
nav ol { columns: 2; max-width: 46rem; padding-left: 1.4rem; margin: .6rem 0; }
a { color: var(--accent); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; margin: .8rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--muted); padding-bottom: .35rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { border-bottom: 1.5px solid var(--ink); white-space: nowrap; }
tbody th { font-weight: 600; min-width: 8.5rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
tr.open td, tr.open th { background: #fff1dc; }
tr.partly td, tr.partly th { background: #fffaf0; }
li.open, p.open { background: #fff1dc; border-left: 4px solid #b45309; padding: .2rem .6rem; }
figure { margin: 1.2rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
.pair { display: grid; gap: 1.5rem; align-items: start; }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
.pair figure { margin: .6rem 0; }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.row figure { margin: .4rem 0; max-width: 22rem; }
figcaption, .source { font-size: .82rem; color: var(--muted); max-width: 46rem; }
.source { margin: .2rem 0 .8rem; }
code, pre { font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
code { overflow-wrap: anywhere; }
pre { background: #f5f7f9; padding: 1rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
footer { color: var(--muted); font-size: .85rem; }
summary { cursor: pointer; color: var(--accent); font-size: .9rem; margin: .8rem 0; }
@media print {
  details::details-content { content-visibility: visible; display: block; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  pre { background: none; border: 1px solid var(--rule); }
}
"""


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph.

    Args:
        text: plain text.
        kind: CSS class, or none.
    """
    return f"<p{_class(kind)}>{escape(text)}</p>"


def heading(text: str) -> str:
    """Return a heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def table(
    rows: Sequence[Sequence[str]], caption: str, *, text_columns: int = 1, kinds: Sequence[str] = (),
    fold: bool = False,
) -> str:  # fmt: skip
    """Return a table with a caption; the first row is the header and the first cell of a row names it.

    Args:
        rows: text, the header first, all equally long.
        caption: what it shows.
        text_columns: columns from the left that hold words; the others are numbers and stand at the right.
        kinds: CSS class of each row below the header, "" for none; none at all where they are not given.
        fold: whether a long one is closed until it is asked for.
    """
    header, *body = rows
    head = "".join(f'<th scope="col"{_number(i, text_columns)}>{escape(t)}</th>' for i, t in enumerate(header))
    marks = kinds or [""] * len(body)
    lines = "".join(f"<tr{_class(k)}>{_cells(row, text_columns)}</tr>" for row, k in zip(body, marks, strict=True))
    shown = (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
    if not fold or len(body) <= LONGEST_OPEN:
        return shown
    return f"<details><summary>{escape(caption)}: {len(body)} rows</summary>{shown}</details>"


def paper_table(table: PaperTable) -> str:
    """Return a table with its notes and its files below it."""
    return _rows(table) + (bullets(table.notes) if table.notes else "") + downloads(table)


def downloads(table: PaperTable) -> str:
    """Return links that save a table as CSV, Markdown and LaTeX out of this page, without a network."""
    links = []
    for ending, text in files_of(table).items():
        data = base64.b64encode(text.encode()).decode("ascii")
        name = f"{table.name}.{ending}"
        links.append(f'<a download="{escape(name)}" href="data:text/plain;base64,{data}">{escape(name)}</a>')
    return f'<p class="source">Save the table: {" · ".join(links)}</p>'


def _rows(paper: PaperTable) -> str:
    return table(paper.rows, paper.caption, text_columns=paper.text_columns, fold=True)


def picture(figure: Figure, alt: str, caption: str = "", *, raster: bool = False) -> str:
    """Return a figure with the picture inside the page.

    Args:
        figure: the picture.
        alt: what it shows, for those who cannot see it.
        caption: printed below.
        raster: as PNG, for photographs and long signals; otherwise SVG.
    """
    if raster:
        data = f"data:image/png;base64,{png_base64(figure)}"
    else:
        data = f"data:image/svg+xml;base64,{base64.b64encode(svg(figure).encode()).decode('ascii')}"
    width = round(figure.get_figwidth() * 96)
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(alt)}" width="{width}" src="{data}">{below}</figure>'


def side_by_side(figures: Sequence[str]) -> str:
    """Return pictures next to each other where there is room."""
    return f'<div class="pair">{"".join(figures)}</div>'


def in_a_row(figures: Sequence[str]) -> str:
    """Return small pictures in a row that wraps."""
    return f'<div class="row">{"".join(figures)}</div>'


def preformatted(text: str) -> str:
    """Return text as it is, in a fixed-width font."""
    return f"<pre>{escape(text)}</pre>"


def bullets(items: Sequence[str]) -> str:
    """Return a list."""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def marked(items: Sequence[str], beginning: str) -> str:
    """Return a list in which the items that begin with a word stand out."""
    lines = [f"<li{_class('open' if i.startswith(beginning) else '')}>{escape(i)}</li>" for i in items]
    return f"<ul>{''.join(lines)}</ul>"


def page(title: str, lead: str, warning: str, sections: Sequence[tuple[str, str, str]], footer: str) -> str:
    """Return a whole document.

    Args:
        title: of page and window.
        lead: one sentence below it.
        warning: printed prominently.
        sections: (anchor, heading, HTML).
        footer: last line.
    """
    links = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>' for anchor, name, _ in sections)
    body = "\n".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">'
        f'<h2 id="{anchor}-title">{escape(name)}</h2>{html}</section>'
        for anchor, name, html in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<header><h1>{escape(title)}</h1>{paragraph(lead, 'lead')}"
        f'{paragraph(warning, "warning")}</header>\n<nav aria-label="Contents"><ol>{links}</ol></nav>\n'
        f"<main>\n{body}\n</main>\n<footer>{escape(footer)}</footer>\n</body>\n</html>\n"
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _number(column: int, text_columns: int) -> str:
    return ' class="number"' if column >= text_columns else ""


def _cells(row: Sequence[str], text_columns: int) -> str:
    first = f'<th scope="row">{escape(row[0])}</th>'
    return first + "".join(f"<td{_number(i, text_columns)}>{escape(text)}</td>" for i, text in enumerate(row) if i)
