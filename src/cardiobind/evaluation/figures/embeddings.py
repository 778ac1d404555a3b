"""Where the embeddings of subjects lie: a map by principal components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, OTHERS, new_figure, styled

Floats = NDArray[np.floating]

_NUMBERS = "cividis"


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
        labels: modality -> (n,) 1, 0 or NaN for unknown, or any numbers; colours the points.
        label_title: what a positive is, ``no/yes`` for the names of both, or the name and unit of the number.
        title: above all.

    Raises:
        InputError: there is no embedding, one has no row or is not finite, or labels do not fit.
    """
    if not embeddings:
        raise InputError("there is nothing to map", where="embeddings")
    for modality, values in embeddings.items():
        if not len(values) or not np.isfinite(values).all():
            raise InputError("embeddings are empty or not finite", where=modality, got=values.shape)
    known = {m: _fitting(m, values, labels) for m, values in embeddings.items()}
    figure = new_figure(min(3.6 * len(embeddings), 11), 3.9)
    every_axes = figure.subplots(1, len(embeddings), squeeze=False)[0]
    every = np.concatenate(list(known.values()))
    draw = _by_class if set(np.unique(every[np.isfinite(every)])) <= {0.0, 1.0} else _by_number
    limits = tuple(np.nanquantile(every, [0.02, 0.98])) if np.isfinite(every).any() else (0.0, 1.0)
    for axes, (modality, values) in zip(every_axes, embeddings.items(), strict=True):
        points, shares = _principal_plane(np.asarray(values, np.float64))
        draw(axes, points, known[modality], label_title, limits)
        axes.set(
            xlabel=f"component 1 ({100 * shares[0]:.0f} % of variance)", ylabel=f"component 2 ({100 * shares[1]:.0f} %)"
        )
        axes.tick_params(labelsize=7)
        axes.set_title(f"{modality} (n = {len(values)})")
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    handles, names = every_axes[-1].get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower left", ncols=3, markerscale=2)
    if draw is _by_number:
        scale = ScalarMappable(Normalize(*limits), cmap=_NUMBERS)
        figure.colorbar(scale, ax=list(every_axes), label=label_title, shrink=0.8, extend="both")
    return figure


def _fitting(modality: str, values: Floats, labels: Mapping[str, Floats] | None) -> Floats:
    known = np.full(len(values), np.nan) if labels is None else np.asarray(labels[modality], np.float64)
    if len(known) != len(values):
        raise InputError("labels do not fit", where=modality, expected=len(values), got=len(known))
    return known


def _by_class(axes: Axes, points: Floats, known: Floats, name: str, limits: Sequence[float]) -> None:
    no, yes = name.split("/") if "/" in name else (f"no {name}", name)
    groups = (
        (np.isnan(known), OTHERS, f"{name} unknown", 0.5, "."),
        (known == 0, COLOURS[0], no, 0.45, "o"),
        (known == 1, COLOURS[1], yes, 0.9, "^"),
    )
    for chosen, colour, said, alpha, marker in groups:
        if chosen.any():
            axes.scatter(
                points[chosen, 0], points[chosen, 1], s=11, color=colour, alpha=alpha, linewidth=0, label=said,
                marker=marker,
            )  # fmt: skip


def _by_number(axes: Axes, points: Floats, known: Floats, name: str, limits: Sequence[float]) -> None:
    unknown = np.isnan(known)
    if unknown.any():
        axes.scatter(
            points[unknown, 0], points[unknown, 1], s=9, color=OTHERS, alpha=0.5, linewidth=0, label=f"{name} unknown"
        )
    axes.scatter(
        points[~unknown, 0], points[~unknown, 1], s=11, c=known[~unknown], cmap=_NUMBERS, vmin=limits[0],
        vmax=limits[1], linewidth=0, alpha=0.8,
    )  # fmt: skip


def _principal_plane(values: Floats) -> tuple[Floats, Floats]:
    centred = values - values.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    points, shares = np.zeros((len(values), 2)), np.zeros(2)
    kept = min(2, len(s))
    points[:, :kept] = u[:, :kept] * s[:kept]
    shares[:kept] = s[:kept] ** 2 / max(float(np.sum(s**2)), 1e-300)
    return points, shares
