"""Cine frames side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import new_figure, styled

Floats = NDArray[np.floating]

_SCALE_BAR_MM = 50.0


@styled
def cine_montage(
    frames: Floats,
    *,
    row_titles: Sequence[str] = (),
    column_titles: Sequence[str] = (),
    pixel_spacing_mm: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Return cardiac MR frames as a grid in grey, all on one grey scale.

    Args:
        frames: (rows of the grid, columns of the grid, height, width), for instance slices by phases; or
            (columns, height, width).
        row_titles: one a row of the grid ("slice 4").
        column_titles: one a column ("end-systole").
        pixel_spacing_mm: distance of pixel rows and of pixel columns; draws a bar of 5 cm.
        title: above all.

    Raises:
        InputError: the frames have neither three nor four axes.
    """
    if frames.ndim == 3:
        frames = frames[None]
    if frames.ndim != 4 or not frames.size:
        raise InputError("not a grid of frames", where="frames", expected="(rows, columns, H, W)", got=frames.shape)
    rows, columns, height, width = frames.shape
    side_in = min(2.6, 11.0 / columns)
    spacing = pixel_spacing_mm or (1.0, 1.0)
    tall = height * spacing[0] / (width * spacing[1])
    figure = new_figure(max(side_in * columns + 0.3, 0.09 * len(title)), side_in * tall * rows + 0.5)
    low, high = np.nanpercentile(frames, (0.5, 99.5))
    for row, axes_row in enumerate(figure.subplots(rows, columns, squeeze=False)):
        for column, axes in enumerate(axes_row):
            axes.imshow(frames[row, column], cmap="gray", vmin=low, vmax=high, aspect=spacing[0] / spacing[1])
            _bare(axes)
            if row == 0 and column < len(column_titles):
                axes.set_title(column_titles[column], fontsize=9, fontweight="normal", loc="center")
            if column == 0 and row < len(row_titles):
                axes.set_ylabel(row_titles[row], fontsize=9)
            if row == rows - 1 and column == 0 and pixel_spacing_mm:
                _scale_bar(axes, height, width, pixel_spacing_mm[1])
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _scale_bar(axes: Axes, height: int, width: int, column_mm: float) -> None:
    length = _SCALE_BAR_MM / column_mm
    if length > 0.8 * width:
        return
    left, y = 0.05 * width, 0.94 * height
    axes.plot([left, left + length], [y, y], color="white", linewidth=2, path_effects=_outline(4.0))
    axes.text(
        left + length / 2, y - 0.025 * height, "5 cm", color="white", fontsize=8, ha="center", va="bottom",
        path_effects=_outline(2.2),
    )  # fmt: skip


def _outline(line_width: float) -> list[AbstractPathEffect]:
    """Return a dark edge, so that white is read on bright fat too."""
    return [Stroke(linewidth=line_width, foreground="black"), Normal()]
