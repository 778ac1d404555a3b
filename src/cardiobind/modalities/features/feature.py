"""What a feature is: name with its unit, kind, role, plausible range and the UK Biobank fields it is read from."""

from __future__ import annotations

from dataclasses import dataclass
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
        ukb_field: UK Biobank data field.
        low, high: plausible range of a number, in the unit of the name; outside it a value is a data error.
        categories: labels of a category in the order of `ukb_codes`.
        ukb_codes: codes of the categories; for a flag the codes that mean yes.
        ukb_missing: codes that mean "no answer" in this field's coding; no other number does.
        multiple: the field is a list of codes and the flag asks whether one of `ukb_codes` is among them.
        leaks: tasks for which this column states or follows the label.
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
    ukb_fallback: int | None = None


def number(name: str, field: int, low: float, high: float, missing: tuple[int, ...] = ()) -> Feature:
    """Return a number, an input."""
    return Feature(name, "number", field, low=low, high=high, ukb_missing=missing)


def category(name: str, field: int, categories: tuple[str, ...], codes: tuple[int, ...]) -> Feature:
    """Return one answer of several, an input, with UK Biobank's codes for "do not know" and "prefer not to answer"."""
    return Feature(name, "category", field, categories=categories, ukb_codes=codes, ukb_missing=(-1, -3))
