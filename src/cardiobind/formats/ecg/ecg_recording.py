"""What the readers of binary and text ECG files share: bounds, the finished record, sentences without names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked
from cardiobind.formats.ecg.leads import derive_limb_leads, stack_leads
from cardiobind.formats.location import read_bytes
from cardiobind.modalities.records import EcgHeader, EcgRecord

LARGEST_ECG_BYTES = 1 << 26
LARGEST_LEAD_SAMPLES = 1_000_000
LARGEST_RATE_HZ = 1e6
HIGHEST_FILTER_HZ = 1e5
LONG_NAME = 6
SHORTEST_NAME = 3
LONGEST_TEXT = 300
MOST_TEXTS = 100
_ABOUT_A_PERSON = re.compile(
    r"\b(confirmed|reviewed|referred|interpreted|overread|over-read|signed|edited|acquired|ordered|verified|read|seen)"
    r"\s+by\b|\b(dr|prof|m\.d|physician|clinician|technician|mrn|dob|patient (id|name))\b[.,:]",
    re.IGNORECASE,
)
_DATE_IN_WORDS = re.compile(
    r"\b\d{1,2}[- ](jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[- ]\d{2,4}\b( \d{1,2}:\d\d(:\d\d)?)?",
    re.IGNORECASE,
)
_NUMBER_OR_DATE = r"\d{1,4}[-/.]\d{1,2}[-/.]\d{2,4}|\d{5,}"
_NOBODY = {"unknown", "none", "anonymous"}


def read_bounded(location: str, largest_bytes: int = LARGEST_ECG_BYTES) -> bytes:
    """Return the bytes of a file that is small enough to be an ECG.

    Raises:
        RecordError: missing, empty, damaged, or larger than `largest_bytes`.
    """
    data = read_bytes(location, limit=largest_bytes + 1)
    if len(data) > largest_bytes:
        raise RecordError(
            reasons.UNSUPPORTED, "the file is too large to be a resting ECG", where=masked(location),
            expected=f"at most {largest_bytes} bytes",
        )  # fmt: skip
    return data


def checked_samples(samples: int, location: str) -> int:
    """Return the stated number of samples of a lead.

    Raises:
        RecordError: none, or more than `LARGEST_LEAD_SAMPLES`.
    """
    if not 0 < samples <= LARGEST_LEAD_SAMPLES:
        raise RecordError(
            reasons.BAD_HEADER, "the stated number of samples is impossible", where=masked(location),
            expected=f"1 to {LARGEST_LEAD_SAMPLES}", got=samples,
        )  # fmt: skip
    return samples


def finished_record(
    leads: Mapping[str, NDArray[np.floating]], rate_hz: float, header: EcgHeader, location: str
) -> EcgRecord:
    """Return the record of the leads at hand, with the limb leads that follow from them.

    Args:
        leads: canonical lead name to (samples,) amplitudes in mV.
        rate_hz: samples per second.
        header: of the file; its `derived_leads` are replaced, impossible dates and filters are taken out.
        location: of the file, for errors.

    Raises:
        RecordError: impossible rate, no lead, leads of different lengths, infinite amplitudes.
    """
    if not (math.isfinite(rate_hz) and 0 < rate_hz <= LARGEST_RATE_HZ):
        raise RecordError(
            reasons.BAD_HEADER, "the sampling rate is impossible", where=masked(location),
            expected=f"above 0, at most {LARGEST_RATE_HZ:g} Hz", got=f"{rate_hz:g}",
        )  # fmt: skip
    amplitude_mv = stack_leads(leads, location)
    if not np.isfinite(amplitude_mv).any():
        raise RecordError(reasons.NO_WAVEFORM, "no sample of the twelve leads is a number", where=masked(location))
    complete, derived = derive_limb_leads(leads)
    if derived:
        amplitude_mv = stack_leads(complete, location)
    return EcgRecord(amplitude_mv, float(rate_hz), replace(_plausible(header), derived_leads=derived))


def _plausible(header: EcgHeader) -> EcgHeader:
    """Return the header without what no device means: a filter of 0 Hz is off, a 30th of February is no day."""
    return replace(
        header,
        acquired_at=_moment(header.acquired_at),
        highpass_hz=_corner_hz(header.highpass_hz),
        lowpass_hz=_corner_hz(header.lowpass_hz),
        notch_hz=_corner_hz(header.notch_hz),
        measurements={name: value for name, value in header.measurements.items() if math.isfinite(value)},
    )


def _corner_hz(value: float | None) -> float | None:
    return value if value is not None and 0 < value < HIGHEST_FILTER_HZ else None


def _moment(text: str | None) -> str | None:
    try:
        return text if text is None else datetime.fromisoformat(text).isoformat(timespec="seconds")
    except ValueError:
        return None


def interpretation(texts: Iterable[str | None], identifiers: Iterable[str]) -> tuple[str, ...]:
    """Return a device's statements, one sentence each: lines about a person dropped; dates, numbers and names masked.

    Devices end an interpretation with "Confirmed by NAME (number) on date" and refer to earlier recordings by date.

    Args:
        texts: what the file holds as interpretation.
        identifiers: names, numbers and dates of the same file that belong to a person.
    """
    tidy = (" ".join((text or "")[:LONGEST_TEXT].split()) for text in islice(texts, MOST_TEXTS))
    kept = (_DATE_IN_WORDS.sub("*", line) for line in tidy if not _ABOUT_A_PERSON.search(line))
    return without_names(kept, (text[:LONGEST_TEXT] for text in islice(identifiers, MOST_TEXTS)))


def without_names(statements: Iterable[str], identifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the sentences with parts of identifiers, dates and long numbers as ``*``, white space tidied.

    A name of `LONG_NAME` letters is hidden wherever it stands, even inside a word; a shorter one as a word alone.

    Args:
        statements: free text of a device.
        identifiers: names, numbers and dates of the same file that belong to a person.
    """
    parts = {part for text in identifiers for part in (text.strip(), *re.split(r"[\s^=,;/\\.]+", text))}
    named = [re.escape(part) for part in parts if len(part) >= SHORTEST_NAME and part.lower() not in _NOBODY]
    patterns = [
        part if len(part) >= LONG_NAME else rf"(?<!\w){part}(?!\w)" for part in sorted(named, key=len, reverse=True)
    ]
    hidden = re.compile("|".join([*patterns, _NUMBER_OR_DATE]), re.IGNORECASE)
    tidied = (hidden.sub("*", " ".join(statement.split())) for statement in statements)
    return tuple(text for text in tidied if text.strip("* "))
