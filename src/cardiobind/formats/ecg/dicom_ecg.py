"""DICOM waveforms: twelve-lead and general ECG; leads by code, never by their order or the meaning written beside it.

Source: DICOM PS3.3 C.10.9 (Waveform module), PS3.16 CID 3001 (ECG leads) and CID 3228, 3229 (measurements).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
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
from cardiobind.formats.ecg.leads import millivolts_per
from cardiobind.formats.location import CountedBytes, read_bytes
from cardiobind.modalities.records import LEADS, EcgHeader, EcgRecord

LARGEST_DICOM_BYTES = 1 << 22
MOST_ITEMS = 20_000
MOST_READS = 300_000
_ITEM = b"\xfe\xff\x00\xe0"
SHORTEST_GAP_S = 1.0
_HEAD_BYTES = 2048
_UNDEFINED = 0xFFFFFFFF
_LONG_KINDS = (b"OB", b"OW", b"OD", b"OF", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV")
_ECG_CLASS = "1.2.840.10008.5.1.4.1.1.9.1."
_READ_CLASSES = {f"{_ECG_CLASS}{n}" for n in (1, 2, 4)}
_PLAIN_SYNTAXES = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}
_LEAD_NUMBERS = dict(zip(LEADS, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))
_LEADS = {("MDC", f"2:{n}"): lead for lead, n in _LEAD_NUMBERS.items()} | {
    ("SCPECG", f"5.6.3-9-{n}"): lead for lead, n in _LEAD_NUMBERS.items()
}
_SAMPLE_TYPES = {"SB": "<i1", "UB": "<u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}
_MEASUREMENTS = {
    "5.10.2.1-3": "RRInterval_ms", "5.10.2.1-5": "PPInterval_ms", "5.10.2.5-1": "VentricularRate_BPM",
    "5.13.5-7": "PQInterval_ms", "5.13.5-9": "QRSDuration_ms", "5.13.5-11": "QTInterval_ms",
    "5.10.2.5-5": "QTCInterval_ms", "5.10.3-11": "PAxis_deg", "5.10.3-13": "RAxis_deg", "5.10.3-15": "TAxis_deg",
}  # fmt: skip
_STATEMENT_CONCEPTS = ("121071", "121073", "18844-1", "5.8.3", "5.11.")
_IDENTIFIERS = (
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "OtherPatientNames", "AccessionNumber",
    "ReferringPhysicianName", "NameOfPhysiciansReadingStudy", "PerformingPhysicianName", "OperatorsName",
    "PhysiciansOfRecord", "InstitutionName", "PatientAddress", "PatientTelephoneNumbers", "PatientMotherBirthName",
)  # fmt: skip
_WANTED = [
    "SpecificCharacterSet", "SOPClassUID", "AcquisitionDateTime", "ContentDate", "ContentTime", "StudyDate",
    "StudyTime", "Manufacturer", "ManufacturerModelName", "WaveformSequence", "WaveformAnnotationSequence",
    *_IDENTIFIERS,
]  # fmt: skip


def recognises(location: str) -> bool:
    """Tell whether the file is a DICOM object of an ECG class, by its first bytes."""
    try:
        return (_meta_uid(read_bytes(location, limit=_HEAD_BYTES), 0x02) or "").startswith(_ECG_CLASS)
    except (RecordError, ValueError):
        return False


def read_dicom_ecg(location: str) -> EcgRecord:
    """Read the rhythm of a DICOM ECG: (sample x sensitivity x correction + baseline) in the unit stated, as mV.

    The group with most of the twelve leads is read, the longer one of two; where it has not all, groups of the same
    rate that begin elsewhere add theirs, and what a lead has not is NaN. Averaged beats (DERIVED) are not read.

    Args:
        location: path, or ``archive.zip::member``.

    Raises:
        RecordError: another class or transfer syntax, damaged bytes, no lead known by its code, unknown unit.
    """
    data = read_bounded(location, LARGEST_DICOM_BYTES)
    _check_kind(data, location)
    with decoding(reasons.BAD_DICOM, "the DICOM file cannot be parsed", location, _pydicom_errors()):
        dataset = _parse(data, location)
        groups = [_Group(item, location) for item in dataset.get("WaveformSequence") or () if _is_rhythm(item)]
        header = _header(dataset, groups)
        leads, rate_hz = _joined(groups, location)
    return finished_record(leads, rate_hz, header, location)


def _parse(data: bytes, location: str) -> Any:
    import pydicom  # a tenth of a second

    return pydicom.dcmread(CountedBytes(data, location, MOST_READS), specific_tags=list(_WANTED))


def _pydicom_errors() -> tuple[type[Exception], ...]:
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return InvalidDicomError, BytesLengthException


def _meta_uid(data: bytes, element: int) -> str | None:
    """Return a UID of the file meta information (explicit little endian); of two the last, which pydicom takes too."""
    found, at = None, 132
    while data[128:132] == b"DICM" and data[at : at + 2] == b"\x02\x00" and at + 12 <= len(data):
        number, kind, length = struct.unpack_from("<H2sH", data, at + 2)
        start = at + 8
        if kind in _LONG_KINDS:
            length, start = struct.unpack_from("<I", data, at + 8)[0], at + 12
        if length == _UNDEFINED:
            return None
        if number == element:
            found = data[start : start + length].rstrip(b"\0 ").decode("latin-1")
        at = start + length
    return found


def _check_kind(data: bytes, location: str) -> None:
    kind, syntax = _meta_uid(data, 0x02), _meta_uid(data, 0x10)
    if not (kind or "").startswith(_ECG_CLASS):
        raise RecordError(reasons.NOT_RECOGNISED, "not a DICOM ECG", where=masked(location))
    if kind not in _READ_CLASSES:
        raise RecordError(
            reasons.UNSUPPORTED, "a DICOM waveform of another kind (ambulatory ECG)", where=masked(location),
            expected="12-lead, general or general 32-bit ECG",
        )  # fmt: skip
    if syntax not in _PLAIN_SYNTAXES:
        raise RecordError(
            reasons.UNSUPPORTED, "a transfer syntax that is not read", where=masked(location),
            expected="implicit or explicit little endian",
            hint="convert the file with a DICOM toolkit (dcmconv +te)",
        )  # fmt: skip
    items = data.count(_ITEM)
    if items > MOST_ITEMS:  # each takes the parser a tenth of a millisecond and a kilobyte
        raise RecordError(
            reasons.BAD_DICOM, "too many items in the sequences", where=masked(location),
            expected=f"at most {MOST_ITEMS}", got=items,
        )  # fmt: skip


def _is_rhythm(item: Any) -> bool:
    label = str(item.get("MultiplexGroupLabel") or "").upper()
    return str(item.get("WaveformOriginality") or "ORIGINAL").upper() == "ORIGINAL" and "MEDIAN" not in label


class _Group:
    """One multiplex group: its leads by code, its rate, and when it begins."""

    def __init__(self, item: Any, location: str) -> None:
        self.item, self.location = item, location
        self.channels: Sequence[Any] = item.ChannelDefinitionSequence
        self.samples = checked_samples(int(item.NumberOfWaveformSamples), location)
        self.rate_hz = float(item.SamplingFrequency)
        self.begins_ms = float(item.get("MultiplexGroupTimeOffset") or 0.0)
        self.columns = self._columns()

    def _columns(self) -> dict[str, int]:
        columns: dict[str, int] = {}
        for column, channel in enumerate(self.channels):
            lead = _lead(channel)
            if lead is not None and lead in columns:
                raise RecordError(reasons.BAD_HEADER, "a lead is there twice", where=masked(self.location), got=lead)
            if lead is not None:
                columns[lead] = column
        return columns

    def counts(self) -> NDArray[Any]:
        """Return (samples, channels) integers as stored."""
        kind, channels = str(self.item.WaveformSampleInterpretation), int(self.item.NumberOfWaveformChannels)
        bits = int(self.item.WaveformBitsAllocated)
        if kind not in _SAMPLE_TYPES or np.dtype(_SAMPLE_TYPES[kind]).itemsize * 8 != bits:
            raise RecordError(
                reasons.UNSUPPORTED, "a sample format that is not read", where=masked(self.location),
                expected=" | ".join(_SAMPLE_TYPES), got=f"{kind[:2]!r} of {bits} bits",
            )  # fmt: skip
        needed, data = self.samples * channels * bits // 8, bytes(self.item.WaveformData)
        if channels != len(self.channels) or needed > len(data):
            raise RecordError(
                reasons.TRUNCATED, "the waveform data end before the header says", where=masked(self.location),
                expected=f"{needed} bytes, {channels} channels", got=f"{len(data)}, {len(self.channels)}",
            )  # fmt: skip
        return np.frombuffer(data, _SAMPLE_TYPES[kind], self.samples * channels).reshape(self.samples, channels)

    def leads(self) -> dict[str, NDArray[np.float64]]:
        """Return canonical lead name to (samples,) amplitudes in mV, NaN where padded."""
        counts, padding = self.counts(), self._padding()
        return {lead: self._amplitude(counts[:, column], column, padding) for lead, column in self.columns.items()}

    def _padding(self) -> int | None:
        value = self.item.get("WaveformPaddingValue")
        if value is None:
            return None
        dtype = np.dtype(_SAMPLE_TYPES[str(self.item.WaveformSampleInterpretation)])
        return int(np.frombuffer(bytes(value)[: dtype.itemsize], dtype)[0])

    def _amplitude(self, counts: NDArray[Any], column: int, padding: int | None) -> NDArray[np.float64]:
        channel = self.channels[column]
        unit = channel.ChannelSensitivityUnitsSequence[0].CodeValue
        factor = float(channel.get("ChannelSensitivityCorrectionFactor") or 1.0)
        baseline = float(channel.get("ChannelBaseline") or 0.0)
        values = counts * (float(channel.ChannelSensitivity) * factor) + baseline
        values *= millivolts_per(str(unit), self.location)
        if padding is not None:
            values[padded(counts, padding, self.rate_hz)] = np.nan
        return np.asarray(values)


def padded(counts: NDArray[Any], padding: int, rate_hz: float) -> NDArray[np.bool_]:
    """Return (samples,) where a lead is padding and not signal.

    Exporters declare 0 as the padding value and store a signal that crosses 0, so that a padding value inside the
    range of the type counts only in runs of `SHORTEST_GAP_S`; at the end of the range every sample counts.

    Args:
        counts: (samples,) as stored.
        padding: WaveformPaddingValue.
        rate_hz: samples per second.
    """
    same = counts == padding
    limits = np.iinfo(counts.dtype)
    if padding in (limits.min, limits.max):
        return np.asarray(same)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], same.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start < min(SHORTEST_GAP_S * rate_hz, len(counts)):
            same[start:stop] = False
    return np.asarray(same)


def _lead(channel: Any) -> str | None:
    for source in channel.get("ChannelSourceSequence") or ():
        code = (str(source.get("CodingSchemeDesignator") or "").strip(), str(source.get("CodeValue") or "").strip())
        if code in _LEADS:
            return _LEADS[code]
    return None


def _joined(groups: list[_Group], location: str) -> tuple[dict[str, NDArray[np.float64]], float]:
    known = [group for group in groups if group.columns and group.rate_hz > 0]
    known.sort(key=lambda group: (-len(group.columns), -group.samples / group.rate_hz))
    if not known:
        raise RecordError(
            reasons.NO_WAVEFORM, "no original waveform with a code of the twelve leads", where=masked(location),
            expected="lead codes of MDC (2:1) or SCPECG (5.6.3-9-1)",
        )  # fmt: skip
    main = known[0]
    if len(main.columns) == len(LEADS) or len(known) == 1:
        return main.leads(), main.rate_hz
    return _on_one_time_axis([group for group in known if group.rate_hz == main.rate_hz], location), main.rate_hz


def _on_one_time_axis(groups: list[_Group], location: str) -> dict[str, NDArray[np.float64]]:
    first_ms = min(group.begins_ms for group in groups)
    starts = [round((group.begins_ms - first_ms) / 1000 * group.rate_hz) for group in groups]
    samples = checked_samples(max(s + g.samples for s, g in zip(starts, groups, strict=True)), location)
    leads: dict[str, NDArray[np.float64]] = {}
    for start, group in zip(starts, groups, strict=True):
        for lead, values in group.leads().items():
            if lead not in leads:
                leads[lead] = np.full(samples, np.nan)
                leads[lead][start : start + group.samples] = values
    return leads


def _header(dataset: Any, groups: list[_Group]) -> EcgHeader:
    channels = [channel for group in groups for channel in group.channels]
    maker = (str(dataset.get(name) or "").strip() for name in ("Manufacturer", "ManufacturerModelName"))
    named = without_names([" ".join(part[:64] for part in maker if part)], _identifiers(dataset))
    return EcgHeader(
        acquired_at=_acquired_at(dataset),
        device=named[0] if named else "",
        highpass_hz=_filter(channels, "FilterLowFrequency"),
        lowpass_hz=_filter(channels, "FilterHighFrequency"),
        notch_hz=_filter(channels, "NotchFilterFrequency"),
        statements=interpretation(_statements(dataset), _identifiers(dataset)),
        measurements=dict(_measured(dataset)),
    )


def _filter(channels: list[Any], field: str) -> float | None:
    return next((float(value) for channel in channels if (value := channel.get(field))), None)


def _acquired_at(dataset: Any) -> str | None:
    stamps = [str(dataset.get("AcquisitionDateTime") or "")]
    stamps += [str(dataset.get(f"{of}Date") or "") + str(dataset.get(f"{of}Time") or "") for of in ("Content", "Study")]
    for stamp in stamps:
        match = re.match(r"((?:19|20)\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", stamp)
        if match:
            year, month, day, hour, minute, second = match.groups()
            return f"{year}-{month}-{day}T{hour}:{minute}:{second}"
    return None


def _concept(annotation: Any) -> str | None:
    concepts = annotation.get("ConceptNameCodeSequence") or ()
    return str(concepts[0].get("CodeValue") or "").strip() if concepts else None


def _statements(dataset: Any) -> Iterator[str]:
    for annotation in dataset.get("WaveformAnnotationSequence") or ():
        text, concept = annotation.get("UnformattedTextValue"), _concept(annotation)
        if text and (concept is None or concept.startswith(_STATEMENT_CONCEPTS)):
            yield str(text)


def _measured(dataset: Any) -> Iterator[tuple[str, float]]:
    for annotation in dataset.get("WaveformAnnotationSequence") or ():
        name, value = _MEASUREMENTS.get(_concept(annotation) or ""), annotation.get("NumericValue")
        if name is not None and value is not None and np.isfinite(float(value)):
            yield name, float(value)


def _identifiers(dataset: Any) -> list[str]:
    values = (dataset.get(name) for name in _IDENTIFIERS)
    return [str(value)[:LONGEST_TEXT] for value in values if value]


ECG_FORMATS.register("dicom_ecg")(Format("dicom_ecg", recognises, read_dicom_ecg))
