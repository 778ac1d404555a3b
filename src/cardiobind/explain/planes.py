"""The planes of a cine with what raises and lowers the score over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cardiobind.evaluation.figures.ecg import SHADES
from cardiobind.evaluation.figures.style import new_figure, styled
from cardiobind.explain.explanation import Explanation
from cardiobind.modalities.cmr.layouts import FRAME_NAMES, LONG_AXIS, Planes

Floats = NDArray[np.floating]

SMOOTH_MM = 6.6
"""Standard deviation of the blur before drawing: what localised best on simulated infarcts."""
SCALE_BAR_MM = 20
_TOGETHER = "all moments together"
_FULL_PERCENTILE, _OPAQUE = 99.5, 0.8
_WIDE_IN, _WIDEST_IN = 2.0, 11.0
_COLOURS = LinearSegmentedColormap.from_list("signed", [SHADES[1], "#ffffff", SHADES[0]])
_HALO = [withStroke(linewidth=3.0, foreground="black")]
_WORDS = {"end_diastole": "end diastole", "mid_beat": "mid-beat", "end_systole": "end systole"}


@styled
def cine_attribution(found: Explanation, frames: Floats, *, title: str = "") -> Figure:
    """Return the planes in grey, a line a place, and below each the same with what raises and lowers the score over it.

    The last picture of a line is the sum over the moments of the beat, over end diastole. All share one scale. The
    axes are labelled with the names of their planes.

    Args:
        found: has a cine.
        frames: (planes, size, size) as they were explained, in any unit.
        title: above all.
    """
    grid, pixel_mm = Planes.of_names(found.cmr_planes), float(found.cmr_pixel_mm or 1)
    count, order = len(grid.moments), _in_time(grid.moments)
    density, together = _per_cm2(np.zeros_like(frames) if found.cmr is None else found.cmr, count, pixel_mm)
    full = max(float(np.percentile(np.abs(together), _FULL_PERCENTILE)), 1e-12)
    wide_in = min(_WIDE_IN, _WIDEST_IN / (count + 1))
    figure = new_figure(wide_in * (count + 1) + 1.0, (2 * wide_in + 0.3) * len(grid.places) + 0.4)
    lines = figure.subplots(2 * len(grid.places), count + 1, squeeze=False)
    grey = tuple(float(value) for value in np.percentile(frames, (0.5, 99.5)))
    for place, name in enumerate(grid.places):
        plain, coloured = lines[2 * place : 2 * place + 2]
        for column, moment in enumerate(order):
            plane = place * count + moment
            words = f"{'' if column else f'{_place(name)}: '}{_moment(grid.moments[moment])}"
            _show(plain[column], frames[plane], grey, found.cmr_planes[plane], words)
            _show(coloured[column], frames[plane], grey, found.cmr_planes[plane])
            coloured[column].imshow(_overlay(density[plane] / full))
        _scale_bar(plain[0], pixel_mm, frames.shape[1])
        for axes, words in ((plain[0], "as the network sees it"), (coloured[0], "what moved the score")):
            axes.text(-0.03, 0.5, words, rotation=90, transform=axes.transAxes, ha="right", va="center", fontsize=8)
        plain[-1].axis("off")
        _show(coloured[-1], frames[place * count + order[0]], grey, f"{name}.{_TOGETHER}", _TOGETHER)
        coloured[-1].imshow(_overlay(together[place] / full))
    _say_scale(figure, lines, full, str(found.method.get("unit", "logit")))
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _per_cm2(values: NDArray[np.float64], moments: int, pixel_mm: float) -> tuple[Floats, Floats]:
    """Return blurred attributions per square centimetre, and the same summed over the moments of each place."""
    fine = gaussian_filter(np.asarray(values, np.float64), (0, *[SMOOTH_MM / pixel_mm] * 2)) * 100 / pixel_mm**2
    return fine, fine.reshape(-1, moments, *fine.shape[1:]).sum(axis=1)


def _show(axes: Axes, frame: Floats, grey: tuple[float, ...], name: str, words: str = "") -> None:
    axes.imshow(frame, cmap="gray", vmin=grey[0], vmax=grey[1])
    axes.axis("off")
    axes.set_label(name)
    axes.set_title(words, fontsize=8, fontweight="normal", loc="left")


def _say_scale(figure: Figure, lines: Any, full: float, unit: str) -> None:
    bar = figure.colorbar(
        ScalarMappable(Normalize(-full, full), _COLOURS), ax=lines, shrink=0.7, aspect=25, pad=0.02,
        ticks=[-full, 0, full],
    )  # fmt: skip
    bar.ax.set_yticklabels([f"-{full:.2g}", "0", f"+{full:.2g}"], fontsize=8)
    bar.set_label(f"lowers  \u2190  score  \u2192  raises\n({unit} per cm\u00b2)", fontsize=8)


def _in_time(moments: Sequence[str]) -> list[int]:
    """Return the places of the moments in the order of the beat, end diastole first."""
    if set(moments) <= set(FRAME_NAMES):
        return sorted(range(len(moments)), key=lambda place: -FRAME_NAMES.index(moments[place]))
    return list(range(len(moments)))


def _moment(moment: str) -> str:
    return _WORDS.get(moment, moment.replace("_", " "))


def _place(name: str) -> str:
    return name.replace("lax_", "long axis ").replace("_", " ") if name in LONG_AXIS else f"{name} slice"


def _scale_bar(axes: Axes, pixel_mm: float, side: int) -> None:
    left, low = 0.05 * side, 0.94 * side
    line = axes.plot([left, left + SCALE_BAR_MM / pixel_mm], [low, low], color="white", linewidth=2.0)[0]
    line.set(path_effects=_HALO, solid_capstyle="butt")
    axes.text(left, low - 0.03 * side, f"{SCALE_BAR_MM} mm", color="white", fontsize=7, path_effects=_HALO)


def _overlay(strength: Floats) -> NDArray[np.float64]:
    """Return colours with an opacity (rows, columns, 4) that grows with strength."""
    clipped = np.clip(strength, -1, 1)
    colours = np.where(clipped[..., None] > 0, to_rgba(SHADES[0]), to_rgba(SHADES[1]))
    colours[..., 3] = _OPAQUE * np.abs(clipped)
    return np.asarray(colours)
