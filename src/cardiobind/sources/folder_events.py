"""The coded diagnoses of a hospital's folder: systems spelled as people spell them, one row a code, nothing unknown.

An unknown system would make controls of patients, and so would a list of codes taken for one code: both stop.
"""

from __future__ import annotations

import re

import pandas as pd

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.registry import did_you_mean
from cardiobind.tasks import TASKS
from cardiobind.tasks.codes import PREFIXED

OTHER_SYSTEMS = ("death", "follow_up", "scp", "acdc", "mnms", "vendor")
"""Systems that sources of this package write, beside those of the endpoints."""
SHOWN, MOST_DISTINCT = 5, 10
_LETTER_CODE = r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?(\.?-)?[*+†!]?"
_CODE = {
    "icd10": re.compile(_LETTER_CODE), "opcs4": re.compile(_LETTER_CODE),
    "icd9": re.compile(r"(\d{3}|V\d{2}|E\d{3})(\.?\d{1,2})?"),
}  # fmt: skip
_BETWEEN = re.compile(r"[;,|\n]")


def known_systems() -> tuple[str, ...]:
    """Return the coding systems that a registered task or a source of this package uses, sorted."""
    tasks = [TASKS.get(name) for name in TASKS]
    sets = [codes for task in tasks for codes in (task.positive, task.negative) if codes is not None]
    return tuple(sorted({*PREFIXED, *OTHER_SYSTEMS, *(system for codes in sets for system in codes.systems)}))


def canonical_systems(column: pd.Series, where: object) -> pd.Series:
    """Return the systems as this package spells them: ``ICD-10``, ``icd_10`` and ``Icd 10`` are ``icd10``.

    Args:
        column: raw cells; empty ones stay missing.
        where: the file, for the error.

    Raises:
        RecordError: a system is not known.
    """
    text = column.map(lambda cell: str(cell).strip(), na_action="ignore")
    text = text.mask(text == "")
    spelled = {_squeezed(name): name for name in known_systems()}
    found = text.map(_squeezed, na_action="ignore").map(spelled)
    unknown = sorted(set(text[found.isna() & text.notna()]))
    if unknown:
        shown = unknown[:SHOWN] if len(unknown) <= MOST_DISTINCT else []
        raise RecordError(
            reasons.BAD_TABLE, "a coding system is not known", where=f"{where}, column system",
            got=", ".join(shown) + _more(len(unknown), len(shown)), expected=", ".join(known_systems()),
            hint=" ".join(f"{name}: {did_you_mean(_squeezed(name), known_systems())}" for name in shown[:1])
            or "the column holds names of coding systems; one of your own needs a registered task that uses it",
        )  # fmt: skip
    return found


def one_code_a_row(events: pd.DataFrame, where: object) -> tuple[pd.DataFrame, int]:
    """Return the events with one code each, without titles, and how many codes were none of their system.

    Args:
        events: columns system (canonical), code and any others, which each code of a list gets.
        where: the file, for the error.

    Raises:
        RecordError: it is not clear which codes a cell holds, or most codes of a system are none of it.
    """
    cells = [_codes_of(system, str(code)) for system, code in zip(events["system"], events["code"], strict=True)]
    unclear = [place for place, found in enumerate(cells) if found is None]
    if unclear:
        raise RecordError(
            reasons.BAD_TABLE, "it is not clear which codes a cell holds", where=f"{where}, column code",
            expected="one code a row; a list is split at ; , | and white space",
            got=f"{len(unclear)} cells, the first in data row {int(events.index[unclear[0]]) + 1}",
        )  # fmt: skip
    parted = events.assign(code=pd.Series(cells, index=events.index, dtype=object)).explode("code")
    _refuse_another_system(parted, where)
    return parted[parted["code"].notna()].reset_index(drop=True), int(parted["code"].isna().sum())


def _refuse_another_system(parted: pd.DataFrame, where: object) -> None:
    for system, codes in parted.groupby("system")["code"]:
        if codes.isna().mean() > 0.5:
            raise RecordError(
                reasons.BAD_TABLE, f"most codes of {system} are no codes of it", where=f"{where}, column code",
                expected={"icd10": "I21.4", "icd9": "410.9", "opcs4": "K40.1"}.get(str(system)),
                got=f"{int(codes.isna().sum())} of {len(codes)}", hint="is it another system, or text without a code?",
            )  # fmt: skip


def _codes_of(system: str, cell: str) -> list[str | None] | None:
    """Return the codes of a cell, None for each part that is no code; None if it is not clear which they are."""
    parts = [part for part in (_bare(raw) for raw in _BETWEEN.split(cell)) if part]
    if system not in PREFIXED:
        return [*parts]
    found: list[str | None] = []
    in_title = False
    for part in parts:
        words = part.split()
        codes = _leading_codes(system, words)
        title = words[len(codes) :]
        if any("." in word and _is_code(system, word) for word in title):
            return None
        if not codes and not in_title:
            found.append(None)
        found += codes
        in_title = in_title or bool(codes and title)
    return found or [None]


def _leading_codes(system: str, words: list[str]) -> list[str]:
    end = next((place for place, word in enumerate(words) if not _is_code(system, word)), len(words))
    return [_bare(word).rstrip("*+†!-.") for word in words[:end]]


def _is_code(system: str, word: str) -> bool:
    return _CODE[system].fullmatch(_bare(word).upper()) is not None


def _bare(text: str) -> str:
    return text.strip(" \t\r[](){}\"'")


def _squeezed(system: str) -> str:
    return re.sub(r"[\s_-]+", "", system).lower()


def _more(number: int, shown: int) -> str:
    if number == shown:
        return ""
    return f" and {number - shown} more" if shown else f"{number} different ones"
