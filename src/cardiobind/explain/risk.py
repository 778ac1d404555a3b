"""A risk or value among those of its cohort."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cardiobind.evaluation.figures.style import COLOURS, INK, OTHERS, new_figure, styled
from cardiobind.inference import Prediction
from cardiobind.inference.trust.cohort import Histogram


@styled
def risk_in_cohort(prediction: Prediction, cohort: Histogram, *, title: str = "") -> Figure:
    """Return a risk or value with its interval over those of the validation subjects; the area of a bar is their share.

    Args:
        prediction: with a risk or a value.
        cohort: of the same inputs, in the same unit.
        title: above all.
    """
    said, scale = (prediction.risk, 100.0) if prediction.value is None else (prediction.value, 1.0)
    edges, counts = scale * np.array(cohort.edges), np.array(cohort.counts)
    figure = new_figure(5.4, 2.3)
    axes = figure.subplots()
    axes.bar(
        edges[:-1], counts / np.diff(edges), width=np.diff(edges), align="edge", color=OTHERS, edgecolor="white",
        linewidth=0.6, label=f"{counts.sum():,} validation subjects",
    )  # fmt: skip
    if said is not None:
        axes.axvline(scale * said, color=INK, linewidth=2.0, label="this subject")
    if prediction.interval is not None:
        ends, height = [scale * end for end in prediction.interval], 0.04 * axes.get_ylim()[1]
        axes.plot(ends, [height, height], color=INK, linewidth=5.0, alpha=0.5, solid_capstyle="butt", label="interval")
    if prediction.threshold is not None:
        axes.axvline(scale * prediction.threshold, color=COLOURS[1], linestyle="--", linewidth=1.2, label="threshold")
    unit = f" ({prediction.unit})" if prediction.unit else ""
    axes.set(xlim=_ends(prediction, edges, scale), yticks=[])
    axes.set_xlabel("risk (%)" if prediction.value is None else f"{prediction.title}{unit}")
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper left", ncols=4)
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _ends(prediction: Prediction, edges: NDArray[np.float64], scale: float) -> tuple[float, float]:
    """Return the ends of the axis; the last bar of risks may reach up to 100 % and is cut where nothing else is."""
    given = (prediction.risk, prediction.value, prediction.threshold, *(prediction.interval or ()))
    marked = [scale * value for value in given if value is not None]
    most = edges[-1] if prediction.value is not None else min(edges[-1], 1.4 * edges[-2])
    return float(min(edges[0], *marked)), float(max(most, *[1.05 * value for value in marked]))
