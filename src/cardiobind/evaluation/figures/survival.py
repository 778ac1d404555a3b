"""Pictures of time to event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, Look, new_figure, quiet_grid, styled
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
    top = every_axes[0].get_ylim()[1]
    every_axes[0].set_ylim(0, 1.5 * top)  # the legend stands above the curves
    every_axes[0].set_yticks([share for share in every_axes[0].get_yticks() if share <= min(1.0, top)])
    for axes in every_axes[len(models) :]:
        axes.set_visible(False)
    every_axes[0].set_ylabel("had the event (Kaplan-Meier)")
    return figure


@dataclass(frozen=True)
class BrierCurve:
    """How wrong the risks of one model are at each time.

    Attributes:
        name: of the model.
        days: (times,).
        brier: (times,) censoring-weighted Brier score.
        reference: (times,) that of one risk for all, the Kaplan-Meier estimate.
        look: colour and marker.
    """

    name: str
    days: Sequence[float]
    brier: Sequence[float]
    reference: Sequence[float]
    look: Look


@styled
def brier_over_time(models: Sequence[BrierCurve], *, title: str = "") -> Figure:
    """Return the Brier score over time of each model below that of one risk for all.

    Args:
        models: at least one, on the same subjects.
        title: above.

    Raises:
        InputError: there is nothing to draw.

    Source: Graf et al. 1999, Statistics in Medicine 18:2529-2545.
    """
    if not models:
        raise InputError("nothing to draw", where="brier_over_time", expected="at least one model")
    figure = new_figure(5.6, 4.2 + 0.17 * len(models))
    axes = figure.subplots()
    first = models[0]
    years = np.asarray(first.days) / DAYS_PER_YEAR
    axes.plot(years, first.reference, color=MUTED, linestyle="--", label="one risk for all (Kaplan-Meier)")
    for model in models:
        years = np.asarray(model.days) / DAYS_PER_YEAR
        axes.plot(years, model.brier, color=model.look.colour, linewidth=1.6, label=model.name)
    axes.set(xlabel="years since the visit", ylabel="Brier score (lower is better)", xlim=(0, None), ylim=(0, None))
    axes.set_title(title)
    quiet_grid(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left")
    return figure
