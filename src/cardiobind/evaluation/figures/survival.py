"""Pictures of time to event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, new_figure, quiet_grid, styled
from cardiobind.evaluation.time_to_event import kaplan_meier, risk_groups

Floats = NDArray[np.float64]

DAYS_PER_YEAR = 365.25
_GROUPS = (("lowest third", COLOURS[0]), ("middle third", COLOURS[4]), ("highest third", COLOURS[1]))


@dataclass(frozen=True)
class RiskScores:
    """What one model says of the test subjects.

    Attributes:
        name: as the panel's title.
        time_days: (n,).
        event: (n,) 1 or 0.
        score: (n,) risk, the mean over seeds.
    """

    name: str
    time_days: Floats
    event: Floats
    score: Floats


@styled
def events_by_risk(models: Sequence[RiskScores]) -> Figure:
    """Return the share with the event over time (1 - Kaplan-Meier) in thirds of the predicted risk, a panel a model.

    Args:
        models: at least one, each with an event.

    Raises:
        InputError: there is nothing to draw.
    """
    if not models or not all(np.any(model.event == 1) for model in models):
        raise InputError("nothing to draw", where="events_by_risk", expected="at least one model with one event")
    columns = min(len(models), 3)
    rows = -(-len(models) // columns)
    figure = new_figure(3.8 * columns, 3.6 * rows)
    every_axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, model in zip(every_axes, models, strict=False):
        groups = risk_groups(model.score, len(_GROUPS))
        for group, (name, colour) in enumerate(_GROUPS):
            time, event = model.time_days[groups == group], model.event[groups == group]
            if not len(time):
                continue
            curve = kaplan_meier(time, event)
            years = np.append(curve.time, time.max()) / DAYS_PER_YEAR
            share = 1 - np.append(curve.survival, curve.survival[-1])
            label = f"{name}: {len(time)}, {int(event.sum())} events"
            axes.step(years, share, where="post", color=colour, linewidth=1.6, label=label)
        axes.set(title=model.name, xlabel="years since the visit", xlim=(0, None))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.legend(loc="upper left")
        quiet_grid(axes)
    every_axes[0].set_ylim(0, 1.5 * every_axes[0].get_ylim()[1])  # the legend stands above the curves
    for axes in every_axes[len(models) :]:
        axes.set_visible(False)
    every_axes[0].set_ylabel("had the event (Kaplan-Meier)")
    return figure
