"""SCP-ECG (EN 1064, ISO 11073-91064): the bit stream is decoded by ecgdatakit, after every stated size is checked here.

A reference beat that was subtracted is added again by the library. Bimodal compression, which keeps only every fourth
sample outside the QRS complexes, is refused: no file was at hand to prove a decoder on.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import ECG_FORMATS, Format, decoding, masked
from cardiobind.formats.ecg.ecg_recording import (
    LONGEST_TEXT,
    checked_samples,
    finished_record,
    interpretation,
    read_bounded,
    without_names,
)
from cardiobind.formats.ecg.leads import canonical_lead
from cardiobind.formats.location import read_bytes
from cardiobind.modalities.records import EcgHeader, EcgRecord

LARGEST_SCP_BYTES = 1 << 20
MOST_SAMPLES = 1 << 21
MOST_BEATS = 4096
MOST_LEADS = 85
_PREAMBLE, _SECTION_HEADER, _POINTER = 6, 16, 10
_BIMODAL_UNTIL = 30
_UNSPECIFIED = 0


@dataclass(frozen=True)
class _Lead:
    first: int
    last: int
    code: int

    @property
    def samples(self) -> int:
        return self.last - self.first + 1


def recognises(location: str) -> bool:
    """Tell whether the file begins like an SCP record: section 0 at byte 7, which points at itself."""
    try:
        head = read_bytes(location, limit=_PREAMBLE + _SECTION_HEADER + _POINTER)
        return len(head) == 32 and _is_pointer_section(head)
    except RecordError:
        return False


def read_scp_ecg(location: str) -> EcgRecord:
    """Read the rhythm data (section 6) of an SCP record, in mV; each lead at the sample where it begins.

    Args:
        location: path, or ``archive.zip::member``.

    Raises:
        RecordError: not SCP, a checksum or a stated size is wrong, bimodal, long-term or damaged data.
    """
    data = read_bounded(location, LARGEST_SCP_BYTES)
    with decoding(reasons.TRUNCATED, "an SCP section is shorter than it must be", location):
        leads = _checked_leads(data, location)
    parsed = _parsed(data, location)
    if not parsed.raw_metadata["checksum_valid"]:
        raise RecordError(reasons.CHECKSUM, "the bytes differ from the checksum of a section", where=masked(location))
    with decoding(reasons.BAD_HEADER, "a header field is missing or impossible", location):
        rate_hz = 1e6 / float(parsed.raw_metadata["rhythm_sample_interval_us"])
        amplitudes, header = _amplitudes(parsed.leads, leads, location), _header(parsed)
    return finished_record(amplitudes, rate_hz, header, location)


def _is_pointer_section(head: bytes) -> bool:
    number, length = struct.unpack_from("<HI", head, 8)
    return number == 0 and length >= 26 and struct.unpack_from("<H4xI", head, 22) == (0, 7)


def _sections(data: bytes, location: str) -> dict[int, bytes]:
    """Return the body of each section, after checking that it lies inside the file."""
    size, length = struct.unpack_from("<I", data, 2)[0], struct.unpack_from("<I", data, 10)[0]
    if size > len(data) or _PREAMBLE + length > len(data):
        raise RecordError(
            reasons.TRUNCATED, "the file ends before its data do", where=masked(location), expected=f"{size} bytes",
            got=len(data),
        )  # fmt: skip
    bodies: dict[int, bytes] = {}
    for at in range(_PREAMBLE + _SECTION_HEADER, _PREAMBLE + length - _POINTER + 1, _POINTER):
        number, length_of, index = struct.unpack_from("<HII", data, at)
        if index and length_of > _SECTION_HEADER:
            if index - 1 + length_of > len(data) or number in bodies:
                raise _bad(f"section {number} lies outside the file, or is there twice", location)
            bodies[number] = data[index - 1 + _SECTION_HEADER : index - 1 + length_of]
    return bodies


def _checked_leads(data: bytes, location: str) -> list[_Lead]:
    """Return the leads of section 3 after checking what the library will allocate and loop over."""
    if len(data) < 32 or not _is_pointer_section(data):
        raise RecordError(reasons.NOT_RECOGNISED, "not an SCP record", where=masked(location))
    bodies = _sections(data, location)
    for number in (3, 6):
        if number not in bodies:
            raise RecordError(
                reasons.NO_WAVEFORM, f"section {number} is missing", where=masked(location), expected="sections 3 and 6"
            )
    number_of_leads = bodies[3][0]
    leads = [_Lead(*struct.unpack_from("<IIB", bodies[3], 2 + 9 * k)) for k in range(number_of_leads)]
    _check_counts(leads, len(bodies[6]), location)
    _check_beats(bodies, number_of_leads, location)
    if bodies[6][5] and data[15] < _BIMODAL_UNTIL:
        raise RecordError(
            reasons.UNSUPPORTED, "bimodal compression, which drops samples", where=f"{masked(location)} section 6",
            hint="export again without bimodal compression",
        )  # fmt: skip
    return leads


def _check_counts(leads: list[_Lead], rhythm_bytes: int, location: str) -> None:
    if not 0 < len(leads) <= MOST_LEADS or any(lead.first < 1 for lead in leads):
        raise _bad("an impossible number of leads, or a lead that begins before the first sample", location)
    if len({lead.code for lead in leads} - {_UNSPECIFIED}) < sum(lead.code != _UNSPECIFIED for lead in leads):
        raise _bad("a lead is there twice", location)
    for lead in leads:
        checked_samples(lead.samples, location)
        checked_samples(lead.last, location)
    total = sum(lead.samples for lead in leads)
    if total > min(8 * rhythm_bytes, MOST_SAMPLES):
        raise RecordError(
            reasons.TRUNCATED, "more samples are stated than the file can hold", where=f"{masked(location)} section 3",
            expected=f"at most {min(8 * rhythm_bytes, MOST_SAMPLES)}", got=total,
        )  # fmt: skip


def _check_beats(bodies: dict[int, bytes], number_of_leads: int, location: str) -> None:
    beats = struct.unpack_from("<H", bodies[4], 4)[0] if 4 in bodies else 0
    if beats > MOST_BEATS:
        raise _bad(f"section 4 states {beats} beats", location)
    if 4 in bodies and 5 in bodies:
        length_ms, interval_us = struct.unpack_from("<H", bodies[4])[0], struct.unpack_from("<H", bodies[5], 2)[0]
        samples = length_ms * 1000 // max(interval_us, 1)
        if samples * number_of_leads > min(8 * len(bodies[5]), MOST_SAMPLES):
            raise _bad("the reference beat is longer than section 5 can hold", location)


def _bad(what: str, location: str) -> RecordError:
    return RecordError(reasons.BAD_HEADER, what, where=masked(location))


def _parsed(data: bytes, location: str) -> Any:
    from ecgdatakit.exceptions import ECGDataKitError, UnsupportedFormatError
    from ecgdatakit.parsing.parsers.scp_ecg import SCPECGParser

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record.scp"
        path.write_bytes(data)
        with decoding(reasons.TRUNCATED, "the SCP data cannot be decoded", location, (ECGDataKitError,)):
            try:
                return SCPECGParser().parse(path)
            except UnsupportedFormatError:
                raise RecordError(
                    reasons.UNSUPPORTED, "SCP of a kind that is not read", where=masked(location),
                    expected="rhythm data of section 6, with a reference beat of the same rate",
                ) from None  # fmt: skip


def _amplitudes(decoded: list[Any], leads: list[_Lead], location: str) -> dict[str, NDArray[np.float64]]:
    samples = max(lead.last for lead in leads)
    amplitudes: dict[str, NDArray[np.float64]] = {}
    for lead, found in zip(leads, decoded, strict=True):
        name = canonical_lead(found.label)
        if found.resolution_unit != "uV":
            raise _bad("the amplitude's multiplier is 0", location)
        if name is not None:
            amplitudes[name] = np.full(samples, np.nan)
            amplitudes[name][lead.first - 1 : lead.last] = found.samples * found.resolution / 1000.0
    return amplitudes


def _header(parsed: Any) -> EcgHeader:
    device, filters, identifiers = parsed.recording.device, parsed.recording.acquisition.filters, _identifiers(parsed)
    named = without_names([f"{device.manufacturer or ''} {device.model or ''}"[:LONGEST_TEXT]], identifiers)
    statements = [line for line, _ in (parsed.interpretation.statements if parsed.interpretation is not None else ())]
    return EcgHeader(
        acquired_at=parsed.recording.date.strftime("%Y-%m-%dT%H:%M:%S") if parsed.recording.date else None,
        device=named[0] if named else "",
        highpass_hz=filters.highpass,
        lowpass_hz=filters.lowpass,
        notch_hz=filters.notch if filters.notch_active else None,
        statements=interpretation(statements, identifiers),
        measurements=dict(_measured(parsed)),
    )


def _measured(parsed: Any) -> Iterator[tuple[str, float]]:
    found = parsed.measurements
    values = {
        "VentricularRate_BPM": found.heart_rate, "RRInterval_ms": found.rr_interval, "PAxis_deg": found.p_axis,
        "RAxis_deg": found.qrs_axis, "TAxis_deg": found.t_axis,
        "QTCInterval_ms": found.qtc_bazett or parsed.raw_metadata.get("qtc_ms"),
    }  # fmt: skip
    return ((name, float(value)) for name, value in values.items() if value is not None)


def _identifiers(parsed: Any) -> list[str]:
    patient, recording, device = parsed.patient, parsed.recording, parsed.recording.device
    values = (
        patient.last_name, patient.first_name, patient.patient_id, parsed.raw_metadata.get("second_last_name"),
        recording.referring_physician, recording.technician, parsed.raw_metadata.get("confirming_physician"),
        device.institution, device.department, device.serial_number,
    )  # fmt: skip
    return [str(value)[:LONGEST_TEXT] for value in values if value]


ECG_FORMATS.register("scp_ecg")(Format("scp_ecg", recognises, read_scp_ecg))
