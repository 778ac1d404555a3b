"""The Brier score of survival, each subject weighted for those who were censored before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.over_time.product_limit import uncensored

Floats = NDArray[np.float64]

GRID = 100


def brier_terms(time: Floats, event: Floats, survival: Floats, at: Floats) -> Floats:
    """Return each subject's weighted square error (n, k), whose mean over subjects is the Brier score at each time.

    Who had the event by t counts S(t)² over the share uncensored just before; who is followed up beyond t counts
    (1 - S(t))² over the share uncensored at t; who was censored before counts nothing.

    Args:
        time: (n,).
        event: (n,) 1 or 0.
        survival: (n, k) predicted probability of no event by each time, or (k,) the same for all.
        at: (k,) times.

    Source: Graf et al. 1999, Statistics in Medicine 18:2529-2545, equation 4.
    """
    steps = uncensored(time, event, np.ones((1, len(time))))
    before, later = steps.before()[0][:, None], np.array([steps.at(t)[0] for t in at])
    had = (time[:, None] <= at) & (event[:, None] == 1)
    free = time[:, None] > at
    weight_had = np.divide(had, before, out=np.zeros(had.shape), where=had)
    weight_free = np.divide(free, later, out=np.zeros(free.shape), where=free & (later > 0))
    return np.asarray(weight_had * survival**2 + weight_free * (1 - survival) ** 2)


def integrated_terms(time: Floats, event: Floats, survival: Floats, at: Floats) -> Floats:
    """Return each subject's share (n,) of the Brier score averaged over time, by the trapezoid rule.

    Args:
        time: (n,).
        event: (n,) 1 or 0.
        survival: (n, k) or (k,), as for `brier_terms`.
        at: (k,) times, rising.
    """
    return np.asarray(np.trapezoid(brier_terms(time, event, survival, at), at, axis=1) / (at[-1] - at[0]))


def time_grid(until: float) -> Floats:
    """Return `GRID` + 1 evenly spaced times from 0 to the last one at which the score is known."""
    return np.linspace(0.0, until, GRID + 1)
