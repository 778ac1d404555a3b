"""EDF and EDF+ (https://www.edfplus.info/specs): the ECG channels of a recording, by label.

Read here and not through a C library on a path: the header is text of fixed widths, and every size it states is
compared with the file's before a byte of the signals is touched.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.ecg_recording import checked_samples, finished_record, read_bounded
from cardiobind.formats.ecg.leads import canonical_lead, millivolts_per
from cardiobind.formats.location import read_bytes
from cardiobind.modalities.records import EcgHeader, EcgRecord

MOST_SIGNALS = 4096
_MAIN_BYTES = _SIGNAL_BYTES = 256
_VERSION = b"0       "
_WIDTHS = {
    "label": 16, "transducer": 80, "unit": 8, "physical_min": 8, "physical_max": 8, "digital_min": 8,
    "digital_max": 8, "filters": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
_LABEL_PREFIX = re.compile(r"^(?:ECG|EKG|LEAD|ABLEITUNG)(?:\s*[:_.]\s*|-|\s+|(?=[IVA]))", re.IGNORECASE)
_FILTERS = {kind: re.compile(rf"\b{kind}\s*:?\s*(\d*\.?\d+)\s*Hz", re.IGNORECASE) for kind in ("HP", "LP", "N")}
_MONTHS = dict(zip("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), range(1, 13), strict=True))


@dataclass(frozen=True)
class _Signal:
    label: str
    unit: str
    physical: tuple[float, float]
    digital: tuple[int, int]
    filters: str
    samples: int
    at: int
    """Index of its first sample in a data record."""

    @property
    def lead(self) -> str | None:
        return edf_lead(self.label)


@dataclass(frozen=True)
class _Header:
    records: int
    seconds: float
    acquired_at: str | None
    signals: tuple[_Signal, ...]
    data_at: int

    @property
    def record_samples(self) -> int:
        return sum(signal.samples for signal in self.signals)


def edf_lead(label: str) -> str | None:
    """Return the canonical lead of a label ("ECG I", "EKG V1", "Lead II", "aVR"), None for other channels."""
    name, before = label.strip(), ""
    while name != before:
        before, name = name, _LABEL_PREFIX.sub("", name)
    return canonical_lead(name)


def recognises(location: str) -> bool:
    """Tell whether the file begins like EDF: version 0, dotted date and time."""
    try:
        head = read_bytes(location, limit=184)
        return head[:8] == _VERSION and re.match(rb"\d\d\.\d\d\.\d\d\d\d\.\d\d\.\d\d", head[168:184]) is not None
    except RecordError:
        return False


def read_edf_ecg(location: str) -> EcgRecord:
    """Read the twelve leads of an EDF or EDF+C file by their labels, in mV; other channels are not read.

    Args:
        location: path, or ``archive.zip::member``.

    Raises:
        RecordError: not EDF, interrupted (EDF+D), sizes that differ from the file's, leads of different rates,
            unknown unit, no lead known by its label.
    """
    data = read_bounded(location)
    with decoding(reasons.BAD_HEADER, "an EDF header field is not a number", location):
        header = _parse_header(data, location)
    counts = _records(data, header, location)
    chosen = _chosen(header, location)
    with decoding(reasons.BAD_HEADER, "an EDF header field is impossible", location):
        leads = {lead: _amplitude(counts, signal, location) for lead, signal in chosen.items()}
        rate_hz = next(iter(chosen.values())).samples / header.seconds
    text = " ".join(signal.filters for signal in chosen.values())
    highpass, lowpass, notch = (_corner(text, kind) for kind in _FILTERS)
    return finished_record(
        leads,
        rate_hz,
        EcgHeader(header.acquired_at, highpass_hz=highpass, lowpass_hz=lowpass, notch_hz=notch),
        location,
    )


def _parse_header(data: bytes, location: str) -> _Header:
    if data[:8] != _VERSION or len(data) < _MAIN_BYTES:
        raise RecordError(reasons.NOT_RECOGNISED, "not an EDF file", where=masked(location))
    if data[192:197] == b"EDF+D":
        raise RecordError(
            reasons.UNSUPPORTED, "an interrupted recording (EDF+D)", where=masked(location), expected="EDF or EDF+C",
            hint="export the uninterrupted part",
        )  # fmt: skip
    number = int(data[252:256])
    data_at = _MAIN_BYTES + _SIGNAL_BYTES * number
    seconds = float(data[244:252])
    if not 0 < number <= MOST_SIGNALS or int(data[184:192]) != data_at or not (math.isfinite(seconds) and seconds > 0):
        raise RecordError(
            reasons.BAD_HEADER, "number of signals, length of the header or duration of a record is impossible",
            where=masked(location),
        )  # fmt: skip
    if len(data) < data_at:
        raise RecordError(
            reasons.TRUNCATED, "the file ends inside its header", where=masked(location), expected=f"{data_at} bytes",
            got=len(data),
        )  # fmt: skip
    return _Header(int(data[236:244]), seconds, _acquired_at(data), _signals(data, number), data_at)


def _signals(data: bytes, number: int) -> tuple[_Signal, ...]:
    columns, at = {}, _MAIN_BYTES
    for name, width in _WIDTHS.items():
        columns[name] = [data[at + k * width : at + (k + 1) * width].decode("latin-1").strip() for k in range(number)]
        at += width * number
    signals: list[_Signal] = []
    first = 0
    for row in zip(*columns.values(), strict=True):
        field = dict(zip(columns, row, strict=True))
        signals.append(_signal(field, first))
        first += signals[-1].samples
    return tuple(signals)


def _signal(field: dict[str, str], at: int) -> _Signal:
    samples = int(field["samples"])
    if samples < 0:
        raise ValueError("a negative number of samples")
    if edf_lead(field["label"]) is None:
        return _Signal(field["label"], "", (0.0, 0.0), (0, 0), "", samples, at)
    physical = float(field["physical_min"]), float(field["physical_max"])
    digital = int(field["digital_min"]), int(field["digital_max"])
    return _Signal(field["label"], field["unit"], physical, digital, field["filters"], samples, at)


def _records(data: bytes, header: _Header, location: str) -> NDArray[np.int16]:
    """Return (records, samples of a record of all signals) after checking them against the file's size."""
    stored, record_bytes = len(data) - header.data_at, 2 * header.record_samples
    if record_bytes == 0:
        raise RecordError(reasons.NO_WAVEFORM, "the signals have no sample", where=masked(location))
    records = stored // record_bytes if header.records == -1 else header.records
    if records < 0 or records * record_bytes != stored:
        raise RecordError(
            reasons.TRUNCATED if records * record_bytes > stored else reasons.WRONG_LENGTH,
            "the file has another length than its header says", where=masked(location),
            expected=f"{records} records of {record_bytes} bytes", got=f"{stored} bytes",
        )  # fmt: skip
    return np.frombuffer(data, "<i2", offset=header.data_at).reshape(records, header.record_samples)


def _chosen(header: _Header, location: str) -> dict[str, _Signal]:
    chosen: dict[str, _Signal] = {}
    for signal in header.signals:
        lead = signal.lead
        if lead is not None and lead in chosen:
            raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(location), got=lead)
        if lead is not None:
            chosen[lead] = signal
    if not chosen:
        raise RecordError(
            reasons.NO_WAVEFORM, "no channel is labelled as one of the twelve leads", where=masked(location),
            expected="labels such as 'ECG I', 'EKG V1', 'Lead II'", got=f"{len(header.signals)} other channels",
        )  # fmt: skip
    if len({signal.samples for signal in chosen.values()}) > 1:
        rates = ", ".join(f"{lead} {signal.samples / header.seconds:g} Hz" for lead, signal in chosen.items())
        raise RecordError(
            reasons.UNSUPPORTED, "leads of different sampling rates", where=masked(location), expected="one rate",
            got=rates, hint="resample the leads to one rate when exporting",
        )  # fmt: skip
    return chosen


def _amplitude(counts: NDArray[np.int16], signal: _Signal, location: str) -> NDArray[np.float64]:
    (low, high), (first, last) = signal.physical, signal.digital
    if first == last or low == high or not (math.isfinite(low) and math.isfinite(high)):
        raise RecordError(
            reasons.BAD_HEADER, "physical or digital extremes are equal or not finite",
            where=f"{masked(location)} {signal.lead}",
        )  # fmt: skip
    checked_samples(len(counts) * signal.samples, location)
    stored = counts[:, signal.at : signal.at + signal.samples].reshape(-1).astype(np.float64)
    values = (stored - first) * ((high - low) / (last - first)) + low
    return np.asarray(values * millivolts_per(signal.unit, location))


def _corner(text: str, kind: str) -> float | None:
    match = _FILTERS[kind].search(text)
    return float(match.group(1)) if match else None


def _acquired_at(data: bytes) -> str | None:
    """Return the start; the year of EDF+'s Startdate has four digits, EDF's two begin at 1985."""
    digits: Any = re.fullmatch(r"(\d\d)\.(\d\d)\.(\d\d)(\d\d)\.(\d\d)\.(\d\d)", data[168:184].decode("latin-1"))
    plus = re.match(r"Startdate (?:(\d\d)-([A-Z]{3})-(\d{4})|X)\b", data[88:168].decode("latin-1"), re.IGNORECASE)
    if digits is None or (plus is not None and plus.group(1) is None):
        return None
    day, month, year, hour, minute, second = (int(group) for group in digits.groups())
    year += 1900 if year >= 85 else 2000
    if plus is not None and plus.group(2).upper() in _MONTHS:
        day, month, year = int(plus.group(1)), _MONTHS[plus.group(2).upper()], int(plus.group(3))
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}"


ECG_FORMATS.register("edf_ecg")(Format("edf_ecg", recognises, read_edf_ecg))
