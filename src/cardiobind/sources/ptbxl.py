"""PTB-XL 1.0.x: 12-lead ECGs with SCP statements, from the unpacked tree or straight out of a zip archive.

Source: Wagner et al., Scientific Data 7:154 (2020).
"""

from __future__ import annotations

import ast
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.errors import InputError, RecordError
from cardiobind.formats import masked, read_ecg, reasons
from cardiobind.formats.location import SEPARATOR, open_archive
from cardiobind.formats.tables.table_file import read_table
from cardiobind.modalities.records import EcgRecord
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef, issue

FILE_COLUMN = {100: "filename_lr", 500: "filename_hr"}
OVER_89 = 300
_COLUMNS = [
    "ecg_id", "patient_id", "age", "sex", "height", "weight", "recording_date", "scp_codes", "strat_fold",
    *FILE_COLUMN.values(),
]  # fmt: skip
_SEX = {0: "male", 1: "female"}


@SOURCES.register("ptbxl")
class PtbxlSource:
    """A copy of PTB-XL; a subject is a patient, a visit is a recording.

    Args:
        root: folder with ``ptbxl_database.csv``, ``scp_statements.csv`` and ``records100/`` or ``records100*.zip``
            (or the same of 500).
        rate_hz: 100 or 500.

    Raises:
        InputError: `root` has no database, or another rate.
    """

    def __init__(self, root: Path | str, rate_hz: int = 500) -> None:
        self.root = Path(root)
        self.rate_hz = int(rate_hz)
        if self.rate_hz not in FILE_COLUMN:
            raise InputError("PTB-XL has no such rate", where="rate_hz", expected="100 | 500", got=rate_hz)
        if not (self.root / "ptbxl_database.csv").is_file():
            raise InputError("there is no ptbxl_database.csv", where=self.root, hint="give the folder that holds it")

    def __reduce__(self) -> tuple[Any, ...]:
        return (PtbxlSource, (self.root, self.rate_hz))

    def records(self) -> list[RecordRef]:
        """Return the recordings of the database that are on disk at this rate, sorted."""
        return self._found[0]

    def read(self, ref: RecordRef) -> EcgRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """
        return read_ecg(ref.location)

    def table(self) -> pd.DataFrame:
        """Return subject, visit, age, sex, height, weight and the official fold; an age of 300 (over 89) is 90."""
        rows = self._database
        age = rows["age"].where(rows["age"] != OVER_89, 90.0)
        return rows[["subject", "visit"]].assign(
            age_years=age,
            sex=rows["sex"].map(_SEX).astype(object),
            height_cm=rows["height"],
            weight_kg=rows["weight"],
            fold=rows["strat_fold"].astype(int),
        )

    def events(self) -> pd.DataFrame:
        """Return each recording's SCP statements and the diagnostic superclasses they belong to, in system "scp"."""
        rows = self._database[["subject", "visit", "date", "scp_codes"]]
        codes = rows["scp_codes"].map(lambda text: sorted(self._with_superclasses(text)))
        events = rows.assign(code=codes, system="scp").explode("code").dropna(subset=["code"])
        return events[EVENT_COLUMNS].sort_values(EVENT_COLUMNS[:4], ignore_index=True)

    def visits(self) -> pd.DataFrame:
        """Return subject, visit and date of every recording."""
        return self._database[VISIT_COLUMNS].copy()

    def issues(self) -> list[dict[str, Any]]:
        """Return how many recordings of the database are not on disk and how many rows have no usable statements."""
        counts = {"record_not_on_disk": self._found[1], "unparsed_statements": self._unparsed}
        return [issue(reason, FILE_COLUMN[self.rate_hz], count) for reason, count in counts.items() if count]

    @cached_property
    def _database(self) -> pd.DataFrame:
        path = self.root / "ptbxl_database.csv"
        rows = read_table(path, _COLUMNS)
        for name in ("ecg_id", "patient_id", "age", "sex", "height", "weight", "strat_fold"):
            rows[name] = pd.to_numeric(rows[name], errors="coerce")
        if rows[["ecg_id", "patient_id", "strat_fold"]].isna().any(axis=None):
            raise RecordError(reasons.BAD_TABLE, "a row without ecg_id, patient_id or strat_fold", where=masked(path))
        rows = rows.assign(
            subject=rows["patient_id"].astype(int).astype(str),
            visit=rows["ecg_id"].astype(int).astype(str),
            date=pd.to_datetime(rows["recording_date"], errors="coerce", format="ISO8601"),
        )
        return rows.sort_values(["subject", "visit"], ignore_index=True)

    @cached_property
    def _found(self) -> tuple[list[RecordRef], int]:
        names = self._database[FILE_COLUMN[self.rate_hz]]
        places = [self._place(str(name)) for name in names]
        refs = [
            RecordRef(subject, visit, "ecg", place)
            for subject, visit, place in zip(self._database["subject"], self._database["visit"], places, strict=True)
            if place is not None
        ]
        return sorted(refs), places.count(None)

    def _place(self, name: str) -> str | None:
        if (self.root / f"{name}.hea").is_file():
            return str(self.root / name)
        archive = self._members.get(f"{name}.hea")
        return None if archive is None else f"{archive}{SEPARATOR}{name}"

    @cached_property
    def _members(self) -> dict[str, str]:
        archives = sorted(self.root.glob(f"records{self.rate_hz}*.zip"))
        return {name: str(path) for path in archives for name in open_archive(str(path)).namelist()}

    @cached_property
    def _superclass(self) -> dict[str, str]:
        rows = read_table(self.root / "scp_statements.csv")
        diagnostic = pd.to_numeric(rows["diagnostic"], errors="coerce") == 1
        return dict(zip(rows.iloc[:, 0][diagnostic], rows["diagnostic_class"][diagnostic], strict=True))

    @cached_property
    def _unparsed(self) -> int:
        return int(self._database["scp_codes"].map(lambda text: _statements(text) is None).sum())

    def _with_superclasses(self, text: Any) -> set[str]:
        statements = _statements(text) or set()
        return statements | {self._superclass[code] for code in statements if code in self._superclass}


def _statements(text: Any) -> set[str] | None:
    """Return the codes of a Python dict literal, or None if it is not one."""
    try:
        value = ast.literal_eval(text) if isinstance(text, str) else np.nan
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return {str(code) for code in value} if isinstance(value, dict) else None
