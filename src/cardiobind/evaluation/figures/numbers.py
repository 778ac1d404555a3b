"""Pictures of predicted numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, new_figure, quiet_grid, styled

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """What one model says of the test subjects.

    Attributes:
        name: as the panel's title.
        measured: (n,).
        predicted: (n,) in the same unit, the mean over seeds.
    """

    name: str
    measured: Floats
    predicted: Floats


@styled
def agreement(models: Sequence[Agreement], *, quantity: str) -> Figure:
    """Return predicted over measured values, a panel a model on the same axes, with the line of equality.

    Args:
        models: at least one, each with at least one subject.
        quantity: what is predicted, with its unit.

    Raises:
        InputError: there is nothing to draw.
    """
    if not models or not all(len(model.measured) for model in models):
        raise InputError("nothing to draw", where="agreement", expected="at least one model with one subject")
    every = np.concatenate([np.concatenate([m.measured, m.predicted]) for m in models])
    margin = 0.04 * max(float(np.ptp(every)), 1e-9)
    ends = (float(every.min()) - margin, float(every.max()) + margin)
    columns = min(len(models), 3)
    rows = -(-len(models) // columns)
    figure = new_figure(3.6 * columns, 3.7 * rows)
    every_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, model in zip(every_axes, models, strict=False):
        axes.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle=":")
        opacity = float(np.clip(150 / len(model.measured), 0.1, 0.7))
        axes.scatter(model.measured, model.predicted, s=9, color=COLOURS[0], alpha=opacity, linewidths=0)
        axes.set(title=model.name, xlim=ends, ylim=ends, aspect="equal")
        quiet_grid(axes)
    for axes in every_axes[len(models) :]:
        axes.set_visible(False)
    figure.supxlabel(f"measured: {quantity}", fontsize=9)
    figure.supylabel("predicted", fontsize=9)
    return figure
