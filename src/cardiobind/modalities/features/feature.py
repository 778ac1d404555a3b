"""What a feature is: name with its unit, kind, role, plausible range and the UK Biobank fields it is read from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["number", "category", "flag"]
Role = Literal["input", "leak", "label", "identifier"]


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    Attributes:
        name: canonical name with its unit.
        kind: number, category (codes in `categories`) or flag (yes / no).
        role: ``input``; ``leak`` where it states or follows a diagnosis and is refused unless allowed; ``label`` where
            it is itself a quantity to predict, read off the images, and no input of anything; ``identifier`` where it
            names a person or a day.
        ukb_field: UK Biobank data field, `NOT_IN_UKB` where there is none.
        low, high: plausible range of a number, in the unit of the name; outside it a value is a data error.
        categories: labels of a category in the order of `ukb_codes`.
        ukb_codes: codes of the categories; for a flag the codes that mean yes.
        ukb_missing: codes that mean "no answer" in this field's coding; no other number does.
        multiple: the field is a list of codes and the flag asks whether one of `ukb_codes` is among them.
        leaks: tasks for which this column states or follows the label.
        ukb_stands_for: (code, number) pairs: codes of this field's coding that stand for a number, "less than one".
        ukb_date_field: field with the day of the answer, where it was not given at an assessment visit.
        ukb_fallback: field of the same quantity, measured otherwise, used where `ukb_field` is missing.
    """

    name: str
    kind: Kind
    ukb_field: int
    role: Role = "input"
    low: float = float("-inf")
    high: float = float("inf")
    categories: tuple[str, ...] = ()
    ukb_codes: tuple[int, ...] = ()
    ukb_missing: tuple[int, ...] = ()
    multiple: bool = False
    leaks: tuple[str, ...] = ()
    ukb_stands_for: tuple[tuple[int, float], ...] = ()
    ukb_date_field: int | None = None
    ukb_fallback: int | None = None


NOT_IN_UKB = 0
"""Stands for the field of a feature that UK Biobank does not have."""
LESS_THAN_ONE = ((-10, 0.5),)
UNSURE = (-1, -3)


def number(name: str, field: int, low: float, high: float, missing: tuple[int, ...] = ()) -> Feature:
    """Return a number, an input; where -10 is possible and not declared, it is that number."""
    return Feature(name, "number", field, low=low, high=high, ukb_missing=missing)


def amount(name: str, field: int, low: float, high: float) -> Feature:
    """Return a number, an input, for which -10 is "less than one", -1 "do not know" and -3 "prefer not to answer"."""
    return replace(number(name, field, low, high, UNSURE), ukb_stands_for=LESS_THAN_ONE)


def category(
    name: str, field: int, categories: tuple[str, ...], codes: tuple[int, ...], missing: tuple[int, ...] = UNSURE
) -> Feature:
    """Return one answer of several, an input."""
    return Feature(name, "category", field, categories=categories, ukb_codes=codes, ukb_missing=missing)


def answer(name: str, field: int, missing: tuple[int, ...] = UNSURE, leaks: tuple[str, ...] = ()) -> Feature:
    """Return a question answered by yes (1) or no (0); a leak where it states a diagnosis."""
    return Feature(name, "flag", field, "leak" if leaks else "input", ukb_codes=(1,), ukb_missing=missing, leaks=leaks)


def chosen(name: str, field: int, code: int, missing: tuple[int, ...], leaks: tuple[str, ...] = ()) -> Feature:
    """Return whether one answer was among those chosen from a list; a leak where it states a diagnosis."""
    role: Role = "leak" if leaks else "input"
    return Feature(name, "flag", field, role, ukb_codes=(code,), ukb_missing=missing, multiple=True, leaks=leaks)
