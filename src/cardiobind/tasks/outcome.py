"""Labels of all visits together with the event that decided each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.tasks.events import NOBODY


@dataclass(frozen=True)
class Outcome:
    """What was found of each visit.

    Attributes:
        label: (visits,) value, NaN where there is none.
        reason: (visits,) one of `cardiobind.tasks.REASONS`.
        shown: (visits,) row of the event that decided in `EventTable.frame`, `NOBODY` where none did.
        time_days: (visits,) days from the visit to the event or the end of follow-up; None where time is no matter.
    """

    label: NDArray[np.float64]
    reason: NDArray[np.object_]
    shown: NDArray[np.int64]
    time_days: NDArray[np.float64] | None = None


def there(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for each visit whether there is an event."""
    return np.not_equal(rows, NOBODY)


def nothing(count: int, reason: str) -> Outcome:
    """Return that nothing is known of `count` visits."""
    return Outcome(np.full(count, np.nan), np.full(count, reason, dtype=object), np.full(count, NOBODY))
