"""One look for all pictures, and how they become bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
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
COLOURS = (
    "#0b5394",
    "#c2541b",
    "#2e7d4f",
    "#8e3b8a",
    "#8a6d0b",
    "#4a5a6a",
)  # dark enough on white for colour-blind eyes
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
