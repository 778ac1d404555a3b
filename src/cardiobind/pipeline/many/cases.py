"""Who is to be scored, and where their recordings are: a list, a folder, or a data set whose layout is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from cardiobind.errors import ConfigError, InputError
from cardiobind.formats import ECG_FORMATS, masked, read_cine, read_ecg, read_long_axis
from cardiobind.formats.ecg.array_layout import has_layout
from cardiobind.formats.location import SEPARATOR, files_below, split_location
from cardiobind.formats.tables.table_file import read_table
from cardiobind.inference.facts import SUBJECT, FactsTable, records, unknown_columns
from cardiobind.inspection.kinds import TABLE_SUFFIXES
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.modalities.tabular.cleaning import is_missing
from cardiobind.pipeline.many.stamps import stamps
from cardiobind.registry import did_you_mean
from cardiobind.sources import SOURCES, RecordRef

SIGNALS = ("ecg", "cmr")
LONG_AXIS = "cmr_long_axis"
KEYS = (SUBJECT, "visit", "date", "fold")
OF_ECGS = {".xml", ".scp", ".edf", ".hea"}
"""Endings of files that are taken for ECGs though no reader knows them, so that a damaged one is not passed over."""


class Reader(Protocol):
    """Reads what a `RecordRef` names; picklable."""

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording."""


@dataclass(frozen=True)
class Case:
    """One subject, or one visit of one.

    Attributes:
        subject: as the user calls them; it goes into the user's table and into no message.
        visit: empty where the user names none.
        signals: where the recording of each modality is.
        facts: by canonical name, NaN where missing; None where there are none.
        rows: of the table they come from; of several nobody knows which is meant.
    """

    subject: str
    visit: str = ""
    signals: Mapping[str, RecordRef] = field(default_factory=dict)
    facts: Mapping[str, Any] | None = None
    rows: int = 1

    @property
    def key(self) -> list[Any]:
        """All that decides what is said of them: places, sizes and times of the files, and facts."""
        files = [
            [m, ref.location, ref.long_axis, *map(stamps, _places(ref))] for m, ref in sorted(self.signals.items())
        ]
        facts = [] if self.facts is None else [*self.facts, repr([*self.facts.values()])]
        return [self.subject, self.visit, files, facts]


@dataclass(frozen=True)
class Cases:
    """All who are to be scored, in the order of the output.

    Attributes:
        reader: of their recordings.
        rows: one a subject or visit.
        passed_over: files of a folder that are no ECG.
        without_facts: who has no fact in the table that is given apart from the list.
        left_out: columns that are no fact, which nobody is scored by.
    """

    reader: Reader
    rows: Sequence[Case]
    passed_over: int = 0
    without_facts: int = 0
    left_out: int = 0


class PathReader:
    """Reads files of any format that the readers know."""

    def read(self, ref: RecordRef) -> EcgRecord | CineRecord:
        """Return one recording.

        Raises:
            RecordError: it cannot be used.
        """
        return read_ecg(ref.location) if ref.modality == "ecg" else read_cine(ref.location)

    def read_long_axis(self, ref: RecordRef, views: Sequence[str]) -> tuple[dict[str, CineRecord], dict[str, str]]:
        """Return the long-axis views that can be read, and the reason code of each that is damaged."""
        return read_long_axis(ref.long_axis or ref.location, views)


def cases_of(
    known: Sequence[str],
    *,
    subjects: Path | str | None = None,
    folder: Path | str | None = None,
    source: str | None = None,
    root: Path | str | None = None,
    table: Path | str | None = None,
    inputs: Sequence[str] | None = None,
    ignore_unknown: bool = False,
) -> Cases:
    """Return who is to be scored; exactly one of `subjects`, `folder` and `source` says so.

    Args:
        known: modalities that the network knows.
        subjects: a table with the columns subject, ecg, cmr, if wanted visit and cmr_long_axis, and medical facts by
            canonical name; paths count from its folder.
        folder: each ECG file below it is one subject, named by its path from there.
        source: a kind of data set in `cardiobind.sources.SOURCES`, laid out as that source says.
        root: the folder of the data set.
        table: medical facts of all subjects, apart from the list.
        inputs: modalities to use; None for all of `known` that are there.
        ignore_unknown: go on without columns of the list and the table that are no medical fact.

    Raises:
        ConfigError: not exactly one of the three is given, or another argument does not go with it.
        InputError: a file or folder is not there, there is nobody in it, it has a modality that is not known, or the
            table names no subjects or none of those in the list.
        DataContractError: a column of facts has a name that nobody knows.
        RecordError: the list or the table cannot be read.
    """
    named = [n for n, given in (("subjects", subjects), ("folder", folder), ("source", source)) if given is not None]
    if len(named) != 1:
        raise ConfigError("who is to be scored?", expected="one of --subjects, --folder, --source", got=named or "none")
    if (root is None) != (source is None) or (table is not None and subjects is None):
        raise ConfigError(
            "these options do not go together", where=named[0],
            expected="--root with --source alone; --table with --subjects, or with none for one subject",
        )  # fmt: skip
    chosen = _chosen(known, inputs)
    if subjects is not None:
        found = _listed(Path(subjects), table, chosen, strict=inputs is None, ignore_unknown=ignore_unknown)
    else:
        found = _below(Path(str(folder)), chosen) if source is None else _of_source(source, Path(str(root)), chosen)
    if not found.rows:
        hint = "give the list a row a subject" if subjects else "`cardiobind inspect` tells what a folder holds"
        raise InputError("nobody is to be scored", where=named[0], hint=hint)
    return found


def _chosen(known: Sequence[str], inputs: Sequence[str] | None) -> tuple[str, ...]:
    for name in inputs or ():
        if name not in known:
            raise ConfigError(
                "the network was not trained for this modality", where="--inputs", expected=" | ".join(known), got=name,
                hint=did_you_mean(name, list(known)),
            )  # fmt: skip
    return tuple(known if inputs is None else inputs)


def _listed(
    path: Path, table: Path | str | None, chosen: Sequence[str], *, strict: bool, ignore_unknown: bool
) -> Cases:  # fmt: skip
    frame = read_table(path)
    columns = [str(name) for name in frame.columns]
    if SUBJECT not in columns:
        raise InputError("the list has no column called subject", where=masked(path), expected="subject, ecg, cmr ...")
    beside = [name for name in columns if name not in (*KEYS, *SIGNALS, LONG_AXIS)]
    own = [name for name in beside if name in FEATURE_BY_NAME]
    if (unknown := [name for name in beside if name not in FEATURE_BY_NAME]) and not ignore_unknown:
        raise _no_facts(unknown, path)
    if own and table is not None:
        raise InputError("facts in the list and in a table too", where=masked(path), got=", ".join(own[:5]),
                         hint="leave one of them out")  # fmt: skip
    has = [*(m for m in SIGNALS if m in columns), *(["tabular"] if own or table is not None else [])]
    if strict and (beyond := [m for m in has if m not in chosen]):
        raise InputError(
            "the list has a modality that the network was not trained for", where=masked(path), got=", ".join(beyond),
            expected=" | ".join(chosen), hint=f"say --inputs {'+'.join(chosen)} to go without",
        )  # fmt: skip
    apart = FactsTable(table, ignore_unknown=ignore_unknown) if table is not None and "tabular" in chosen else None
    facts = _facts(frame, own, apart) if "tabular" in chosen else None
    rows = []
    for place, row in enumerate(frame.to_dict("records")):
        subject, visit = _text(row[SUBJECT]), _text(row.get("visit"))
        signals = {m: _ref(path.parent, subject, visit, m, row) for m in SIGNALS if m in chosen and _text(row.get(m))}
        own_facts = [] if facts is None else facts(place, subject, visit)
        rows.append(Case(subject, visit, signals, *_filled(own_facts)))
    without = 0 if table is None or facts is None else _without(rows, table)
    left_out = len(unknown) + (0 if apart is None else apart.left_out)
    return Cases(PathReader(), rows, without_facts=without, left_out=left_out)


def _without(rows: Sequence[Case], table: Path | str) -> int:
    without = sum(case.facts is None for case in rows)
    if rows and without == len(rows):
        raise InputError(
            "nobody in the list has a fact in the table", where=f"--table, {masked(Path(table))}",
            expected="the subjects of the list, spelt alike, at the same visits",
            hint="12 and 0012 are two subjects; leave the table out to go without",
        )  # fmt: skip
    return without


def _facts(frame: pd.DataFrame, own: Sequence[str], apart: FactsTable | None) -> Any:
    """Return a function of place, subject and visit that gives the facts, None where all are missing."""
    if apart is None and not own:
        return None
    if apart is not None and not apart.keyed:
        raise InputError("the table has no column of subjects", where="--table", expected="subject, or eid")
    inside = records(frame[list(own)])

    def of(place: int, subject: str, visit: str) -> list[dict[str, Any]]:
        if apart is None:
            return [inside[place]]
        return apart.rows_of(subject, visit or None) if subject in apart else []

    return of


def _filled(rows: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, int]:
    """Return the facts of a subject, None where all are missing, and of how many rows they are."""
    there = any(not is_missing(value) for row in rows for value in row.values())
    return (rows[0] if there else None), len(rows)


def _no_facts(unknown: Sequence[str], path: Path) -> InputError:
    told, hint = unknown_columns(unknown, [*KEYS, *SIGNALS, LONG_AXIS, *FEATURE_BY_NAME])
    return InputError(
        f"a column of the list is no medical fact: {told}", where=masked(path),
        expected="subject, visit, ecg, cmr, cmr_long_axis, and facts by canonical name", hint=hint,
    )  # fmt: skip


def _ref(folder: Path, subject: str, visit: str, modality: str, row: Mapping[Any, Any]) -> RecordRef:
    apart = _text(row.get(LONG_AXIS)) if modality == "cmr" else ""
    return RecordRef(subject, visit, modality, _place(folder, _text(row[modality])), apart and _place(folder, apart))


def _place(folder: Path, path: str) -> str:
    archive, inner = split_location(path)
    return str(folder / inner) if archive is None else f"{folder / archive}{SEPARATOR}{inner}"


def _below(root: Path, chosen: Sequence[str]) -> Cases:
    if not root.is_dir():
        raise InputError("not a folder" if root.exists() else "no such folder", where="--folder")
    if "ecg" not in chosen:
        raise InputError(
            "a folder is searched for ECGs, and the network does not use them", expected=" | ".join(chosen)
        )
    rows: list[Case] = []
    passed_over = 0
    for file in files_below(root):
        if file.name.startswith(".") or not _is_ecg(file):
            passed_over += 1
            continue
        name = file.relative_to(root).as_posix()
        rows.append(Case(name, "", {"ecg": RecordRef(name, "", "ecg", str(file))}))
    return Cases(PathReader(), rows, passed_over)


def _is_ecg(file: Path) -> bool:
    suffix = file.suffix.lower()
    if suffix in (".dat", ".mat") and file.with_suffix(".hea").exists():
        return False  # the samples of a header that stands for both
    if suffix in TABLE_SUFFIXES and not has_layout(str(file)):
        return False
    return suffix in OF_ECGS or any(ECG_FORMATS.get(name).recognises(str(file)) for name in ECG_FORMATS)


def _of_source(kind: str, root: Path, chosen: Sequence[str]) -> Cases:
    source = SOURCES.get(kind)(root=root)
    signals: dict[tuple[str, str], dict[str, RecordRef]] = {}
    for ref in source.records():
        if ref.modality in chosen:
            signals.setdefault((ref.subject, ref.visit), {}).setdefault(ref.modality, ref)
    facts: dict[tuple[str, str], Mapping[str, Any]] = {}
    if "tabular" in chosen:
        table = source.table()
        rows = records(table.drop(columns=[name for name in KEYS if name in table]))
        places = zip(table[SUBJECT].astype(str), table["visit"].astype(str), strict=True)
        facts = dict(zip(places, rows, strict=True))
    who = sorted(signals) if set(chosen) & set(SIGNALS) else sorted(facts)
    known = {key: _filled([facts[key]] if key in facts else []) for key in who}
    return Cases(source, [Case(*key, signals.get(key, {}), *known[key]) for key in who])


def _text(cell: object) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


def _places(ref: RecordRef) -> list[str]:
    return [place for place in (ref.location, ref.long_axis) if place]
