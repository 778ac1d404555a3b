"""SCP-ECG: an encoder written from the standard comes back to the count, in every packing that is read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.modalities.records import LEADS, EcgRecord
from ecg_binary_fixtures import CANARY, assemble, crc, lead_counts, patient, scp_bytes
from ingest_fixtures import write_zip


def read(data: bytes, folder: Path) -> EcgRecord:
    path = folder / "9000001.scp"
    path.write_bytes(data)
    record = read_ecg(path)
    assert CANARY not in repr(record)
    return record


def reason_of(data: bytes, folder: Path) -> str:
    with pytest.raises(RecordError) as caught:
        read(data, folder)
    assert CANARY not in str(caught.value)
    assert "9000001" not in str(caught.value)
    return caught.value.reason


def millivolts(counts: dict[str, np.ndarray], scale: float = 0.0025) -> np.ndarray:
    return np.stack([counts[lead] for lead in LEADS]) * scale


def sealed(data: bytes) -> bytes:
    """Return the record with its own checksum made right again."""
    return struct.pack("<H", crc(data[2:])) + data[2:]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_counts_come_back_in_every_packing(tmp_path: Path, order: int, packed: bool) -> None:
    counts = lead_counts(300)
    record = read(scp_bytes(counts, order=order, packed=packed), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv, millivolts(counts), rtol=1e-6)
    assert record.rate_hz == 500


def test_large_jumps_take_the_long_codes(tmp_path: Path) -> None:
    counts = {lead: values * 400 for lead, values in lead_counts(100).items()}
    counts = {lead: np.clip(values, -8000, 8000) for lead, values in counts.items()}
    record = read(scp_bytes(counts, order=1), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv, millivolts(counts), rtol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_a_subtracted_reference_beat_is_added_again(tmp_path: Path, packed: bool) -> None:
    counts = lead_counts(300)
    data = scp_bytes(counts, beats=(30, 110, 200, 270), packed=packed)
    np.testing.assert_allclose(read(data, tmp_path).amplitude_mv, millivolts(counts), rtol=1e-6)


def test_the_header_is_kept_and_nobody_is_named(tmp_path: Path) -> None:
    header = read(scp_bytes(lead_counts()), tmp_path).header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert header.device == "Maker Dev1"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.05, 150.0, 50.0)
    assert header.statements == ("Sinus rhythm", "*: old infarct")


def test_eight_stored_leads_rate_and_multiplier(tmp_path: Path) -> None:
    counts = lead_counts()
    stored = {lead: counts[lead] for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")}
    record = read(scp_bytes(stored, avm=4880, interval=4000), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv, millivolts(counts, 0.00488), rtol=1e-5)
    assert set(record.header.derived_leads) == {"III", "aVR", "aVL", "aVF"}
    assert record.rate_hz == 250


def test_leads_that_begin_later_are_nan_before(tmp_path: Path) -> None:
    counts = lead_counts(100)
    starts = {lead: 101 for lead in LEADS[6:]}
    amplitude = read(scp_bytes(counts, starts=starts), tmp_path).amplitude_mv
    assert amplitude.shape == (12, 200)
    assert np.isnan(amplitude[6:, :100]).all()
    assert np.isnan(amplitude[:6, 100:]).all()
    np.testing.assert_allclose(amplitude[6, 100:], counts["V1"] * 0.0025, rtol=1e-6)


def hostile_counts() -> bytes:
    body = bytes([255, 4]) + struct.pack("<IIB", 1, 2**32 - 1, 1) * 255
    return assemble({1: patient(), 2: struct.pack("<H", 19999), 3: body, 6: bytes(2000)})


def hostile_beat() -> bytes:
    leads = bytes([1, 5]) + struct.pack("<IIB", 1, 10, 1)
    rhythm = struct.pack("<HHBBH", 2500, 2000, 2, 0, 4) + bytes(4)
    beat = struct.pack("<HHBBH", 2500, 1, 2, 0, 4) + bytes(4)
    return assemble({2: struct.pack("<H", 19999), 3: leads, 4: struct.pack("<HHH", 65535, 1, 0), 5: beat, 6: rhythm})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: scp_bytes(lead_counts(), bimodal=True), reasons.UNSUPPORTED),
        (lambda: scp_bytes(lead_counts(), avm=0), reasons.BAD_HEADER),
        (lambda: scp_bytes(lead_counts(), interval=0), reasons.TRUNCATED),
        (lambda: scp_bytes(lead_counts())[:-10], reasons.TRUNCATED),
        (lambda: scp_bytes(lead_counts())[:20], reasons.NOT_RECOGNISED),
        (lambda: assemble({1: patient(), 3: bytes([1, 4]) + struct.pack("<IIB", 1, 9, 1)}), reasons.NO_WAVEFORM),
        (lambda: assemble({1: patient(), 6: bytes(20)}), reasons.NO_WAVEFORM),
        (hostile_counts, reasons.BAD_HEADER),
        (hostile_beat, reasons.BAD_HEADER),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, data, reason: str) -> None:
    assert reason_of(data(), tmp_path) == reason


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_is_seen_by_the_checksum_of_its_section(tmp_path: Path, place: float) -> None:
    data = bytearray(scp_bytes(lead_counts(), packed=False))
    data[int(place * len(data))] ^= 4
    assert reason_of(sealed(bytes(data)), tmp_path) in {reasons.CHECKSUM, reasons.BAD_HEADER, reasons.TRUNCATED}
    assert reason_of(bytes(data), tmp_path) in {reasons.CHECKSUM, reasons.BAD_HEADER, reasons.TRUNCATED}


def test_a_sample_altered_in_the_rhythm_is_a_checksum_error(tmp_path: Path) -> None:
    data = bytearray(scp_bytes(lead_counts(), packed=False))
    at = data.index(b"Sinus") - 600
    data[at] ^= 1
    assert reason_of(bytes(data), tmp_path) == reasons.CHECKSUM


def test_the_real_recording_out_of_an_archive(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "vendor_ecg" / "scp_ecg" / "Example.scp").read_bytes()
    archive = write_zip(tmp_path / "a.zip", {"x/1.scp": data})
    record = read_ecg(f"{archive}::x/1.scp")
    assert record.amplitude_mv.shape == (12, 5000)
    assert record.header.measurements["PAxis_deg"] == 44
    assert "Clark" not in repr(record)
