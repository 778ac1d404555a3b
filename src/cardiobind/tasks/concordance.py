"""How well a score orders subjects by the time of their event: the headline metric of time to event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK_ELEMENTS = 4_000_000


def concordance(time: Floats, event: Floats, score: Floats) -> float:
    """Return Harrell's C: the share of comparable pairs in which who had the event earlier has the higher score.

    A pair is comparable where the earlier of the two times is an event; at equal times, where one is an event and the
    other is censored. Equal scores count half.

    Args:
        time: (n,) follow-up.
        event: (n,) 1, or 0 where censored.
        score: (n,) the higher, the earlier the event is expected.

    Returns:
        In [0, 1]; NaN where no pair is comparable.

    Source: Harrell et al. 1996, Statistics in Medicine 15:361-387.
    """
    return float(resampled_concordance(time, event, score, np.ones((1, len(time))))[0])


def resampled_concordance(
    time: Floats, event: Floats, score: Floats, counts: Floats, weights: Floats | None = None
) -> Floats:
    """Return Harrell's C of many resamples, (resamples,), NaN where no pair is comparable.

    Args:
        time: (n,), as for `concordance`.
        event: (n,).
        score: (n,).
        counts: (resamples, n) how often each row was drawn; copies of a row are not compared with one another.
        weights: (resamples, n) of the pairs in which each row is the earlier; None for 1.
    """
    first = np.flatnonzero(event == 1)
    right, pairs = np.zeros(len(counts)), np.zeros(len(counts))
    rows = max(1, _BLOCK_ELEMENTS // max(1, len(time)))
    for start in range(0, len(first), rows):
        i = first[start : start + rows]
        later = (time[i, None] < time) | ((time[i, None] == time) & (event != 1))
        ordered = 0.5 * ((score[i, None] > score).astype(np.float64) + (score[i, None] >= score)) * later
        drawn = counts[:, i] if weights is None else counts[:, i] * weights[:, i]
        right += ((drawn @ ordered) * counts).sum(axis=1)
        pairs += ((drawn @ later.astype(np.float64)) * counts).sum(axis=1)
    out: Floats = np.full(len(counts), np.nan)
    return np.divide(right, pairs, out=out, where=pairs > 0)
