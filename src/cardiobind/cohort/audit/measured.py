"""When the values of a cohort's table were measured: from which assessment, and how many days after the visit."""

from __future__ import annotations

import pandas as pd

from cardiobind.sources.base import DatedSource, Source

KEYS = ["subject", "visit"]
INSTANCES, DAYS_AFTER_VISIT = "instances", "days_after_visit"


def measured_frames(source: Source, rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return what a source knows about the day of its values, aligned to the rows of the tidy table.

    Args:
        source: of the table.
        rows: subject, visit and features, as kept.

    Returns:
        ``instances`` (int16 assessment each value is from, -1 missing) and ``days_after_visit`` (float32, NaN unknown,
        above 0 for a value from after the visit); nothing where the source does not date its values.
    """
    if not isinstance(source, DatedSource):
        return {}
    names = [str(name) for name in rows.columns if name not in KEYS]
    instances = _aligned(source.instances(), rows, names).fillna(-1)
    days = _aligned(source.days_after_visit(), rows, names)
    numbers = {INSTANCES: instances.astype("int16"), DAYS_AFTER_VISIT: days.astype("float32")}
    return {name: pd.concat([rows[KEYS], frame], axis=1) for name, frame in numbers.items()}


def _aligned(frame: pd.DataFrame, rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    first = frame.astype(dict.fromkeys(KEYS, "str")).drop_duplicates(KEYS)
    return rows[KEYS].merge(first, on=KEYS, how="left").reindex(columns=names)
