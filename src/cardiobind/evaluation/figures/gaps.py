"""Which cells of a table are filled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, new_figure, styled


@styled
def table_gaps(filled: NDArray[np.bool_], columns: Sequence[str], *, title: str = "") -> Figure:
    """Return a map of a table, a line a column, dark where there is a value.

    Args:
        filled: (rows, columns).
        columns: their names.
        title: above all.

    Raises:
        InputError: names and columns differ in number, or there is nothing to draw.
    """
    if filled.ndim != 2 or not filled.size or filled.shape[1] != len(columns):
        raise InputError("names and columns differ in number", expected=filled.shape, got=len(columns))
    figure = new_figure(9.5, min(0.17 * len(columns) + 1.1, 14))
    axes = figure.subplots()
    shares = filled.mean(axis=0)
    axes.imshow(
        filled.T, aspect="auto", interpolation="nearest", cmap=ListedColormap(["#edf1f5", COLOURS[0]]), vmin=0, vmax=1
    )
    axes.set_yticks(range(len(columns)), [f"{n}  {100 * s:.0f} %" for n, s in zip(columns, shares, strict=True)])
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.set_xlabel("rows of the table")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure
