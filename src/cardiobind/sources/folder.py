"""A hospital's own folder: a CSV of paths, and beside it a table, coded diagnoses and the meaning of the columns.

- ``recordings.csv``: subject, ecg, cmr, and if wanted cmr_long_axis, visit, date: one row a visit, paths from here
- ``table.csv`` (.tsv, .parquet, .xlsx): subject, if wanted visit, date, fold, and medical facts
- ``columns.toml``: what the columns of the table mean (`cardiobind.sources.folder_columns`)
- ``events.csv``: subject, system (icd10, icd9, opcs4, ...), code, and if wanted visit, date
- ``withdrawn.csv``: one subject a line who is to be left out everywhere
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cardiobind.errors import InputError, RecordError
from cardiobind.formats import masked, read_cine, read_ecg, read_long_axis, reasons
from cardiobind.formats.location import SEPARATOR, split_location
from cardiobind.formats.tables.table_file import read_table, table_columns
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.sources.base import EVENT_COLUMNS, SOURCES, VISIT_COLUMNS, RecordRef, issue
from cardiobind.sources.folder_columns import (
    ColumnDeclaration,
    canonical_values,
    features_of,
    read_declarations,
    refuse_lost_column,
)
from cardiobind.sources.folder_events import canonical_systems, one_code_a_row

ONLY_VISIT = "1"
TABLE_NAMES = ("table.parquet", "table.csv", "table.tsv", "table.xlsx")
SIGNALS = ("ecg", "cmr")
LISTED = (*SIGNALS, "cmr_long_axis")
_KEYS = ("subject", "visit", "date", "fold")


@SOURCES.register("folder")
class FolderSource:
    """ECGs and cine MRIs named in a CSV, of any format that the readers know.

    Everybody in ``recordings.csv`` or the table counts as followed up: who has no code of an endpoint in ``events.csv``
    is a control. Without ``events.csv`` nobody is labelled.

    Args:
        root: the folder; paths in ``recordings.csv`` count from it.
        recordings: the CSV of paths.
        table: the medical facts; by default ``table.parquet``, ``.csv``, ``.tsv`` or ``.xlsx`` if there.
        columns: the meaning of its columns; by default ``columns.toml`` if there.
        events: coded diagnoses; by default ``events.csv`` if there.
        withdrawn: subjects to leave out; by default ``withdrawn.csv`` if there.

    Raises:
        InputError: a file that is named is not there, or there are neither recordings nor a table.
    """

    def __init__(
        self,
        root: Path | str,
        recordings: str = "recordings.csv",
        table: str | None = None,
        columns: str | None = None,
        events: str | None = None,
        withdrawn: str | None = None,
    ) -> None:
        self.root = Path(root)
        self._options = (recordings, table, columns, events, withdrawn)
        self.recordings = self._file(None if recordings == "recordings.csv" else recordings, "recordings.csv")
        self.table_path = self._file(table, *TABLE_NAMES)
        self.columns = self._file(columns, "columns.toml")
        self.events_path = self._file(events, "events.csv")
        self.withdrawn = self._file(withdrawn, "withdrawn.csv")
        if self.recordings is None and self.table_path is None:
            raise InputError(
                "there are neither recordings nor a table", where=self.root,
                expected="recordings.csv with the columns subject, ecg, cmr",
            )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        return (FolderSource, (self.root, *self._options))

    def records(self) -> list[RecordRef]:
        """Return the recordings of the list, sorted; whether a file is there shows when it is read."""
        listed = self._listed
        refs = [
            RecordRef(subject, visit, modality, self._place(path), self._place(apart) if isinstance(apart, str) else "")
            for modality in SIGNALS
            if modality in listed
            for subject, visit, path, apart in zip(
                listed["subject"], listed["visit"], listed[modality], _beside(listed, modality), strict=True
            )
            if isinstance(path, str)
        ]
        return sorted(refs)

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """
        return read_ecg(ref.location) if ref.modality == "ecg" else read_cine(ref.location)

    def read_long_axis(self, ref: RecordRef, views: Sequence[str]) -> tuple[dict[str, CineRecord], dict[str, str]]:
        """Return the long-axis views of a visit that can be read, and the reason code of each that is damaged.

        They are where the column ``cmr_long_axis`` says, else in the archive or folder of the short axis.
        """
        return read_long_axis(ref.long_axis or ref.location, views)

    def table(self) -> pd.DataFrame:
        """Return subject, visit, the features that the table has and, where it has one, the fold."""
        return self._facts[0]

    def events(self) -> pd.DataFrame:
        """Return the coded diagnoses of those who are in the recordings or the table."""
        return self._coded[0]

    def visits(self) -> pd.DataFrame:
        """Return subject, visit and date of every row of the recordings and of the table."""
        both = pd.concat([self._listed[VISIT_COLUMNS], self._rows[VISIT_COLUMNS]], ignore_index=True)
        dated = both.sort_values(["subject", "visit", "date"], na_position="last", kind="stable")
        return dated.drop_duplicates(["subject", "visit"]).reset_index(drop=True)

    def issues(self) -> list[dict[str, Any]]:
        """Return rows of withdrawn subjects, dates and cells that could not be understood."""
        counts = {**self._left_out, **self._facts[1], **self._coded[1]}
        found = [issue(reason, column, count) for (reason, column), count in sorted(counts.items()) if count]
        return found if self.table_path else [*found, issue("no_table", "", 1)]

    def _file(self, named: str | None, *usual: str) -> Path | None:
        if named is None:
            return next((self.root / name for name in usual if (self.root / name).is_file()), None)
        if not (self.root / named).is_file():
            raise InputError("a file that the source names is not there", where=self.root / named)
        return self.root / named

    def _place(self, path: str) -> str:
        archive, inner = split_location(path.strip())
        return str(self.root / inner) if archive is None else f"{self.root / archive}{SEPARATOR}{inner}"

    def places(self) -> list[Path]:
        """Return the files, archives and folders that the list of recordings names, those of withdrawn subjects too."""
        if self.recordings is None:
            return []
        listed = read_table(self.recordings, self._wanted_columns(self.recordings, LISTED))
        paths = {path for name in LISTED if name in listed for path in listed[name].dropna()}
        return sorted({Path(self._place(path).partition(SEPARATOR)[0]) for path in paths})

    def withdrawal_lists(self) -> list[Path]:
        """Return the file that says who has withdrawn, if there is one."""
        return [] if self.withdrawn is None else [self.withdrawn]

    @cached_property
    def _withdrawn(self) -> frozenset[str]:
        if self.withdrawn is None:
            return frozenset()
        lines = self.withdrawn.read_text(encoding="utf-8-sig").splitlines()
        names = {line.split(",")[0].strip().strip('"') for line in lines if line.strip()}
        return frozenset(names - {"subject"})

    @cached_property
    def _read(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[tuple[str, str], int]]:
        """Return the list of recordings and the table, keyed and without the withdrawn, and what was left out."""
        left_out: dict[tuple[str, str], int] = {}
        listed = self._keyed(self.recordings, left_out, LISTED)
        rows = self._keyed(self.table_path, left_out, None)
        return listed, rows, left_out

    @property
    def _listed(self) -> pd.DataFrame:
        return self._read[0]

    @property
    def _rows(self) -> pd.DataFrame:
        return self._read[1]

    @property
    def _left_out(self) -> dict[tuple[str, str], int]:
        return self._read[2]

    def _keyed(
        self, path: Path | None, left_out: dict[tuple[str, str], int], wanted: tuple[str, ...] | None
    ) -> pd.DataFrame:
        if path is None:
            return pd.DataFrame({name: pd.Series(dtype=object) for name in VISIT_COLUMNS})
        frame = read_table(path, self._wanted_columns(path, wanted))
        frame = frame.assign(
            subject=_names(frame["subject"], path), visit=_visits(frame), date=_dates(frame, path, left_out)
        )
        kept = ~frame["subject"].isin(self._withdrawn)
        _count(left_out, ("withdrawn", path.name), int((~kept).sum()))
        return frame[kept].reset_index(drop=True)

    def _wanted_columns(self, path: Path, wanted: tuple[str, ...] | None) -> list[str]:
        columns = table_columns(path)
        if "subject" not in columns:
            raise RecordError(
                reasons.BAD_TABLE, "there is no column called subject", where=masked(path),
                expected="subject, " + ", ".join(wanted or ("medical facts",)), got=", ".join(columns[:10]),
            )  # fmt: skip
        if wanted is not None and not set(wanted) & set(columns):
            raise RecordError(
                reasons.BAD_TABLE, "no column names a recording", where=masked(path), expected=" or ".join(wanted)
            )
        keys = [name for name in columns if name in _KEYS]
        others = [name for name in columns if name not in _KEYS]
        if wanted is not None:
            return keys + [name for name in others if name in wanted]
        return keys + list(features_of(others, self._declared).values())

    @cached_property
    def _declared(self) -> dict[str, ColumnDeclaration]:
        return read_declarations(self.columns)

    @cached_property
    def _facts(self) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
        names = [column for column in self._rows.columns if column not in _KEYS]
        declared = {name: said for name, said in self._declared.items() if name in names}
        table, problems = self._rows[["subject", "visit"]].copy(), dict[tuple[str, str], int]()
        for feature, column in features_of(names, declared).items():
            table[feature], unreadable = canonical_values(self._rows[column], feature, declared.get(column))
            refuse_lost_column(feature, column, int(self._rows[column].notna().sum()), unreadable)
            _count(problems, ("not_understood", feature), unreadable)
        if "fold" in self._rows:
            table["fold"] = pd.to_numeric(self._rows["fold"], errors="coerce")
        return table.sort_values(["subject", "visit"], ignore_index=True), problems

    @cached_property
    def _coded(self) -> tuple[pd.DataFrame, dict[tuple[str, str], int]]:
        counts: dict[tuple[str, str], int] = {}
        if self.events_path is None:
            empty = pd.DataFrame({name: pd.Series(dtype=object) for name in EVENT_COLUMNS})
            return empty.assign(date=pd.to_datetime(empty["date"])), counts
        frame = read_table(self.events_path)
        absent = [name for name in ("subject", "system", "code") if name not in frame]
        if absent:
            raise RecordError(
                reasons.BAD_TABLE, "the events lack columns", where=masked(self.events_path),
                expected="subject, system, code", got=f"without {', '.join(absent)}",
            )  # fmt: skip
        about = frame["visit"].fillna("").astype(str).str.strip() if "visit" in frame else ""
        events = frame.assign(
            subject=_names(frame["subject"], self.events_path), visit=about,
            date=_dates(frame, self.events_path, counts),
            system=canonical_systems(frame["system"], masked(self.events_path)),
        )  # fmt: skip
        known = events["subject"].isin(set(self._listed["subject"]) | set(self._rows["subject"]))
        coded = events["code"].notna() & events["system"].notna()
        withdrawn = events["subject"].isin(self._withdrawn)
        _count(counts, ("withdrawn", self.events_path.name), int(withdrawn.sum()))
        _count(counts, ("event_of_nobody_here", "events"), int((~known & ~withdrawn).sum()))
        _count(counts, ("event_without_code", "events"), int((known & ~coded).sum()))
        parted, no_codes = one_code_a_row(events.loc[known & coded, EVENT_COLUMNS], masked(self.events_path))
        _count(counts, ("not_a_code", "events"), no_codes)
        kept = parted.drop_duplicates()
        return kept.sort_values(EVENT_COLUMNS, ignore_index=True), counts


def _beside(listed: pd.DataFrame, modality: str) -> Sequence[object]:
    """Return where each row's further views of a recording are; None where it does not say."""
    name = f"{modality}_long_axis"
    return list(listed[name]) if name in listed else [None] * len(listed)


def _names(column: pd.Series, path: Path) -> pd.Series:
    if column.isna().any():
        raise RecordError(
            reasons.BAD_TABLE, "a row has no subject", where=masked(path), got=f"{int(column.isna().sum())} rows"
        )
    return column.astype(str).str.strip().str.removesuffix(".0")


def _visits(frame: pd.DataFrame) -> pd.Series:
    if "visit" not in frame:
        return pd.Series(ONLY_VISIT, index=frame.index, dtype=object)
    return frame["visit"].fillna(ONLY_VISIT).astype(str).str.strip().str.removesuffix(".0")


def _dates(frame: pd.DataFrame, path: Path, counts: dict[tuple[str, str], int]) -> pd.Series:
    if "date" not in frame:
        return pd.Series(np.datetime64("NaT", "ns"), index=frame.index)
    dates = pd.to_datetime(frame["date"], errors="coerce", format="ISO8601")
    given = frame["date"].notna()
    unparsed = int((dates.isna() & given).sum())
    if 2 * unparsed > int(given.sum()):
        raise RecordError(
            reasons.BAD_TABLE, "most dates cannot be read", where=f"{masked(path)}, column date",
            expected="ISO 8601: year, month, day, such as 2020-02-03",
            got=f"{unparsed} of {int(given.sum())} in another form",
        )  # fmt: skip
    _count(counts, ("unparsed_date", path.name), unparsed)
    return dates


def _count(counts: dict[tuple[str, str], int], key: tuple[str, str], number: int) -> None:
    counts[key] = counts.get(key, 0) + number
