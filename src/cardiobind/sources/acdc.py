"""ACDC: short-axis cines of 150 patients in five groups, as NIfTI with an Info.cfg each.

Source: Bernard et al., IEEE TMI 37:2514 (2018).
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind.errors import InputError
from cardiobind.formats import read_cine
from cardiobind.formats.cine.nifti_layouts import SUFFIXES, read_info
from cardiobind.modalities.records import CineRecord
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef, issue

GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
VISIT = "1"
TRAINING_FOLDS, TEST_FOLD = 9, 10
_PATIENT = re.compile(r"^patient(\d{1,6})$")
_COLUMNS = ["subject", "visit", "height_cm", "weight_kg", "bmi_kg_m2"]


@SOURCES.register("acdc")
class AcdcSource:
    """A copy of ACDC; a subject is a patient with one visit.

    Args:
        root: folder with ``training/`` and ``testing/``, or with the ``patient001`` ... folders themselves.

    Raises:
        InputError: `root` has no folder of a patient.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        if not self._folders:
            raise InputError(
                "there is no folder of a patient", where=self.root, expected="patient001, patient002 ...",
                hint="give the folder that holds them",
            )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return (AcdcSource, (self.root,))

    def records(self) -> list[RecordRef]:
        """Return the cine of each patient whose 4-D file is there, sorted."""
        return sorted(
            RecordRef(subject, VISIT, "cmr", str(cine))
            for subject, folder in self._folders.items()
            if (cine := _cine(folder)) is not None
        )

    def read(self, ref: RecordRef) -> CineRecord:
        """Return one cine, its known end-diastole and end-systole in ``meta``.

        Raises:
            RecordError: it cannot be used.
        """
        return read_cine(ref.location)

    def table(self) -> pd.DataFrame:
        """Return subject, visit, height, weight and body mass index; where there is an official test set, folds.

        The test set is fold 10; the training set is dealt to folds 1 to 9 by patient number, whose order is by group.
        """
        rows = [self._row(subject) for subject in self._folders]
        table = pd.DataFrame(rows, columns=_COLUMNS)
        if any(folder.parent.name == "testing" for folder in self._folders.values()):
            table["fold"] = [_fold(subject, folder) for subject, folder in self._folders.items()]
        return table

    def events(self) -> pd.DataFrame:
        """Return each patient's group (NOR, MINF, DCM, HCM or RV) in system "acdc"."""
        events = pd.DataFrame(
            [(subject, VISIT, "acdc", group) for subject, group in self._groups.items() if group in GROUPS],
            columns=EVENT_COLUMNS[:4],
        )
        return events.assign(date=pd.Series(pd.NaT, index=events.index, dtype="datetime64[ns]"))

    def visits(self) -> pd.DataFrame:
        """Return the one visit of each patient, its date unknown."""
        visits = pd.DataFrame([(subject, VISIT) for subject in self._folders], columns=VISIT_COLUMNS[:2])
        return visits.assign(date=pd.Series(pd.NaT, index=visits.index, dtype="datetime64[ns]"))

    def issues(self) -> list[dict[str, Any]]:
        """Return how many patients lack their cine, their Info.cfg, or a known group."""
        counts = {
            "record_not_on_disk": len(self._folders) - len(self.records()),
            "no_info": sum(not info for info in self._info.values()),
            "unknown_group": sum(bool(group) and group not in GROUPS for group in self._groups.values()),
        }
        return [issue(reason, "", count) for reason, count in counts.items() if count]

    @cached_property
    def _folders(self) -> dict[str, Path]:
        places = [self.root, self.root / "training", self.root / "testing"]
        found = [path for place in places if place.is_dir() for path in sorted(place.iterdir()) if path.is_dir()]
        return {path.name: path for path in sorted(found, key=_number) if _PATIENT.match(path.name)}

    @cached_property
    def _info(self) -> dict[str, dict[str, str]]:
        return {subject: read_info(folder / "Info.cfg") for subject, folder in self._folders.items()}

    @property
    def _groups(self) -> dict[str, str]:
        return {subject: info.get("Group", "") for subject, info in self._info.items()}

    def _row(self, subject: str) -> tuple[str, str, float, float, float]:
        height, weight = (_value(self._info[subject], key) for key in ("Height", "Weight"))
        return subject, VISIT, height, weight, weight / (height / 100) ** 2


def _cine(folder: Path) -> Path | None:
    return next((path for s in SUFFIXES if (path := folder / f"{folder.name}_4d{s}").is_file()), None)


def _number(path: Path) -> tuple[int, str]:
    match = _PATIENT.match(path.name)
    return (int(match[1]) if match else -1, path.name)


def _fold(subject: str, folder: Path) -> int:
    return TEST_FOLD if folder.parent.name == "testing" else (_number(Path(subject))[0] - 1) % TRAINING_FOLDS + 1


def _value(info: dict[str, str], key: str) -> float:
    """Return a positive number, NaN where it is missing, not one, or not positive."""
    try:
        value = float(info.get(key, "nan"))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan
