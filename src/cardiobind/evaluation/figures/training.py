"""Pictures of training logs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, new_figure, quiet_grid, styled

_CLOCKS = ("step", "epoch", "round")
_SPLITS = ("train", "validation", "val")
_MOST_PANELS = 6


@styled
def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Return the course of a training, a panel a quantity, training and validation together.

    Args:
        history: one row a round; a column step, epoch or round, and numeric columns such as ``loss``,
            ``train_loss``, ``validation/auroc``.
        title: above.

    Raises:
        InputError: there is no numeric column.
    """
    clock = next((name for name in _CLOCKS if name in history.columns), None)
    x = history[clock].to_numpy() if clock else np.arange(len(history))
    panels = _panels(history)
    if not panels:
        raise InputError("nothing to draw", where="history", expected="numeric columns", got=list(history.columns))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(3.6 * columns, 2.6 * rows + 0.3)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, lines) in zip(all_axes, panels.items(), strict=False):
        for split, column in lines.items():
            colour = COLOURS[1] if split == "validation" else COLOURS[0]
            y = history[column].to_numpy(np.float64)
            axes.plot(x[np.isfinite(y)], y[np.isfinite(y)], color=colour, linewidth=1.3, label=split or None)
        axes.set(title=name, xlabel=clock or "row")
        quiet_grid(axes)
        if any(lines):
            axes.legend()
    for axes in all_axes[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _panels(history: pd.DataFrame) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for column in history.columns:
        numeric = pd.api.types.is_numeric_dtype(history[column]) and history[column].notna().any()
        if column in _CLOCKS or not numeric:
            continue
        split, name = _split_of(str(column))
        found.setdefault(name, {})[split] = str(column)
    wanted = sorted(found, key=lambda name: ("loss" not in name, "validation" not in found[name]))
    return {name: found[name] for name in wanted[:_MOST_PANELS]}


def _split_of(column: str) -> tuple[str, str]:
    for split in _SPLITS:
        for mark in ("/", "_", "."):
            if column.startswith(split + mark):
                return ("validation" if split == "val" else split), column[len(split) + 1 :]
    return "", column
