"""Cine frames side by side, and maps of what the encoders learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import AbstractPathEffect, Normal, Stroke
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, new_figure, styled

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


@styled
def embedding_map(
    embeddings: Mapping[str, Floats],
    labels: Mapping[str, Floats] | None = None,
    *,
    label_title: str = "label",
    title: str = "",
) -> Figure:
    """Return the first two principal components of the embeddings, a panel a modality.

    Args:
        embeddings: modality -> (n, width); n may differ.
        labels: modality -> (n,) 1, 0 or NaN for unknown; colours the points.
        label_title: what a positive is.
        title: above all.

    Raises:
        InputError: there is no embedding, one has no row or is not finite, or labels do not fit.
    """
    if not embeddings:
        raise InputError("there is nothing to map", where="embeddings")
    for modality, values in embeddings.items():
        if not len(values) or not np.isfinite(values).all():
            raise InputError("embeddings are empty or not finite", where=modality, got=values.shape)
    figure = new_figure(min(3.6 * len(embeddings), 11), 3.9)
    for axes, (modality, values) in zip(
        figure.subplots(1, len(embeddings), squeeze=False)[0], embeddings.items(), strict=True
    ):
        known = np.full(len(values), np.nan) if labels is None else np.asarray(labels[modality], np.float64)
        if len(known) != len(values):
            raise InputError("labels do not fit", where=modality, expected=len(values), got=len(known))
        _scatter(axes, np.asarray(values, np.float64), known, label_title)
        axes.set_title(f"{modality} (n = {len(values)})")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=3, markerscale=2)
    return figure


def _scatter(axes: Axes, values: Floats, known: Floats, label_title: str) -> None:
    points, shares = _principal_plane(values)
    groups = (
        (np.isnan(known), "#b9c0c8", "label unknown", 0.5),
        (known == 0, COLOURS[0], f"no {label_title}", 0.45),
        (known == 1, COLOURS[1], label_title, 0.9),
    )
    for chosen, colour, name, alpha in groups:
        if chosen.any():
            axes.scatter(points[chosen, 0], points[chosen, 1], s=9, color=colour, alpha=alpha, linewidth=0, label=name)
    axes.set(
        xlabel=f"component 1 ({100 * shares[0]:.0f} % of variance)", ylabel=f"component 2 ({100 * shares[1]:.0f} %)"
    )
    axes.tick_params(labelsize=7)


def _principal_plane(values: Floats) -> tuple[Floats, Floats]:
    centred = values - values.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points, shares = np.zeros((len(values), 2)), np.zeros(2)
    kept = min(2, len(s))
    points[:, :kept] = u[:, :kept] * s[:kept]
    shares[:kept] = s[:kept] ** 2 / max(float(np.sum(s**2)), 1e-300)
    return points, shares


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
