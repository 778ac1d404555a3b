"""Labels of all visits together with the event that decided each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SHOWN = ["day", "system", "code"]


@dataclass(frozen=True)
class Outcome:
    """What was found of each visit.

    Attributes:
        label: (visits,) value, NaN where there is none.
        reason: (visits,) one of `cardiobind.tasks.REASONS`.
        shown: (visits) day, system and code of the event that decided, missing where none did.
        time_days: (visits,) days from the visit to the event or the end of follow-up; None where time is no matter.
    """

    label: NDArray[np.float64]
    reason: NDArray[np.object_]
    shown: pd.DataFrame
    time_days: NDArray[np.float64] | None = None


def first_of(found: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return day, system and code of each visit's first event (`found` is sorted), missing where it has none."""
    return found.drop_duplicates("place").set_index("place")[SHOWN].reindex(visits.index)


def undated_of(found: pd.DataFrame, visits: pd.DataFrame) -> pd.DataFrame:
    """Return the same of each visit's first event without a known date."""
    return first_of(found[found["day"].isna()], visits)


def there(first: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell for each visit whether there is an event."""
    return first["code"].notna().to_numpy(dtype=bool)


def where(mask: NDArray[np.bool_], chosen: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return row by row that of `chosen` where `mask` is true, else that of `others`."""
    rows, count = pd.concat([others, chosen], ignore_index=True), len(others)
    return rows.iloc[np.arange(count) + count * mask].set_axis(others.index)


def nothing(count: int, reason: str) -> Outcome:
    """Return that nothing is known of `count` visits."""
    shown = pd.DataFrame({"day": pd.NaT, "system": None, "code": None}, index=range(count))
    shown = shown.astype({"day": "datetime64[ns]", "system": object, "code": object})
    return Outcome(np.full(count, np.nan), np.full(count, reason, dtype=object), shown)
