"""The validation subjects' risks as a histogram in which nobody can be found: where a new risk stands among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST_IN_BIN = 10
MOST_BINS = 12
_DIGITS = 3


@dataclass(frozen=True)
class Histogram:
    """How many validation subjects have a risk or value in each bin, at least `FEWEST_IN_BIN`.

    Attributes:
        edges: (bins + 1,) rising, in the unit of risk or value.
        counts: (bins,) subjects; the last bin holds its upper edge.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Histogram:
        """Return the histogram that ``dataclasses.asdict`` described."""
        return cls(tuple(value["edges"]), tuple(value["counts"]))

    def percentile(self, score: float) -> float:
        """Return 0 to 100, the share of subjects below a score; within a bin they are taken to lie evenly."""
        below = np.concatenate([[0], np.cumsum(self.counts)])
        return float(100 * np.interp(score, self.edges, below / below[-1]))


def histogram(scores: Floats, *, ends: tuple[float, float] | None = None) -> Histogram | None:
    """Return the histogram of scores in bins of about as many subjects each; None with fewer than two bins of them.

    Inner edges are quantiles rounded to three digits and the ends are given or rounded outwards to two, so that no
    subject's score can be read off it.

    Args:
        scores: (n,) finite.
        ends: lowest and highest possible score.
    """
    bins = min(MOST_BINS, len(scores) // FEWEST_IN_BIN)
    if bins < 2 or np.ptp(scores) == 0:
        return None
    inner = np.quantile(scores, np.arange(1, bins) / bins)
    low, high = ends or _outwards(scores)
    edges = [low, *(e for e in dict.fromkeys(_rounded(float(e)) for e in inner) if low < e < high), high]
    edges = _merged(scores, edges)
    if len(edges) < 3:
        return None
    counts, _ = np.histogram(scores, edges)
    return Histogram(tuple(edges), tuple(int(c) for c in counts))


def _merged(scores: Floats, edges: list[float]) -> list[float]:
    """Return the edges without those that leave a bin too few subjects."""
    while len(edges) > 2:
        counts, _ = np.histogram(scores, edges)
        least = int(np.argmin(counts))
        if counts[least] >= FEWEST_IN_BIN:
            break
        del edges[least if least == len(counts) - 1 else least + 1]
    return edges


def _rounded(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}")


def _outwards(scores: Floats) -> tuple[float, float]:
    step = 10.0 ** (math.floor(math.log10(float(np.ptp(scores)))) - 1)
    return (
        _rounded(math.floor(float(scores.min()) / step) * step, 12),
        _rounded(math.ceil(float(scores.max()) / step) * step, 12),
    )
