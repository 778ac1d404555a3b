"""A short-axis stack with the slice and the crop that preparation chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import new_figure, styled

Floats = NDArray[np.floating]
_PAIRS_A_ROW = 3
_CHOSEN, _OTHER = "#ff8c42", "#8fd0ff"
_SIDE_IN, _TITLE_IN = 1.85, 4.6
_OUTLINE = [Stroke(linewidth=3.0, foreground="black"), Normal()]


@styled
def cine_choice(
    frames: Floats,
    pixel_spacing_mm: tuple[float, float],
    *,
    column_titles: Sequence[str],
    chosen_row: int,
    centre_mm: tuple[float, float],
    crop_mm: float,
    title: str = "",
) -> Figure:
    """Return every slice at a few phases in grey, the crop drawn on all of them and the chosen slice framed.

    Args:
        frames: (slices, phases shown, rows, columns).
        pixel_spacing_mm: distance between rows, between columns.
        column_titles: one a phase shown.
        chosen_row: index of the chosen slice.
        centre_mm: (row, column) of the crop's centre, from the centre of the first pixel.
        crop_mm: its side.
        title: above all.

    Raises:
        InputError: the frames have not four axes, or no such slice.
    """
    if frames.ndim != 4 or not frames.size or not 0 <= chosen_row < len(frames):
        raise InputError("not a stack with a chosen slice", expected="(slices, phases, H, W)", got=frames.shape)
    slices, shown = frames.shape[:2]
    groups = min(_PAIRS_A_ROW, slices)
    lines = -(-slices // groups)
    tall = frames.shape[2] * pixel_spacing_mm[0] / (frames.shape[3] * pixel_spacing_mm[1])
    figure = new_figure(max(_SIDE_IN * shown * groups, _TITLE_IN) + 0.2, (_SIDE_IN * tall + 0.2) * lines + 0.55)
    grid = figure.subplots(lines, shown * groups, squeeze=False)
    low, high = _grey_scale(frames[chosen_row], pixel_spacing_mm, centre_mm, crop_mm)
    for axes in grid.flat:
        axes.axis("off")
    for index in range(slices):
        for phase in range(shown):
            axes = grid[index // groups, shown * (index % groups) + phase]
            axes.imshow(
                frames[index, phase], cmap="gray", vmin=low, vmax=high, aspect=pixel_spacing_mm[0] / pixel_spacing_mm[1]
            )
            _mark(axes, pixel_spacing_mm, centre_mm, crop_mm, chosen=index == chosen_row)
            axes.set_title(_title(index, phase, column_titles), fontsize=7, fontweight="normal", loc="left")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _grey_scale(
    images: Floats, spacing_mm: tuple[float, float], centre_mm: tuple[float, float], crop_mm: float
) -> tuple[float, float]:
    """Return black and white points that suit the heart, however bright the chest wall beside the coil is."""
    box = [
        slice(max(0, round((at - crop_mm / 2) / mm)), max(1, round((at + crop_mm / 2) / mm)))
        for at, mm in zip(centre_mm, spacing_mm, strict=True)
    ]
    inside = images[:, box[0], box[1]]
    low, high = np.nanpercentile(inside if inside.size else images, (0.5, 99.5))
    return float(low), float(high)


def _title(index: int, phase: int, column_titles: Sequence[str]) -> str:
    words = column_titles[phase].split(" (")[0]
    return f"slice {index}, {words}" if phase == 0 else words


def _mark(
    axes: Axes, spacing_mm: tuple[float, float], centre_mm: tuple[float, float], crop_mm: float, *, chosen: bool
) -> None:
    row, column = centre_mm[0] / spacing_mm[0], centre_mm[1] / spacing_mm[1]
    height, width = crop_mm / spacing_mm[0], crop_mm / spacing_mm[1]
    corner = (column - width / 2, row - height / 2)
    colour, line_width = (_CHOSEN, 1.8) if chosen else (_OTHER, 0.9)
    edge = [Stroke(linewidth=line_width + 1.4, foreground="black"), Normal()]
    axes.add_patch(
        Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=line_width, path_effects=edge)
    )
    if chosen:
        axes.plot(column, row, marker="+", color=_CHOSEN, markersize=7, path_effects=_OUTLINE)
