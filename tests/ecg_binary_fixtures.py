"""Constructed ECG files of the binary formats, written from their standards, with canaries where a person is named."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

CANARY = "SECRETNAME"
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
MDC = dict(zip("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split(), (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))

Counts = Mapping[str, np.ndarray]


def lead_counts(samples: int = 200, seed: int = 0, leads: Sequence[str] = tuple(MDC)) -> dict[str, np.ndarray]:
    """Return a smooth random walk of small integers for each lead, limb leads that keep Einthoven's law."""
    steps = np.random.default_rng(seed).integers(-6, 7, (len(leads), samples))
    counts = dict(zip(leads, np.cumsum(steps, axis=1), strict=True))
    if {"I", "II"} <= set(leads):
        one, two = counts["I"] * 2, counts["II"] * 2
        limb = {"I": one, "II": two, "III": two - one, "aVR": -(one + two) // 2, "aVL": one - two // 2,
                "aVF": two - one // 2}  # fmt: skip
        counts |= {lead: values for lead, values in limb.items() if lead in counts}
    return counts


# ---- DICOM ----------------------------------------------------------------------------------------------------------


def code(value: str, scheme: str, meaning: str = "") -> DicomSequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return DicomSequence([item])


def dicom_group(
    counts: Counts,
    *,
    rate_hz: float = 500,
    scheme: str = "MDC",
    unit: str = "uV",
    sensitivity: float = 5.0,
    correction: float = 1.0,
    baseline: float = 0.0,
    kind: str = "SS",
    originality: str = "ORIGINAL",
    label: str = "RHYTHM",
    offset_ms: float | None = None,
    padding: int | None = None,
) -> Dataset:
    """Return one multiplex group; the meaning beside each code is wrong on purpose."""
    dtype = {"SB": "<i1", "UB": "<u1", "SS": "<i2", "US": "<u2", "SL": "<i4", "UL": "<u4"}[kind]
    group = Dataset()
    group.WaveformOriginality, group.MultiplexGroupLabel = originality, label
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = len(counts), len(next(iter(counts.values())))
    group.SamplingFrequency = rate_hz
    if offset_ms is not None:
        group.MultiplexGroupTimeOffset = offset_ms
    channels = []
    for lead in counts:
        channel = Dataset()
        value = f"2:{MDC[lead]}" if scheme == "MDC" else f"5.6.3-9-{MDC[lead]}"
        channel.ChannelSourceSequence = code(value, scheme, "Lead V6")
        channel.ChannelSensitivity = sensitivity
        channel.ChannelSensitivityUnitsSequence = code(unit, "UCUM")
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline = correction, baseline
        channel.FilterLowFrequency, channel.FilterHighFrequency, channel.NotchFilterFrequency = 0.05, 150, 50
        channel.WaveformBitsStored = 8 * np.dtype(dtype).itemsize
        channels.append(channel)
    group.ChannelDefinitionSequence = DicomSequence(channels)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 8 * np.dtype(dtype).itemsize, kind
    if padding is not None:
        group.WaveformPaddingValue = np.array([padding], dtype).tobytes()
    group.WaveformData = np.stack(list(counts.values()), axis=1).astype(dtype).tobytes()
    return group


def dicom_ecg_bytes(
    groups: Sequence[Dataset],
    *,
    sop_class: str = TWELVE_LEAD_ECG,
    implicit: bool = False,
    syntax: str | None = None,
    statements: Sequence[str] | None = None,
) -> bytes:
    """Return a waveform object with canaries in every element that names a person."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, "1.2.3.4"
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = sop_class, "1.2.3.4", "ECG"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{CANARY}^Jo", f"{CANARY}7", "19530508"
    dataset.ReferringPhysicianName, dataset.InstitutionName = f"Dr {CANARY}", f"{CANARY} hospital"
    dataset.AcquisitionDateTime = "20160307090530.250000+0100"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Model 1"
    dataset.WaveformAnnotationSequence = DicomSequence(
        annotations() if statements is None else [said(text) for text in statements]
    )
    dataset.WaveformSequence = DicomSequence(groups)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    uid = str(meta.TransferSyntaxUID).encode()
    return data if syntax is None else data.replace(uid.ljust(20, b"\0"), syntax.encode().ljust(20, b"\0"), 1)


def said(text: str) -> Dataset:
    item = Dataset()
    item.UnformattedTextValue, item.ReferencedWaveformChannels = text, [1, 0]
    return item


def annotations() -> list[Dataset]:
    """Return a sentence, one that names the patient, a comment of another kind and a measurement."""
    items = [Dataset() for _ in range(4)]
    items[0].UnformattedTextValue = "Sinus rhythm"
    items[1].UnformattedTextValue = f"{CANARY}^Jo born 08/05/1953: left axis deviation"
    items[2].UnformattedTextValue = f"{CANARY} lives at home"
    items[2].ConceptNameCodeSequence = code("121106", "DCM", "Comment")
    items[3].ConceptNameCodeSequence = code("5.13.5-9", "SCPECG", "QRS Duration")
    items[3].NumericValue = 98
    for item in items:
        item.ReferencedWaveformChannels = [1, 0]
    return items


# ---- SCP ------------------------------------------------------------------------------------------------------------


def crc(data: bytes) -> int:
    """CRC-CCITT, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def huffman_bits(value: int) -> str:
    """Return the code of EN 1064's default table."""
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("1" if value < 0 else "0")
    if -128 <= value < 128:
        return "1111111110" + f"{value & 0xFF:08b}"
    return "1111111111" + f"{value & 0xFFFF:016b}"


def huffman(values: Sequence[int]) -> bytes:
    bits = "".join(huffman_bits(int(value)) for value in values)
    bits += "0" * (-len(bits) % 16)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def differences(values: np.ndarray, order: int) -> np.ndarray:
    out = values.astype(np.int64)
    if order:
        out = np.concatenate([values[:order], np.diff(values, order)]) if order == 1 else np.array(
            [values[0], values[1], *(values[2:] - 2 * values[1:-1] + values[:-2])]
        )  # fmt: skip
    return out


def section(number: int, body: bytes, protocol: int = 20) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(body), protocol, protocol) + body
    return struct.pack("<H", crc(rest)) + rest


def lead_data(leads: Sequence[np.ndarray], order: int, packed: bool, *, avm: int, interval: int, flag: int) -> bytes:
    encoded = [
        huffman(differences(values, order)) if packed else differences(values, order).astype("<i2").tobytes()
        for values in leads
    ]
    sizes = b"".join(struct.pack("<H", len(chunk)) for chunk in encoded)
    return struct.pack("<HHBB", avm, interval, order, flag) + sizes + b"".join(encoded)


def scp_bytes(
    counts: Counts,
    *,
    order: int = 2,
    packed: bool = True,
    avm: int = 2500,
    interval: int = 2000,
    starts: Mapping[str, int] | None = None,
    beats: Sequence[int] = (),
    beat_samples: int = 40,
    bimodal: bool = False,
    protocol: int = 20,
) -> bytes:
    """Return a record; with `beats` (fiducial samples, from 1) a reference beat is subtracted at each of them."""
    starts = starts or {}
    leads = {lead: np.asarray(values, np.int64).copy() for lead, values in counts.items()}
    bodies: dict[int, bytes] = {1: patient()}
    if packed:
        bodies[2] = struct.pack("<H", 19999)
    spans = [(starts.get(lead, 1), starts.get(lead, 1) + len(values) - 1, MDC[lead]) for lead, values in leads.items()]
    flags = (1 if beats else 0) | 4 | len(leads) << 3 & 0xF8
    bodies[3] = bytes([len(leads), flags]) + b"".join(struct.pack("<IIB", *span) for span in spans)
    if beats:
        fiducial = beat_samples // 2
        templates = {lead: (values[:beat_samples] // 2) for lead, values in leads.items()}
        zones = [(0, at - fiducial + 1, at, at - fiducial + beat_samples) for at in beats]
        for lead, values in leads.items():
            for _, first, _, last in zones:
                values[first - 1 : last] -= templates[lead]
        length_ms = beat_samples * interval // 1000
        bodies[4] = struct.pack("<HHH", length_ms, fiducial, len(beats))
        bodies[4] += b"".join(struct.pack("<HIII", *zone) for zone in zones)
        bodies[4] += b"".join(struct.pack("<II", zone[1], zone[3]) for zone in zones)
        bodies[5] = lead_data(list(templates.values()), order, packed, avm=avm, interval=interval, flag=0)
    bodies[6] = lead_data(list(leads.values()), order, packed, avm=avm, interval=interval, flag=int(bimodal))
    bodies[8] = statements("Sinus rhythm", f"{CANARY}: old infarct")
    return assemble(bodies, protocol)


def assemble(bodies: Mapping[int, bytes], protocol: int = 20) -> bytes:
    sections = {number: section(number, body, protocol) for number, body in bodies.items()}
    at, pointers = 7 + 16 + 12 * 10, b""
    for number in range(12):
        length = 16 + 12 * 10 if number == 0 else len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, length, (7 if number == 0 else at) if length else 0)
        at += 0 if number == 0 else length
    content = section(0, pointers, protocol) + b"".join(sections.values())
    rest = struct.pack("<I", 6 + len(content)) + content
    return struct.pack("<H", crc(rest)) + rest


def patient() -> bytes:
    machine = struct.pack("<HHHBB", 0, 0, 0, 0, 255) + b"Dev1\0\0" + bytes([20, 0xA0, 0, 0, 1]) + bytes(17)
    machine += b"prog\0serial\0soft\0impl\0Maker\0"
    tags = [
        (0, f"{CANARY}\0".encode()), (1, b"Jo\0"), (2, f"{CANARY}7\0".encode()), (5, struct.pack("<HBB", 1953, 5, 8)),
        (14, machine), (20, f"Dr {CANARY}\0".encode()), (25, struct.pack("<HBB", 2016, 3, 7)), (26, bytes([9, 5, 30])),
        (27, struct.pack("<H", 5)), (28, struct.pack("<H", 150)), (29, b"\x02"), (30, f"{CANARY}\0".encode()),
    ]  # fmt: skip
    return b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags) + b"\xff\0\0"


def statements(*texts: str) -> bytes:
    body = struct.pack("<BHBB3BB", 0, 2016, 3, 7, 9, 5, 30, len(texts))
    return body + b"".join(struct.pack("<BH", k + 1, len(t) + 1) + t.encode() + b"\0" for k, t in enumerate(texts))


# ---- EDF ------------------------------------------------------------------------------------------------------------


def edf_bytes(
    counts: Mapping[str, np.ndarray],
    *,
    per_record: int | Mapping[str, int] = 50,
    seconds: float = 0.1,
    unit: str = "uV",
    physical: tuple[float, float] = (-3276.8, 3276.7),
    digital: tuple[int, int] = (-32768, 32767),
    reserved: str = "",
    records: int | None = None,
    recording: str = f"Startdate 07-MAR-2016 {CANARY} Dr_{CANARY} Cart",
) -> bytes:
    """Return an EDF file of signals by label, with a canary as patient."""
    sizes = {label: per_record if isinstance(per_record, int) else per_record[label] for label in counts}
    number = len(next(iter(counts.values()))) // next(iter(sizes.values()))
    header = "0".ljust(8) + f"{CANARY}7 M 08-MAY-1953 {CANARY}".ljust(80) + recording.ljust(80)
    header += "07.03.16" + "09.05.30" + str(256 * (len(counts) + 1)).ljust(8) + reserved.ljust(44)
    header += str(number if records is None else records).ljust(8) + f"{seconds:g}".ljust(8) + str(len(counts)).ljust(4)
    rows: list[tuple[int, list[str]]] = [
        (16, list(counts)), (80, [""] * len(counts)), (8, [unit] * len(counts)),
        (8, [f"{physical[0]:g}"] * len(counts)), (8, [f"{physical[1]:g}"] * len(counts)),
        (8, [str(digital[0])] * len(counts)), (8, [str(digital[1])] * len(counts)),
        (80, ["HP:0.05Hz LP:150Hz N:50Hz"] * len(counts)),
        (8, [str(size) for size in sizes.values()]), (32, [""] * len(counts)),
    ]  # fmt: skip
    header += "".join(text.ljust(width) for width, texts in rows for text in texts)
    data = b"".join(
        counts[label][k * size : (k + 1) * size].astype("<i2").tobytes()
        for k in range(number)
        for label, size in sizes.items()
    )
    return header.encode("ascii") + data


# ---- WFDB -----------------------------------------------------------------------------------------------------------


def wfdb_signal(form: str, stream: Sequence[int], columns: int = 1) -> bytes:
    """Return a signal file, sample by sample and bit by bit, after signal(5)."""
    values = [int(value) for value in stream]
    if form == "8":
        return b"".join(
            struct.pack("b", value - (values[k - columns] if k >= columns else value)) for k, value in enumerate(values)
        )
    simple: dict[str, Any] = {
        "16": lambda v: struct.pack("<h", v), "61": lambda v: struct.pack(">h", v),
        "32": lambda v: struct.pack("<i", v),
        "24": lambda v: struct.pack("<i", v)[:3], "80": lambda v: bytes([v + 128]),
        "160": lambda v: struct.pack("<H", v + 32768),
    }  # fmt: skip
    if form in simple:
        return b"".join(simple[form](value) for value in values)
    group, pack = {"212": (2, _pack_212), "310": (3, _pack_310), "311": (3, _pack_311)}[form]
    values += [0] * (-len(values) % group)
    return b"".join(pack(*values[k : k + group]) for k in range(0, len(values), group))


def _pack_212(a: int, b: int) -> bytes:
    a, b = a & 0xFFF, b & 0xFFF
    return bytes([a & 0xFF, (b >> 8) << 4 | a >> 8, b & 0xFF])


def _pack_310(a: int, b: int, c: int) -> bytes:
    a, b, c = a & 0x3FF, b & 0x3FF, c & 0x3FF
    return struct.pack("<HH", (c & 0x1F) << 11 | a << 1, (c >> 5) << 11 | b << 1)


def _pack_311(a: int, b: int, c: int) -> bytes:
    return struct.pack("<I", (c & 0x3FF) << 20 | (b & 0x3FF) << 10 | a & 0x3FF)


def wfdb_header(
    name: str, counts: Counts, form: str, *, rate_hz: int = 500, gain: str = "200(0)/mV", file: str | None = None,
    comments: str = "", start: str = "",
) -> bytes:  # fmt: skip
    samples = len(next(iter(counts.values())))
    lines = [f"{name} {len(counts)} {rate_hz} {samples} {start}"]
    for lead, values in counts.items():
        checksum = (int(np.sum(values)) + 32768) % 65536 - 32768
        lines.append(f"{file or name + '.dat'} {form} {gain} 12 0 {values[0]} {checksum} 0 {lead}")
    return ("\n".join(lines) + "\n" + comments).encode()
