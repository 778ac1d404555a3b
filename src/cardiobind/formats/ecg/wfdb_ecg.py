"""WFDB records (PTB-XL, MIMIC-IV-ECG, PhysioNet's Challenges): plain signal files decoded here, the rest by wfdb.

The ``.mat`` files of the Challenges are signal files with 24 bytes before the samples, which their header states.
Source: https://physionet.org/physiotools/wag/header-5.htm and signal-5.htm.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.ecg_recording import LARGEST_LEAD_SAMPLES, finished_record, read_bounded
from cardiobind.formats.ecg.leads import canonical_lead, millivolts_per
from cardiobind.formats.ecg.wfdb_signals import FORMATS, bytes_needed, decode_counts, samples_held
from cardiobind.formats.location import beside, location_exists, read_bytes, split_location
from cardiobind.modalities.records import LEADS, EcgHeader, EcgRecord

DEFAULT_GAIN = 200.0
LARGEST_SAMPLES = LARGEST_LEAD_SAMPLES * len(LEADS)
LARGEST_SAMPLES_OF_WFDB = 3_000_000
LARGEST_HEADER_BYTES = 1 << 20
_INVALID = {
    "80": -(1 << 7), "508": -(1 << 7), "310": -(1 << 9), "311": -(1 << 9), "212": -(1 << 11), "16": -(1 << 15),
    "61": -(1 << 15), "160": -(1 << 15), "516": -(1 << 15), "24": -(1 << 23), "524": -(1 << 23), "32": -(1 << 31),
}  # fmt: skip
_FORMAT = re.compile(r"^(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?$")
_GAIN = re.compile(r"^([-+.\deE]+)(?:\(([-+]?\d+)\))?(?:/(\S+))?$")
_TIME = re.compile(r"^(\d\d?):(\d\d):(\d\d(?:\.\d+)?)$")
_DATE = re.compile(r"^(\d\d?)[/-](\d\d?|[A-Z][a-z]{2})[/-](\d{4})$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DIAGNOSES = re.compile(r"^#\s*Dx\s*:\s*([\d,\s]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Signal:
    """One signal line of a header.

    Attributes:
        file, form, offset: where its samples are, in which format, after how many bytes.
        plain: a format that is decoded here, one sample a frame, no skew.
        per_frame: samples of a frame.
        invalid: the count that stands for an absent sample in this storage format.
        initial: value of the first sample, which format 8 counts from.
    """

    file: str
    form: str
    offset: int
    plain: bool
    per_frame: int
    invalid: int | None
    gain: float
    baseline: int
    unit: str
    initial: int
    checksum: int | None
    lead: str


@dataclass(frozen=True)
class Header:
    """The header of a single-segment record; `samples` is None where it is not stated."""

    rate_hz: float
    samples: int | None
    started_at: str | None
    signals: tuple[Signal, ...]
    statements: tuple[str, ...] = ()


def recognises(location: str) -> bool:
    """Tell whether there is a WFDB header at `location` (named with or without .hea, .dat or .mat)."""
    return location_exists(f"{_stem(location)}.hea")


def read_wfdb(location: str) -> EcgRecord:
    """Read a record's twelve leads by name, in mV; an invalid sample is NaN, limb leads not stored are derived.

    Of the comments only the diagnoses (``#Dx: 426783006,...``) are kept, as statements ``SNOMED 426783006``.

    Args:
        location: record path with or without ``.hea``, or ``archive.zip::record``.

    Raises:
        RecordError: header or signal file missing or damaged, checksum wrong, unit unknown, none of the twelve leads.
    """
    stem = _stem(location)
    header = parse_header(read_bounded(f"{stem}.hea", LARGEST_HEADER_BYTES).decode("latin-1"), stem)
    digital = _digital(stem, header)
    _check_checksums(digital, header, stem)
    leads: dict[str, NDArray[np.float64]] = {}
    for column, signal in enumerate(header.signals):
        lead = canonical_lead(signal.lead)
        if lead in leads:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(stem), got=lead)
        if lead is not None:
            leads[lead] = _millivolts(digital[:, column], signal, stem)
    about = EcgHeader(acquired_at=header.started_at, statements=header.statements)
    return finished_record(leads, header.rate_hz, about, stem)


def parse_header(text: str, location: str) -> Header:
    """Return the header of a single-segment record.

    Raises:
        RecordError: not a header, several segments, or an impossible field.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    with decoding(reasons.BAD_HEADER, "the WFDB header cannot be parsed", location):
        name, signal_number, *rest = lines[0].split()
        if "/" in name:
            raise RecordError(reasons.UNSUPPORTED, "a record of several segments", where=masked(location))
        signals = tuple(_parse_signal(line) for line in lines[1 : 1 + int(signal_number)])
        if len(signals) != int(signal_number):
            raise RecordError(reasons.TRUNCATED, "the header ends before its signal lines", where=masked(location))
        rate_hz = float(re.split(r"[/(]", rest[0])[0]) if rest else 250.0
        samples = int(rest[1]) if len(rest) > 1 else None
        header = Header(rate_hz, samples or None, _started_at(rest[2:]), signals, tuple(_diagnoses(text)))
        return _checked(header, location)


def _parse_signal(line: str) -> Signal:
    file, form, *rest = line.split(maxsplit=8)
    rest += [""] * (7 - len(rest))
    gain, _, _, initial, checksum, _, lead = rest
    match, kind = _GAIN.match(gain or "0"), _FORMAT.match(form)
    if match is None or kind is None or PurePosixPath(file).name != file:
        raise ValueError("bad signal line")
    value, baseline, unit = match.groups()
    zero = int(baseline if baseline is not None else rest[2] or 0)
    base, per_frame, skew, offset = kind.groups()
    return Signal(
        file=file,
        form=base,
        offset=int(offset or 0),
        plain=base in FORMATS and int(per_frame or 1) == 1 and int(skew or 0) == 0,
        per_frame=int(per_frame or 1),
        invalid=_INVALID.get(base),
        gain=float(value) or DEFAULT_GAIN,
        baseline=zero,
        unit=unit or "mV",
        initial=int(initial or 0),
        checksum=int(checksum) if checksum else None,
        lead=lead,
    )


def _checked(header: Header, location: str) -> Header:
    samples = header.samples or 0
    finite = all(
        np.isfinite(s.gain) and max(abs(s.baseline), abs(s.initial)) < 1 << 31 and 0 < s.per_frame <= 1 << 10
        for s in header.signals
    )
    if not (0 < header.rate_hz < 1e6) or samples < 0 or not header.signals or not finite:
        raise RecordError(reasons.BAD_HEADER, "impossible rate, length or gain", where=f"{masked(location)}.hea")
    frame = sum(signal.per_frame for signal in header.signals)
    plain = all(signal.plain for signal in header.signals)
    _refuse_long(samples * frame, LARGEST_SAMPLES if plain else LARGEST_SAMPLES_OF_WFDB, location)
    return header


def _refuse_long(samples: int, most: int, location: str) -> None:
    if samples > most:
        raise RecordError(
            reasons.BAD_HEADER, "the record is too long to be a resting ECG", where=f"{masked(location)}.hea",
            expected=f"at most {most} samples of all signals", got=samples,
        )  # fmt: skip


def _started_at(fields: list[str]) -> str | None:
    """Return the start; PhysioNet writes time and date, the Challenges' files date and time."""
    clock = next((match for field in fields if (match := _TIME.match(field))), None)
    day = next((match for field in fields if (match := _DATE.match(field))), None)
    if clock is None or day is None:
        return None
    month = day.group(2)
    number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
    hour, minute, second = clock.groups()
    return f"{int(day.group(3)):04d}-{number:02d}-{int(day.group(1)):02d}T{int(hour):02d}:{minute}:{second}"


def _diagnoses(text: str) -> Iterator[str]:
    """Yield the SNOMED CT codes of the comments, of at least eight digits, so that none is taken for a participant."""
    for codes in _DIAGNOSES.findall(text):
        yield from (f"SNOMED {int(code):08d}" for code in re.findall(r"\d{6,18}", codes))


def _digital(stem: str, header: Header) -> NDArray[np.integer[Any]]:
    """Return (samples, signals) counts."""
    columns: dict[str, list[int]] = {}
    for column, signal in enumerate(header.signals):
        columns.setdefault(signal.file, []).append(column)
    if not all(_is_plain([header.signals[k] for k in group]) for group in columns.values()):
        return _decode_with_wfdb(stem, header, set(columns))
    decoded = {file: _decode(stem, [header.signals[k] for k in group], header) for file, group in columns.items()}
    if len({len(counts) for counts in decoded.values()}) > 1:
        raise RecordError(reasons.WRONG_LENGTH, "the signal files differ in length", where=masked(stem))
    order = np.argsort([k for group in columns.values() for k in group])
    return np.concatenate(list(decoded.values()), axis=1)[:, order] if len(columns) > 1 else decoded.popitem()[1]


def _is_plain(signals: list[Signal]) -> bool:
    return all(signal.plain for signal in signals) and len({(s.form, s.offset) for s in signals}) == 1


def _decode(stem: str, signals: list[Signal], header: Header) -> NDArray[np.int32]:
    """Return (samples, signals of this file) counts."""
    form, columns = signals[0].form, len(signals)
    data = read_bounded(beside(stem, signals[0].file))[signals[0].offset :]
    samples = header.samples or samples_held(form, len(data)) // columns
    _refuse_long(samples * columns, LARGEST_SAMPLES, stem)
    needed = bytes_needed(form, samples * columns)
    if len(data) < needed or samples == 0:
        raise RecordError(
            reasons.TRUNCATED, "the signal file ends before its data do", where=masked(signals[0].file),
            expected=f"{needed} bytes", got=len(data),
        )  # fmt: skip
    initial = np.array([signal.initial for signal in signals], np.int64)
    return decode_counts(form, data, samples, columns, initial)


def _decode_with_wfdb(stem: str, header: Header, files: set[str]) -> NDArray[np.int64]:
    name = PurePosixPath(split_location(stem)[1]).name
    contents = {file: read_bounded(beside(stem, file)) for file in files}
    contents[f"{name}.hea"] = read_bytes(f"{stem}.hea")
    with tempfile.TemporaryDirectory() as folder:
        for file, data in contents.items():
            (Path(folder) / file).write_bytes(data)
        with decoding(reasons.TRUNCATED, "wfdb cannot decode the signal file", stem):
            digital = _samples_by_wfdb(str(Path(folder) / name))
    if header.samples is not None and digital.shape != (header.samples, len(header.signals)):
        raise RecordError(
            reasons.WRONG_LENGTH, "the signal file has another length than the header says", where=masked(stem),
            expected=header.samples, got=len(digital),
        )  # fmt: skip
    return digital


def _samples_by_wfdb(stem: str) -> NDArray[np.int64]:
    from wfdb.io import record  # half a second, and few records need it

    read_record: Any = record.rdrecord
    return np.asarray(read_record(stem, physical=False).d_signal, np.int64)


def _check_checksums(digital: NDArray[np.integer[Any]], header: Header, stem: str) -> None:
    sums = digital.sum(axis=0, dtype=np.int64) & 0xFFFF
    for signal, found in zip(header.signals, sums, strict=True):
        if signal.checksum is not None and signal.checksum & 0xFFFF != found:
            raise RecordError(
                reasons.CHECKSUM, "the samples differ from the checksum in the header", where=masked(stem),
                expected=signal.checksum & 0xFFFF, got=int(found),
            )  # fmt: skip


def _millivolts(counts: NDArray[np.integer[Any]], signal: Signal, stem: str) -> NDArray[np.float64]:
    values = (counts.astype(np.float64) - signal.baseline) / signal.gain * millivolts_per(signal.unit, stem)
    return np.where(counts == signal.invalid, np.nan, values) if signal.invalid is not None else values


def _stem(location: str) -> str:
    return re.sub(r"\.(hea|dat|mat)$", "", location)


ECG_FORMATS.register("wfdb")(Format("wfdb", recognises, read_wfdb))
