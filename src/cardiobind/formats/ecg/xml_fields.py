"""What every XML format asks of an element: a number, samples, a date, the interpretation without names."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import decoding, masked
from cardiobind.formats.ecg.ecg_recording import LONGEST_TEXT, checked_samples, interpretation

LONGEST_SAMPLE = 8  # letters, with the space
_IDENTIFIES = re.compile(r"(last|first|middle|family|given)name$|patientid$|^p?id$|^mrn$|birth|person$", re.IGNORECASE)


def number(text: str | None) -> float | None:
    """Return a finite number, or None for anything else."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def positive(value: float | None, what: str, location: str, most: float = math.inf) -> float:
    """Return `value` where it is above 0 and at most `most`.

    Raises:
        RecordError: missing, not above zero, or too large.
    """
    if value is None or not 0 < value <= most:
        got = "no number" if value is None else f"{value:g}"
        expected = "above 0" if math.isinf(most) else f"above 0, at most {most:g}"
        raise RecordError(
            reasons.BAD_HEADER, f"{what} is missing or impossible", where=masked(location), expected=expected, got=got
        )
    return value


def measured(element: Element | None, names: Mapping[str, str]) -> dict[str, float]:
    """Return the numbers among the children that `names` translates, by the names that CardioSoft gives them."""
    found = ((child.tag, number(child.text)) for child in (element if element is not None else ()))
    return {names[tag]: value for tag, value in found if value is not None and tag in names}


def real_numbers(text: str, location: str) -> NDArray[np.float64]:
    """Return the numbers of a text between white space.

    Raises:
        RecordError: something else than finite numbers, or more than any ECG has.
    """
    checked_samples(max(1, len(text) // LONGEST_SAMPLE), location)
    with decoding(reasons.BAD_NUMBER, "a sample is not a number", location):
        warnings.simplefilter("error")  # numpy only warns where it stops before the end of the text
        values = np.fromstring(text, dtype=np.float64, sep=" ") if text.strip() else np.zeros(0)
    if not np.isfinite(values).all():
        raise RecordError(reasons.BAD_NUMBER, "a sample is not finite", where=masked(location))
    if len(values):
        checked_samples(len(values), location)
    return values


def iso_time(text: str, *layouts: str) -> str | None:
    """Return a date and time in ISO 8601 where `text` has one of the `layouts` of `strptime`, else None."""
    for layout in layouts:
        try:
            return datetime.strptime(text[:LONGEST_TEXT].strip(), layout).isoformat(timespec="seconds")
        except ValueError:
            continue
    return None


def statements(texts: Iterable[str | None], root: Element) -> tuple[str, ...]:
    """Return the interpretation, as `cardiobind.formats.ecg.ecg_recording.interpretation` cleans it.

    Args:
        texts: what the file holds as interpretation.
        root: of the file, whose names and numbers of persons are looked for in the texts.
    """
    named = (text for element in root.iter() if _IDENTIFIES.search(element.tag) for text in element.itertext())
    return interpretation(texts, filter(str.strip, named))


def device_name(*parts: str | None) -> str:
    """Return maker and model on one line of bounded length."""
    return " ".join(" ".join(part or "" for part in parts).split())[:LONGEST_TEXT]
