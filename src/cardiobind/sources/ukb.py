"""UK Biobank: bulk files of fields 20205, 20208 and 20209 beside a table in any of its header styles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind.errors import InputError
from cardiobind.formats import read_cine, read_ecg, read_long_axis
from cardiobind.formats.tables.table_file import table_path
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.sources.base import SOURCES, RecordRef, issue
from cardiobind.sources.ukb_events import read_events
from cardiobind.sources.ukb_files import find_records, find_table, find_withdrawals, read_withdrawals
from cardiobind.sources.ukb_follow_up import parse_end_of_records
from cardiobind.sources.ukb_table import UkbTable, days_after_visit, load_table, read_features, read_visits


@SOURCES.register("ukb")
class UkbSource:
    """A UK Biobank application's files.

    Visits are the imaging assessments "2" and "3" of those who attended them (a value measured there, or a file), and
    "0" for everybody else. Withdrawn participants are nowhere.

    Args:
        root: folder of the bulk files: flat, one folder a field, or the platform's ``Bulk/...`` tree.
        table: text, Parquet or Excel (``clinic.xlsx::Sheet``); by default ``table.parquet``, ``table.csv`` or ``ukb*``
            in `root`.
        withdrawals: list of eids to leave out, besides every ``w*_*.csv`` in `root`.
        end_of_records: until when hospital records are complete, as ``"england=2022-10-31"`` for each country or one
            date for all; empty: unknown, so that no time to an event is known either.

    Raises:
        InputError: `root` is no folder or `table` no file.
        ConfigError: `end_of_records` cannot be understood.
    """

    def __init__(
        self, root: Path | str, table: Path | str | None = None, withdrawals: Path | str | None = None,
        end_of_records: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.root = Path(root)
        if not self.root.is_dir():
            raise InputError("the folder of the source is not there", where=self.root)
        self.table_path = Path(table) if table else find_table(self.root)
        if self.table_path is not None and not table_path(self.table_path).is_file():
            raise InputError("the table is not there", where=self.table_path)
        self.withdrawals = Path(withdrawals) if withdrawals else None
        self.end_of_records = (end_of_records,) if isinstance(end_of_records, str) else tuple(end_of_records)
        self._ends = parse_end_of_records(self.end_of_records)

    def __reduce__(self) -> tuple[Any, ...]:
        return (UkbSource, (self.root, self.table_path, self.withdrawals, self.end_of_records))

    def records(self) -> list[RecordRef]:
        """Return the resting ECGs and short-axis cines of all visits, sorted."""
        return self._found[0]

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """
        return read_ecg(ref.location) if ref.modality == "ecg" else read_cine(ref.location)

    def read_long_axis(self, ref: RecordRef, views: Sequence[str]) -> tuple[dict[str, CineRecord], dict[str, str]]:
        """Return the long-axis views of a visit that can be read, and the reason code of each that is damaged."""
        return read_long_axis(ref.long_axis, views) if ref.long_axis else ({}, {})

    def table(self) -> pd.DataFrame:
        """Return subject, visit and the features whose columns the table has."""
        return self._features[0]

    def instances(self) -> pd.DataFrame:
        """Return, in the shape of `table`, the assessment each value was taken from (-1: missing)."""
        return self._features[1]

    def days_after_visit(self) -> pd.DataFrame:
        """Return, in the shape of `table`, days from the visit to the day each value is from (NaN: unknown).

        That day is the one of the assessment (field 53), or the one on which an online questionnaire was answered.
        """
        return days_after_visit(self._raw, self._visits, self.instances())

    def events(self) -> pd.DataFrame:
        """Return diagnoses, operations, deaths, first occurrences, outcomes, self-report and the end of follow-up."""
        return self._events[0]

    def visits(self) -> pd.DataFrame:
        """Return the visits of all participants in the table, with the date from field 53."""
        return self._visits

    def issues(self) -> list[dict[str, Any]]:
        """Return files and rows left out, absent columns, unusable cells, values from the baseline visit."""
        counts = {**self._found[1], "table_rows_left_out": self._raw.left_out, "unparsed_date": self._events[1]}
        found = [issue(reason, "", count) for reason, count in counts.items() if count]
        found += [issue("ambiguous_header", header, count) for header, count in self._raw.ambiguous.items()]
        return [*found, *self._features[2]] if self.table_path else [*found, issue("no_table", "", 1)]

    def withdrawal_lists(self) -> list[Path]:
        """Return the files that say who has withdrawn."""
        return find_withdrawals(self.root, self.withdrawals)

    @cached_property
    def _withdrawn(self) -> frozenset[str]:
        return read_withdrawals(self.root, self.withdrawals)

    @cached_property
    def _found(self) -> tuple[list[RecordRef], dict[str, int]]:
        return find_records(self.root, self._withdrawn)

    @cached_property
    def _raw(self) -> UkbTable:
        return load_table(self.table_path, self._withdrawn)

    @cached_property
    def _visits(self) -> pd.DataFrame:
        return read_visits(self._raw, {(ref.subject, ref.visit) for ref in self.records()})

    @cached_property
    def _features(self) -> tuple[pd.DataFrame, pd.DataFrame, list[dict[str, Any]]]:
        return read_features(self._raw, self._visits)

    @cached_property
    def _events(self) -> tuple[pd.DataFrame, int]:
        frame = self._raw.frame.reset_index()
        return read_events(frame, frame["subject"], self._raw.columns, self._ends)
