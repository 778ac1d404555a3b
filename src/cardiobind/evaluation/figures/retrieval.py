"""Does one modality of a person find another one of the same person?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cardiobind.errors import InputError
from cardiobind.evaluation.figures.style import COLOURS, MUTED, new_figure, quiet_grid, styled


@dataclass(frozen=True)
class Recall:
    """How often the partner is among the k nearest.

    Attributes:
        pair: such as ``ecg → cmr``.
        k: how many are looked at.
        recall: share of the subjects.
        chance: what guessing reaches; None where the number of subjects is not known.
    """

    pair: str
    k: int
    recall: float
    chance: float | None = None


@styled
def retrieval_chart(found: Sequence[Recall], *, title: str = "") -> Figure:
    """Return recall for each pair of modalities, a marker for each k, each beside what guessing reaches.

    Args:
        found: at least one.
        title: above.

    Raises:
        InputError: there is nothing to draw.
    """
    if not found:
        raise InputError("there is no recall to draw", where="retrieval_chart")
    pairs, sizes = list(dict.fromkeys(f.pair for f in found)), sorted({f.k for f in found})
    figure = new_figure(7.4, 1.6 + 0.42 * len(pairs))
    axes = figure.subplots()
    shifts = np.linspace(0.2, -0.2, len(sizes)) if len(sizes) > 1 else np.zeros(1)
    for place, (k, shift) in enumerate(zip(sizes, shifts, strict=True)):
        own = [f for f in found if f.k == k]
        y = [len(pairs) - 1 - pairs.index(f.pair) + shift for f in own]
        colour = COLOURS[place % len(COLOURS)]
        axes.hlines(y, [f.chance or 0 for f in own], [f.recall for f in own], color=colour, linewidth=1.6)
        axes.plot([f.recall for f in own], y, "o", color=colour, markersize=5, label=f"partner among the {k} nearest")
        known = [(f.chance, at) for f, at in zip(own, y, strict=True) if f.chance is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "|", color=MUTED, markersize=9, markeredgewidth=1.6,
                      label="guessing" if k == sizes[-1] else None)  # fmt: skip
    axes.set_yticks(range(len(pairs)), list(reversed(pairs)))
    axes.set(xlim=(0, max(1.05 * max(f.recall for f in found), 0.05)), ylim=(-0.6, len(pairs) - 0.4), title=title)
    axes.set_xlabel("share of the validation subjects")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    quiet_grid(axes)
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
