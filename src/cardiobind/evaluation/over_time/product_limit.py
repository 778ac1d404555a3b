"""Kaplan-Meier estimates of many resamples of the same rows at once, of the event and of the censoring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_UNCENSORED = 0.05
"""Times at which fewer than this share are still uncensored are not looked at: their weights would be above 20."""


@dataclass(frozen=True)
class Steps:
    """Product-limit estimates, one a resample.

    Attributes:
        times: (u,) the different times, rising.
        survival: (resamples, u) share that is left from that time on.
        place: (n,) of each row its time in `times`.
    """

    times: Floats
    survival: Floats
    place: NDArray[np.int64]

    def before(self) -> Floats:
        """Return the share left just before the time of each row, (resamples, n)."""
        started = np.concatenate([np.ones((len(self.survival), 1)), self.survival[:, :-1]], axis=1)
        return np.asarray(started[:, self.place])

    def at(self, time: float) -> Floats:
        """Return the share left at a time, (resamples,)."""
        place = int(np.searchsorted(self.times, time, side="right")) - 1
        return np.ones(len(self.survival)) if place < 0 else self.survival[:, place]


def event_free(time: Floats, event: Floats, counts: Floats) -> Steps:
    """Return the share without the event over time; who is censored at a time is at risk at it.

    Args:
        time: (n,).
        event: (n,) 1 or 0.
        counts: (resamples, n) how often each row was drawn.

    Source: Kaplan and Meier 1958, Journal of the American Statistical Association 53:457-481.
    """
    times, place, drawn, events = _by_time(time, event, counts)
    return Steps(times, _product(events, _at_risk(drawn)), place)


def uncensored(time: Floats, event: Floats, counts: Floats) -> Steps:
    """Return the share not yet censored over time; at equal times an event comes before a censoring.

    Args:
        time: (n,).
        event: (n,) 1 or 0.
        counts: (resamples, n) how often each row was drawn.
    """
    times, place, drawn, events = _by_time(time, event, counts)
    return Steps(times, _product(drawn - events, _at_risk(drawn) - events), place)


def last_known(time: Floats, event: Floats) -> float | None:
    """Return the last time of an event at which enough are uncensored and somebody is followed up longer; None if none.

    Args:
        time: (n,).
        event: (n,) 1 or 0.
    """
    if not np.any(event == 1):
        return None
    steps = uncensored(time, event, np.ones((1, len(time))))
    known = steps.times[(steps.survival[0] >= LEAST_UNCENSORED) & (steps.times < steps.times[-1])]
    events = time[(event == 1) & np.isin(time, known)]
    return float(events.max()) if len(events) else None


def _by_time(time: Floats, event: Floats, counts: Floats) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    times, place = np.unique(time, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(times)))
    drawn = np.add.reduceat(counts[:, order], starts, axis=1)
    events = np.add.reduceat((counts * (event == 1))[:, order], starts, axis=1)
    return times, place.astype(np.int64), drawn, events


def _at_risk(drawn: Floats) -> Floats:
    return np.asarray(np.cumsum(drawn[:, ::-1], axis=1)[:, ::-1])


def _product(gone: Floats, at_risk: Floats) -> Floats:
    share = np.divide(gone, at_risk, out=np.zeros_like(gone), where=at_risk > 0)
    return np.asarray(np.cumprod(1 - share, axis=1))
