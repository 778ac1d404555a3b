"""Who is in the study, and who was left out and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import INK, MUTED, RULE, new_figure, styled

_STEP_IN = 1.05


@dataclass(frozen=True)
class FlowStep:
    """One box of the flow.

    Attributes:
        title: who they are.
        n: how many.
        excluded: (reason, how many) of those who do not reach the next box.
    """

    title: str
    n: int
    excluded: tuple[tuple[str, int], ...] = ()


@styled
def cohort_flow(steps: Sequence[FlowStep], *, title: str = "") -> Figure:
    """Return a flow chart of the cohort: a box a step, exclusions at the right.

    Args:
        steps: from the raw files down.
        title: above.

    Raises:
        InputError: there is no step, or the last one excludes somebody.
    """
    if not steps:
        raise InputError("there is no step to draw", where="cohort_flow")
    if steps[-1].excluded:
        raise InputError("the last step leads nowhere, so it cannot exclude", where="cohort_flow", got=steps[-1].title)
    top_in = 0.5 if title else 0.0
    heights = [*(max(1.0, 0.35 + 0.2 * len(step.excluded)) * _STEP_IN for step in steps[:-1]), 0.7]
    figure = new_figure(7.6, sum(heights) + top_in, constrained=False)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, 7.6), ylim=(-sum(heights), top_in))
    axes.axis("off")
    axes.text(0.2, 0.25, title, fontsize=11, fontweight="bold", va="center")
    top = 0.0
    for i, (step, height) in enumerate(zip(steps, heights, strict=True)):
        _box(axes, 1.9, top - 0.3, f"{step.title}\nn = {step.n:,}", INK)
        if i < len(steps) - 1:
            _arrow(axes, (1.9, top - 0.56), (1.9, top - height - 0.04))
        if step.excluded:
            y = top - 0.3 - height / 2
            _arrow(axes, (1.9, y), (3.7, y))
            lines = "\n".join(f"{reason}: {n:,}" for reason, n in step.excluded)
            axes.text(3.8, y, lines, fontsize=8, va="center", bbox={"facecolor": "white", "edgecolor": RULE, "pad": 5})
        top -= height
    return figure


def _box(axes: Axes, x: float, y: float, text: str, edge: str) -> None:
    box = {"facecolor": "white", "edgecolor": edge, "boxstyle": "round,pad=0.5", "linewidth": 0.8}
    axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": MUTED, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    )
