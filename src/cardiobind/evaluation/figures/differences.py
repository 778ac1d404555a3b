"""Paired differences as a forest: is one model better than another, where, and by how much?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, INK, MUTED, new_figure, quiet_grid, styled

_ROW_IN = 0.27


@dataclass(frozen=True)
class Difference:
    """One row of one panel.

    Attributes:
        group: rows of one group stand together under its name.
        row: name of the row within the group.
        panel: metric, as the title of a panel.
        value: the difference.
        low, high: its interval; None where there is none.
        note: printed at the right, such as the adjusted p.
    """

    group: str
    row: str
    panel: str
    value: float
    low: float | None
    high: float | None
    note: str = ""


@styled
def differences(rows: Sequence[Difference], *, left: str, right: str, title: str = "") -> Figure:
    """Return a forest of differences around zero, a panel a metric; filled where the interval leaves out zero.

    Args:
        rows: what to draw; groups and rows in order of appearance.
        left: what a value below zero speaks for.
        right: what a value above zero speaks for.
        title: above.

    Raises:
        InputError: there is nothing to draw.
    """
    if not rows:
        raise InputError("there is no difference to draw", where="differences")
    panels = list(dict.fromkeys(row.panel for row in rows))
    lines = _lines(rows)
    figure = new_figure(2.6 + 3.6 * len(panels), 1.5 + _ROW_IN * len(lines))
    every_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    places = {line: len(lines) - 1 - i for i, line in enumerate(lines)}
    for axes, panel in zip(every_axes, panels, strict=True):
        axes.axvline(0, color=INK, linewidth=0.8)
        for entry in (r for r in rows if r.panel == panel):
            _draw(axes, places[(entry.group, entry.row)], entry)
        axes.set_title(panel)
        axes.set_xlabel(f"← {left}   |   {right} →", fontsize=8)
        quiet_grid(axes)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
    names = [row if row else group for group, row in lines]
    every_axes[0].set_yticks([places[line] for line in lines], names)
    every_axes[0].set_ylim(-0.8, len(lines) - 0.2)
    for tick, (_, row) in zip(every_axes[0].get_yticklabels(), lines, strict=True):
        tick.set_fontweight("normal" if row else "bold")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _lines(rows: Sequence[Difference]) -> list[tuple[str, str]]:
    """Return (group, row) from the top down; a group of more than one row has a line with its name alone."""
    groups: dict[str, list[str]] = {}
    for entry in rows:
        names = groups.setdefault(entry.group, [])
        if entry.row not in names:
            names.append(entry.row)
    return [(group, name) for group, names in groups.items() for name in (["", *names] if group else names)]


def _draw(axes: Axes, y: float, row: Difference) -> None:
    low, high = (row.value if end is None else end for end in (row.low, row.high))
    bounded = row.low is not None and row.high is not None
    clear = bounded and (low > 0 or high < 0)
    colour = COLOURS[0] if clear else MUTED
    if bounded:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot(row.value, y, "s", color=colour, markersize=5, markerfacecolor=colour if clear else "white")
    axes.text(1.01, y, row.note, transform=axes.get_yaxis_transform(), va="center", fontsize=7)
