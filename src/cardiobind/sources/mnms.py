"""M&Ms: short-axis cines from four vendors' scanners, as NIfTI beside one table.

Source: Campello et al., IEEE TMI 40:3543 (2021).
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind.errors import InputError
from cardiobind.formats import read_cine
from cardiobind.formats.cine.nifti_layouts import SUFFIXES, read_mnms_table
from cardiobind.formats.location import files_below
from cardiobind.modalities.records import CineRecord
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef, issue

VISIT = "1"
_SEX = {"m": "male", "f": "female"}
_FEATURES = ["subject", "visit", "age_years", "sex", "height_cm", "weight_kg", "bmi_kg_m2"]


@SOURCES.register("mnms")
class MnmsSource:
    """A copy of M&Ms; a subject is an external code with one visit.

    Args:
        root: folder with ``*Dataset_information*.csv`` (columns External code, Vendor, Pathology, ...) and, at any
            depth, the folders of the subjects with ``<code>_sa.nii.gz``.

    Raises:
        InputError: `root` has no such table.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self._rows:
            raise InputError(
                "there is no table of M&Ms", where=self.root, expected="a CSV that begins with 'External code'",
                hint="give the folder that holds it",
            )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return (MnmsSource, (self.root,))

    def records(self) -> list[RecordRef]:
        """Return the cine of each subject of the table whose file is there, sorted."""
        return sorted(RecordRef(subject, VISIT, "cmr", str(path)) for subject, path in self._files.items())

    def read(self, ref: RecordRef) -> CineRecord:
        """Return one cine, its known end-diastole and end-systole in ``meta``.

        Raises:
            RecordError: it cannot be used.
        """
        return read_cine(ref.location)

    def table(self) -> pd.DataFrame:
        """Return subject, visit, age, sex, height, weight and body mass index."""
        return pd.DataFrame([_facts(subject, row) for subject, row in self._rows.items()], columns=_FEATURES)

    def events(self) -> pd.DataFrame:
        """Return each subject's pathology (system "mnms") and scanner's vendor (system "vendor")."""
        coded = [
            (subject, VISIT, system, row[column])
            for subject, row in self._rows.items()
            for system, column in (("mnms", "Pathology"), ("vendor", "Vendor"))
            if row.get(column)
        ]
        events = pd.DataFrame(coded, columns=EVENT_COLUMNS[:4])
        return events.assign(date=pd.Series(pd.NaT, index=events.index, dtype="datetime64[ns]"))

    def visits(self) -> pd.DataFrame:
        """Return the one visit of each subject, its date unknown."""
        visits = pd.DataFrame([(subject, VISIT) for subject in self._rows], columns=VISIT_COLUMNS[:2])
        return visits.assign(date=pd.Series(pd.NaT, index=visits.index, dtype="datetime64[ns]"))

    def issues(self) -> list[dict[str, Any]]:
        """Return how many subjects lack cine or pathology, and how many cines lack their row or are there again."""
        counts = {
            "record_not_on_disk": len(self._rows) - len(self._files),
            "no_pathology": sum(not row.get("Pathology") for row in self._rows.values()),
            "not_in_table": len(self._on_disk) - len(self._files),
            "duplicate_file": len(self._images) - len(self._on_disk),
        }
        return [issue(reason, "", count) for reason, count in counts.items() if count]

    @cached_property
    def _rows(self) -> dict[str, dict[str, str]]:
        rows = read_mnms_table(self.root) if self.root.is_dir() else {}
        return {subject: rows[subject] for subject in sorted(rows) if subject}

    @cached_property
    def _images(self) -> list[Path]:
        ends = tuple(f"_sa{suffix}" for suffix in SUFFIXES)
        return [path for path in files_below(self.root) if path.name.endswith(ends)]

    @cached_property
    def _on_disk(self) -> dict[str, Path]:
        return {path.name.split("_sa.nii")[0]: path for path in reversed(self._images)}

    @cached_property
    def _files(self) -> dict[str, Path]:
        return {subject: path for subject, path in self._on_disk.items() if subject in self._rows}


def _facts(subject: str, row: dict[str, str]) -> tuple[str, str, float, str | None, float, float, float]:
    age, height, weight = (_positive(row.get(column, "")) for column in ("Age", "Height", "Weight"))
    sex = _SEX.get(row.get("Sex", "").lower()[:1])
    return subject, VISIT, age, sex, height, weight, weight / (height / 100) ** 2


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan
