"""WFDB records (PTB-XL, MIMIC-IV-ECG, PhysioNet): plain 16-bit signals decoded here, every other format by wfdb.

Source: https://physionet.org/physiotools/wag/header-5.htm and signal-5.htm.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.leads import canonical_lead, millivolts_per, stack_leads
from cardiobind.formats.location import SEPARATOR, location_exists, read_bytes, split_location
from cardiobind.modalities.records import EcgHeader, EcgRecord

DEFAULT_GAIN = 200.0
LARGEST_SAMPLES = 100_000_000
_INVALID = {
    "80": -(1 << 7), "508": -(1 << 7), "310": -(1 << 9), "311": -(1 << 9), "212": -(1 << 11), "16": -(1 << 15),
    "61": -(1 << 15), "160": -(1 << 15), "516": -(1 << 15), "24": -(1 << 23), "524": -(1 << 23), "32": -(1 << 31),
}  # fmt: skip
_GAIN = re.compile(r"^([-+.\deE]+)(?:\(([-+]?\d+)\))?(?:/(\S+))?$")


@dataclass(frozen=True)
class Signal:
    """One signal line of a header; `plain` means 16 bits, one sample a frame, no skew, no offset.

    `invalid` is the count that stands for an absent sample in this storage format.
    """

    file: str
    plain: bool
    invalid: int | None
    gain: float
    baseline: int
    unit: str
    checksum: int | None
    lead: str


@dataclass(frozen=True)
class Header:
    """The header of a single-segment record; `samples` is None where it is not stated."""

    rate_hz: float
    samples: int | None
    started_at: str | None
    signals: tuple[Signal, ...]


def recognises(location: str) -> bool:
    """Tell whether there is a WFDB header at `location` (named with or without its suffix)."""
    return location_exists(f"{_stem(location)}.hea")


def read_wfdb(location: str) -> EcgRecord:
    """Read a record's twelve leads by name, in mV; an invalid sample is NaN.

    Args:
        location: record path with or without ``.hea``, or ``archive.zip::record``.

    Raises:
        RecordError: header or signal file missing or damaged, checksum wrong, unit unknown, none of the twelve leads.
    """
    stem = _stem(location)
    header = parse_header(_text(f"{stem}.hea"), stem)
    digital = _digital(stem, header)
    _check_checksums(digital, header, stem)
    leads: dict[str, NDArray[np.float64]] = {}
    for column, signal in enumerate(header.signals):
        lead = canonical_lead(signal.lead)
        if lead is not None and lead not in leads:
            leads[lead] = _millivolts(digital[:, column], signal, stem)
    return EcgRecord(stack_leads(leads, stem), header.rate_hz, EcgHeader(acquired_at=header.started_at))


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
        return _checked(Header(rate_hz, samples or None, _started_at(rest[2:4]), signals), location)


def _parse_signal(line: str) -> Signal:
    file, form, *rest = line.split(maxsplit=8)
    rest += [""] * (7 - len(rest))
    gain, _, _, _, checksum, _, lead = rest
    match = _GAIN.match(gain or "0")
    if match is None or PurePosixPath(file).name != file:
        raise ValueError("bad signal line")
    value, baseline, unit = match.groups()
    zero = int(baseline if baseline is not None else rest[2] or 0)
    return Signal(
        file,
        form == "16",
        _INVALID.get(re.split(r"[x:+]", form)[0]),
        float(value) or DEFAULT_GAIN,
        zero,
        unit or "mV",
        int(checksum) if checksum else None,
        lead,
    )


def _checked(header: Header, location: str) -> Header:
    samples = header.samples or 0
    finite = all(np.isfinite(s.gain) and abs(s.baseline) < 1 << 31 for s in header.signals)
    size = samples * len(header.signals)
    if not (0 < header.rate_hz < 1e6) or samples < 0 or size > LARGEST_SAMPLES or not finite:
        raise RecordError(reasons.BAD_HEADER, "impossible rate, length or gain", where=f"{masked(location)}.hea")
    return header


def _started_at(fields: list[str]) -> str | None:
    match = re.fullmatch(r"(\d\d?)/(\d\d?)/(\d{4})", fields[1]) if len(fields) == 2 else None
    if match is None:
        return None
    day, month, year = (int(g) for g in match.groups())
    return f"{year:04d}-{month:02d}-{day:02d}T{fields[0]}"


def _digital(stem: str, header: Header) -> NDArray[np.int64]:
    files = {signal.file for signal in header.signals}
    if len(files) == 1 and all(signal.plain for signal in header.signals):
        return _decode_16(read_bytes(_beside(stem, files.pop())), header, stem)
    return _decode_with_wfdb(stem, header, files)


def _decode_16(data: bytes, header: Header, stem: str) -> NDArray[np.int64]:
    columns = len(header.signals)
    samples = header.samples or len(data) // (2 * columns)
    if len(data) < 2 * columns * samples:
        raise RecordError(
            reasons.TRUNCATED, "the signal file ends before its data do", where=f"{masked(stem)}.dat",
            expected=f"{2 * columns * samples} bytes", got=len(data),
        )  # fmt: skip
    values = np.frombuffer(data, "<i2", count=columns * samples)
    return values.reshape(samples, columns).astype(np.int64)


def _decode_with_wfdb(stem: str, header: Header, files: set[str]) -> NDArray[np.int64]:
    name = PurePosixPath(split_location(stem)[1]).name
    contents = {file: read_bytes(_beside(stem, file)) for file in files}
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


def _check_checksums(digital: NDArray[np.int64], header: Header, stem: str) -> None:
    sums = digital.sum(axis=0) & 0xFFFF
    for signal, found in zip(header.signals, sums, strict=True):
        if signal.checksum is not None and signal.checksum & 0xFFFF != found:
            raise RecordError(
                reasons.CHECKSUM, "the samples differ from the checksum in the header", where=masked(stem),
                expected=signal.checksum & 0xFFFF, got=int(found),
            )  # fmt: skip


def _millivolts(counts: NDArray[np.int64], signal: Signal, stem: str) -> NDArray[np.float64]:
    values = (counts - signal.baseline) / signal.gain * millivolts_per(signal.unit, stem)
    return np.where(counts == signal.invalid, np.nan, values) if signal.invalid is not None else values


def _text(location: str) -> str:
    return read_bytes(location).decode("latin-1")


def _beside(stem: str, file: str) -> str:
    archive, path = split_location(stem)
    if archive is None:
        return str(Path(path).parent / file)
    return f"{archive}{SEPARATOR}{(PurePosixPath(path).parent / file).as_posix()}"


def _stem(location: str) -> str:
    return re.sub(r"\.(hea|dat)$", "", location)


ECG_FORMATS.register("wfdb")(Format("wfdb", recognises, read_wfdb))
