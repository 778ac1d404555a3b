"""One look for all pictures, and how they become bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")

INK = "#1d2733"
MUTED = "#5b6775"
RULE = "#d5dae0"
COLOURS = ("#0b5394", "#d55e00", "#12876a", "#c05a9c", "#1d2733", "#5b9bd5")
"""Told apart by those without red or green cones too: CIE distances of at least 17 (Machado et al. 2009)."""
OTHERS = "#b9c0c8"
_MARKERS = ("o", "s", "^", "D", "v", "P")
MOST_COLOURED = len(COLOURS)
MM_PER_INCH = 25.4

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "cardiobind",
}


@dataclass(frozen=True)
class Look:
    """How one model is drawn in every picture: its colour and, for those who do not see it, its marker."""

    colour: str
    marker: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return the look of each model; those beyond the sixth share a grey.

    Args:
        names: the models, the most important first.
    """
    named = list(dict.fromkeys(names))
    chosen = {name: Look(*pair) for name, *pair in zip(named, COLOURS, _MARKERS, strict=False)}
    return {name: chosen.get(name, Look(OTHERS, ".")) for name in named}


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Return `draw` under the style of this project."""

    @wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def new_figure(width_in: float, height_in: float, *, constrained: bool = True) -> Figure:
    """Return an empty figure with a canvas of its own.

    Args:
        width_in: width in inches.
        height_in: height in inches.
        constrained: let matplotlib keep labels from overlapping.
    """
    figure = Figure(figsize=(width_in, height_in), layout="constrained" if constrained else None, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def quiet_grid(axes: Axes) -> None:
    """Draw a light grid behind the data."""
    axes.grid(color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)


def svg(figure: Figure) -> str:
    """Return the figure as SVG text, the same bytes each time and without a date."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def png_base64(figure: Figure, dpi: int = 150) -> str:
    """Return the figure as base64 text of a PNG.

    Args:
        figure: the picture.
        dpi: dots per inch.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return base64.b64encode(buffer.getvalue()).decode("ascii")
