"""MIMIC-IV-ECG 1.0: 12-lead ECGs of a hospital's patients, with the diagnoses of their stays where those are at hand.

Sources: Gow et al., MIMIC-IV-ECG (PhysioNet 2023), doi:10.13026/4nqg-sb35, for ``record_list.csv`` and the files' tree;
Strodthoff et al., MIMIC-IV-ECG-Ext-ICD (PhysioNet), for ``records_w_diag_icd10.csv``, as described by its users.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.errors import InputError, RecordError
from cardiobind.formats import masked, read_ecg, reasons
from cardiobind.formats.tables.code_lists import normal_code, parse_code_list
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.modalities.records import EcgRecord
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef, issue

RECORD_LIST = "record_list.csv"
DIAGNOSES = "records_w_diag_icd10.csv"
DIAGNOSIS_COLUMNS = ("all_diag_all", "all_diag_hosp", "hosp_diag_hosp", "ed_diag_ed", "ed_diag_hosp")
_LIST_COLUMNS = ["subject_id", "study_id", "ecg_time", "path"]
_SEX = {"M": "male", "F": "female"}
_VALIDATION_FOLD, _TEST_FOLD = 18, 19


@SOURCES.register("mimic_iv_ecg")
class MimicIvEcgSource:
    """A copy of MIMIC-IV-ECG; a subject is a patient, a visit is a study (one recording).

    Args:
        root: folder with ``record_list.csv`` and ``files/``; a part of the recordings is enough.
        diagnoses: ``records_w_diag_icd10.csv``; by default the one in `root`, and without it nothing is labelled.
        diagnosis_column: which of its lists of ICD-10 codes are the events of a recording, one of `DIAGNOSIS_COLUMNS`.

    Raises:
        InputError: `root` has no record list, the file of diagnoses is not there, or an unknown column.
    """

    def __init__(
        self, root: Path | str, diagnoses: Path | str | None = None, diagnosis_column: str = "all_diag_all"
    ) -> None:
        self.root = Path(root)
        self.diagnosis_column = diagnosis_column
        if not (self.root / RECORD_LIST).is_file():
            raise InputError(f"there is no {RECORD_LIST}", where=self.root, hint="give the folder that holds it")
        if diagnosis_column not in DIAGNOSIS_COLUMNS:
            raise InputError(
                "no such list of diagnoses", where="diagnosis_column", expected=" | ".join(DIAGNOSIS_COLUMNS),
                got=diagnosis_column,
            )  # fmt: skip
        found = Path(diagnoses) if diagnoses else self.root / DIAGNOSES
        if diagnoses and not found.is_file():
            raise InputError("the file of diagnoses is not there", where=found)
        self.diagnoses = found if found.is_file() else None

    def __reduce__(self) -> tuple[Any, ...]:
        return (MimicIvEcgSource, (self.root, self.diagnoses, self.diagnosis_column))

    def records(self) -> list[RecordRef]:
        """Return the recordings of the list that are on disk, sorted."""
        return self._found[0]

    def read(self, ref: RecordRef) -> EcgRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """
        return read_ecg(ref.location)

    def table(self) -> pd.DataFrame:
        """Return subject, visit and, where diagnoses are at hand, age, sex and the fold (18 validates, 19 tests)."""
        keys = self._list[["subject", "visit"]]
        if self._stays is None:
            return keys.copy()
        return keys.merge(self._stays.drop(columns="codes"), on="visit", how="left", validate="one_to_one")

    def events(self) -> pd.DataFrame:
        """Return the ICD-10 diagnoses of the stay that a recording belongs to; their day is not known."""
        empty = pd.DataFrame(columns=EVENT_COLUMNS, dtype=object).assign(date=pd.Series(dtype="datetime64[ns]"))
        if self._stays is None:
            return empty
        stays = self._list[["subject", "visit"]].merge(self._stays[["visit", "codes"]], on="visit")
        events = stays.explode("codes").dropna(subset=["codes"]).rename(columns={"codes": "code"})
        events = events.assign(system="icd10", date=np.datetime64("NaT", "ns")).drop_duplicates(EVENT_COLUMNS)
        return events[EVENT_COLUMNS].sort_values(EVENT_COLUMNS[:4], ignore_index=True)

    def visits(self) -> pd.DataFrame:
        """Return every recording of the list with its (shifted) date; without diagnoses, none: nothing is known."""
        visits = self._list[VISIT_COLUMNS]
        return visits[visits["visit"].isin(self._labelled)].reset_index(drop=True)

    def issues(self) -> list[dict[str, Any]]:
        """Return how many recordings are not on disk, have no row of diagnoses, or come twice in the list."""
        counts = {
            ("record_not_on_disk", "path"): self._found[1],
            ("no_diagnoses", self.diagnosis_column): len(self._list) - len(self._labelled),
            ("duplicate_study", "study_id"): self._raw_rows - len(self._list),
        }
        return [issue(reason, column, count) for (reason, column), count in counts.items() if count]

    @cached_property
    def _raw(self) -> pd.DataFrame:
        rows = read_table(self.root / RECORD_LIST, _LIST_COLUMNS)
        if rows[["subject_id", "study_id", "path"]].isna().any(axis=None):
            raise RecordError(reasons.BAD_TABLE, "a row without subject_id, study_id or path", where=RECORD_LIST)
        return rows

    @property
    def _raw_rows(self) -> int:
        return len(self._raw)

    @cached_property
    def _list(self) -> pd.DataFrame:
        rows = self._raw.assign(
            subject=self._raw["subject_id"].astype(str),
            visit=self._raw["study_id"].astype(str),
            date=pd.to_datetime(self._raw["ecg_time"], errors="coerce", format="ISO8601"),
        )
        return rows.drop_duplicates("visit").sort_values(["subject", "visit"], ignore_index=True)

    @cached_property
    def _found(self) -> tuple[list[RecordRef], int]:
        there = [(self.root / f"{path}.hea").is_file() for path in self._list["path"]]
        rows = self._list[there]
        refs = [
            RecordRef(subject, visit, "ecg", str(self.root / path))
            for subject, visit, path in zip(rows["subject"], rows["visit"], rows["path"], strict=True)
        ]
        return sorted(refs), there.count(False)

    @property
    def _labelled(self) -> frozenset[str]:
        return frozenset() if self._stays is None else frozenset(self._stays["visit"]) & frozenset(self._list["visit"])

    @cached_property
    def _stays(self) -> pd.DataFrame | None:
        """Return visit, codes and the facts of the file of diagnoses, or None without it."""
        if self.diagnoses is None:
            return None
        wanted = ["study_id", self.diagnosis_column]
        facts = [name for name in ("gender", "age", "strat_fold") if name in table_columns(self.diagnoses)]
        rows = read_table(self.diagnoses, [*wanted, *facts]).drop_duplicates("study_id")
        if rows["study_id"].isna().any():
            raise RecordError(reasons.BAD_TABLE, "a row without study_id", where=masked(self.diagnoses))
        stays = pd.DataFrame({"visit": rows["study_id"].astype(str).str.removesuffix(".0")})
        codes = rows[self.diagnosis_column].map(parse_code_list)
        stays["codes"] = codes.map(lambda cell: [normal_code(code) for code in cell if code])
        return _with_facts(stays, rows)


def _with_facts(stays: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    if "age" in rows:
        stays["age_years"] = pd.to_numeric(rows["age"], errors="coerce")
    if "gender" in rows:
        stays["sex"] = rows["gender"].map(_SEX).astype(object)
    if "strat_fold" in rows:
        stays["fold"] = pd.to_numeric(rows["strat_fold"], errors="coerce").map(_fold_of_ten)
    return stays


def _fold_of_ten(fold: float) -> float:
    """Return the fold in PTB-XL's counting, 1 to 8 for training, 9 for validation, 10 for the test."""
    if fold == _VALIDATION_FOLD:
        return 9.0
    return 10.0 if fold == _TEST_FOLD else 1.0 + fold % 8
