"""UK Biobank's bulk files and withdrawals on disk: flat, in field folders, or in the analysis platform's tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cardiobind.errors import RecordError
from cardiobind.formats import masked, reasons
from cardiobind.formats.location import files_below
from cardiobind.sources.base import LONG_AXIS_NOT_USED, RecordRef

LONG_AXIS = "long_axis"
MODALITY_OF_FIELD = {"20205": ("ecg", ".xml"), "20208": (LONG_AXIS, ".zip"), "20209": ("cmr", ".zip")}
EXERCISE_FIELD = "6025"
TABLE_NAMES = ("table.parquet", "table.csv", "table.tsv", "table.xlsx")
_BULK = re.compile(r"^(\d{5,9})_(\d+)_(\d+)_(\d+)\.\w+$")
_WITHDRAWALS = re.compile(r"^w\d+.*\.csv$", re.IGNORECASE)


def bulk_files(root: Path) -> Iterator[tuple[str, str, str, int, Path]]:
    """Yield (eid, field, instance, array, path) of every file below `root` that is named like an ECG or a cine."""
    for path in files_below(root):
        match = _BULK.match(path.name)
        if match is not None and match[2] in (EXERCISE_FIELD, *MODALITY_OF_FIELD):
            eid, field, instance, array = match.groups()
            yield eid, field, instance, int(array), path


def find_records(root: Path, withdrawn: frozenset[str]) -> tuple[list[RecordRef], dict[str, int]]:
    """Return the recordings below `root` and how many files were left out, by reason.

    Of several files for one visit (arrays, or a ``20205_retest`` folder) the first outside a retest folder, of the
    lowest array, is taken. A long-axis archive goes with the short axis of its visit and counts as not used until a
    layout asks for it; without a short axis nothing can use it.
    """
    best: dict[tuple[str, str, str], tuple[bool, int, str]] = {}
    left_out = dict.fromkeys(("withdrawn", "duplicate_file", "exercise_ecg", LONG_AXIS_NOT_USED, "other_suffix"), 0)
    for eid, field, instance, array, path in bulk_files(root):
        if eid in withdrawn:
            left_out["withdrawn"] += 1
            continue
        if field == EXERCISE_FIELD:
            left_out["exercise_ecg"] += 1
            continue
        modality, suffix = MODALITY_OF_FIELD[field]
        if path.suffix.lower() != suffix:
            left_out["other_suffix"] += 1
            continue
        key = (eid, instance, modality)
        rank = ("retest" in path.parent.as_posix().lower(), array, str(path))
        left_out["duplicate_file"] += key in best
        best[key] = min(rank, best.get(key, rank))
    long_axis = {key[:2]: best.pop(key)[2] for key in list(best) if key[2] == LONG_AXIS}
    refs = [
        RecordRef(*key, rank[2], long_axis.get(key[:2], "") if key[2] == "cmr" else "") for key, rank in best.items()
    ]
    left_out[LONG_AXIS_NOT_USED] = sum(bool(ref.long_axis) for ref in refs)
    return sorted(refs), {**left_out, "long_axis_alone": len(long_axis) - left_out[LONG_AXIS_NOT_USED]}


def find_table(root: Path) -> Path | None:
    """Return the table in `root`: ``table.parquet``, ``.csv``, ``.tsv`` or ``.xlsx``, else the first ``ukb*`` file."""
    for name in TABLE_NAMES:
        if (root / name).is_file():
            return root / name
    return next((p for p in sorted(root.glob("ukb*")) if p.suffix in {".csv", ".tab", ".tsv", ".parquet"}), None)


def find_withdrawals(root: Path, also: Path | None = None) -> list[Path]:
    """Return all withdrawals lists (``w<application>_<date>.csv``) in `root`, and the file `also`."""
    return [*(p for p in sorted(root.glob("*.csv")) if _WITHDRAWALS.match(p.name)), *([also] if also else [])]


def read_withdrawals(root: Path, also: Path | None = None) -> frozenset[str]:
    """Return the eids of the lists that `find_withdrawals` finds.

    Raises:
        RecordError: a list cannot be read or holds something else than eids, so that nobody is kept by mistake.
    """
    return frozenset(eid for path in find_withdrawals(root, also) for eid in _eids(path))


def _eids(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(
            reasons.UNREADABLE, "the withdrawals list cannot be read", where=masked(path), got=type(error).__name__
        ) from None
    entries = [line.split(",")[0].strip().strip('"') for line in lines if line.strip()]
    if entries and entries[0].lower() in {"eid", "participant id"}:
        entries = entries[1:]
    wrong = sum(not re.fullmatch(r"-?\d+", entry) for entry in entries)
    if wrong:
        raise RecordError(
            reasons.BAD_TABLE, "the withdrawals list has lines that are no eid", where=masked(path),
            expected="one eid a line", got=f"{wrong} other lines",
        )  # fmt: skip
    return entries
