"""Entries of an array field of a UK Biobank table: one list cell a participant, or one column an entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cardiobind.formats.tables.code_lists import parse_code_list
from cardiobind.formats.tables.ukb_headers import Column

Columns = Mapping[int, Sequence[Column]]


def entries(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """Return row, entry, value (text): entry k of one field belongs to entry k of the field it is paired with."""
    parts = []
    for column in columns:
        cells = frame[column.header].dropna()
        if column.array is not None:
            entry, values = np.full(len(cells), column.array), cells.astype(str).str.strip()
        else:
            values = cells.map(parse_code_list).explode().dropna()
            entry = values.groupby(level=0).cumcount().to_numpy()
        parts.append(pd.DataFrame({"row": values.index, "entry": entry, "value": values.to_numpy(dtype=object)}))
    if not parts:
        return pd.DataFrame({"row": [], "entry": [], "value": []}).astype({"row": int, "entry": int, "value": object})
    found = pd.concat(parts, ignore_index=True)
    return found[found["value"] != ""].drop_duplicates(["row", "entry"]).astype({"value": object})


def first_values(frame: pd.DataFrame, columns: Sequence[Column]) -> pd.Series:
    """Return the first value (text) of each row that has one, by row: of the lowest instance and array."""
    found = entries(frame, columns).drop_duplicates("row").set_index("row")["value"]
    return found.astype(object)


def at_instance(columns: Sequence[Column], instance: int | None) -> list[Column]:
    """Return the columns of one assessment."""
    return [column for column in columns if column.instance == instance]


def codes_of(values: pd.Series, labels: Mapping[str, str]) -> pd.Series:
    """Return answers as codes without decimals (``"1075.0"`` is ``"1075"``), labels replaced by theirs."""
    text = values.astype(str).str.strip().str.removesuffix(".0")
    return text.map(lambda cell: labels.get(cell.lower(), cell))
