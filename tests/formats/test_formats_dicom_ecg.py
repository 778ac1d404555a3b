"""DICOM ECG: to the count, leads by code, padding, groups; equal to pydicom and to the SCP copy of one recording."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, read_ecg, reasons
from cardiobind.formats.ecg.dicom_ecg import padded, read_dicom_ecg, recognises
from cardiobind.modalities.records import LEADS, EcgRecord
from ecg_binary_fixtures import CANARY, dicom_ecg_bytes, dicom_group, lead_counts
from ingest_fixtures import dicom_bytes, stack, write_zip

RAMP = np.arange(10, dtype=np.int64)


def read(data: bytes, folder: Path) -> EcgRecord:
    path = folder / "9000001_ecg.dcm"
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


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("scheme", ["MDC", "SCPECG"])
@pytest.mark.parametrize("kind", ["SS", "SL"])
def test_counts_come_back_by_code_whatever_the_order(tmp_path: Path, implicit: bool, scheme: str, kind: str) -> None:
    counts = lead_counts()
    turned = dict(reversed(counts.items()))
    data = dicom_ecg_bytes([dicom_group(turned, scheme=scheme, kind=kind)], implicit=implicit)
    record = read(data, tmp_path)
    expected = np.stack([counts[lead] for lead in LEADS]) * 0.005
    np.testing.assert_allclose(record.amplitude_mv, expected, rtol=1e-6)
    assert record.rate_hz == 500


def test_the_header_is_kept_and_nobody_is_named(tmp_path: Path) -> None:
    header = read(dicom_ecg_bytes([dicom_group(lead_counts())]), tmp_path).header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert header.device == "Maker Model 1"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.05, 150.0, 50.0)
    assert header.measurements == {"QRSDuration_ms": 98.0}
    assert header.statements == ("Sinus rhythm", "* born *: left axis deviation")
    assert header.derived_leads == ()


def test_a_sentence_about_a_person_is_dropped(tmp_path: Path) -> None:
    lines = ["Normal ECG", "Confirmed by Somebody Else", "Compared with 3 May 2011"]
    data = dicom_ecg_bytes([dicom_group(lead_counts())], statements=lines)
    assert read(data, tmp_path).header.statements == ("Normal ECG", "Compared with *")


@pytest.mark.parametrize(
    ("unit", "sensitivity", "scale"), [("uV", 2.5, 0.0025), ("mV", 0.0025, 0.0025), ("nV", 2500, 0.0025)]
)
def test_unit_sensitivity_correction_and_baseline(tmp_path: Path, unit: str, sensitivity: float, scale: float) -> None:
    counts = lead_counts()
    group = dicom_group(counts, unit=unit, sensitivity=sensitivity, correction=1.5, baseline=sensitivity * 4)
    expected = (np.stack([counts[lead] for lead in LEADS]) * 1.5 + 4) * scale
    np.testing.assert_allclose(read(dicom_ecg_bytes([group]), tmp_path).amplitude_mv, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("kind", "shift"), [("SB", 0), ("UB", 128), ("US", 30000), ("UL", 1 << 20)])
def test_each_sample_format(tmp_path: Path, kind: str, shift: int) -> None:
    counts = {lead: values % 100 + shift for lead, values in lead_counts().items()}
    group = dicom_group(counts, kind=kind, baseline=-5.0 * shift)
    expected = np.stack([counts[lead] - shift for lead in LEADS]) * 0.005
    np.testing.assert_allclose(read(dicom_ecg_bytes([group]), tmp_path).amplitude_mv, expected, atol=1e-6)


def test_the_rhythm_is_read_not_the_averaged_beat(tmp_path: Path) -> None:
    rhythm, beat = lead_counts(100), lead_counts(600, seed=1)
    derived = dicom_group(beat, originality="DERIVED", label="MEDIAN BEAT")
    labelled = dicom_group(beat, label="MEDIAN")
    record = read(dicom_ecg_bytes([derived, labelled, dicom_group(rhythm)]), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv[0], rhythm["I"] * 0.005, atol=1e-6)
    shorter = dicom_group(lead_counts(50, seed=2))
    record = read(dicom_ecg_bytes([shorter, dicom_group(rhythm)]), tmp_path)
    assert record.amplitude_mv.shape == (12, 100)
    assert reason_of(dicom_ecg_bytes([derived]), tmp_path) == reasons.NO_WAVEFORM


def test_groups_recorded_one_after_the_other_lie_on_one_time_axis(tmp_path: Path) -> None:
    counts = lead_counts(100)
    parts = [
        dicom_group({lead: counts[lead] for lead in LEADS[3 * k : 3 * k + 3]}, offset_ms=200.0 * k) for k in range(4)
    ]
    amplitude = read(dicom_ecg_bytes(parts), tmp_path).amplitude_mv
    assert amplitude.shape == (12, 400)
    for row, lead in enumerate(LEADS):
        start = 100 * (row // 3)
        np.testing.assert_allclose(amplitude[row, start : start + 100], counts[lead] * 0.005, atol=1e-6)
        assert np.isnan(np.delete(amplitude[row], slice(start, start + 100))).all()


def test_limb_leads_not_stored_are_derived(tmp_path: Path) -> None:
    counts = lead_counts()
    stored = {lead: counts[lead] for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")}
    record = read(dicom_ecg_bytes([dicom_group(stored)]), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv, np.stack([counts[lead] for lead in LEADS]) * 0.005, atol=1e-6)
    assert set(record.header.derived_leads) == {"III", "aVR", "aVL", "aVF"}


def test_padding_is_not_signal(tmp_path: Path) -> None:
    counts = {lead: values.copy() for lead, values in lead_counts().items()}
    counts["V1"][5:9] = -32768
    amplitude = read(dicom_ecg_bytes([dicom_group(counts, padding=-32768)]), tmp_path).amplitude_mv
    assert np.isnan(amplitude[6]).nonzero()[0].tolist() == [5, 6, 7, 8]
    assert np.isfinite(np.delete(amplitude, 6, axis=0)).all()


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ([0, 1, 0, 2, 0, 0, 0, 3], []),
        ([0, 0, 0, 0, 1, 2, 0, 3], [0, 1, 2, 3]),
        ([1, 0, 0, 0, 0, 0, 5, 5], [1, 2, 3, 4, 5]),
        ([0, 0, 0], [0, 1, 2]),
    ],
)
def test_a_padding_value_inside_the_range_counts_in_long_runs_alone(counts: list[int], found: list[int]) -> None:
    assert padded(np.array(counts, np.int16), 0, rate_hz=4.0).nonzero()[0].tolist() == found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: dicom_ecg_bytes([dicom_group(lead_counts(), unit="mm[Hg]")]), reasons.WRONG_UNIT),
        (lambda: dicom_ecg_bytes([dicom_group(lead_counts(), rate_hz=0)]), reasons.NO_WAVEFORM),
        (lambda: dicom_ecg_bytes([dicom_group(lead_counts(), scheme="99X")]), reasons.NO_WAVEFORM),
        (lambda: dicom_ecg_bytes([]), reasons.NO_WAVEFORM),
        (lambda: dicom_ecg_bytes([], sop_class="1.2.840.10008.5.1.4.1.1.9.1.3"), reasons.UNSUPPORTED),
        (lambda: dicom_ecg_bytes([], syntax="1.2.840.10008.1.2.2"), reasons.UNSUPPORTED),
        (lambda: dicom_ecg_bytes([dicom_group(lead_counts())])[:-3], reasons.TRUNCATED),
        (lambda: dicom_ecg_bytes([changed("NumberOfWaveformSamples", 201)]), reasons.TRUNCATED),
        (lambda: dicom_ecg_bytes([changed("NumberOfWaveformSamples", 2**32 - 1)]), reasons.BAD_HEADER),
        (lambda: dicom_ecg_bytes([changed("NumberOfWaveformChannels", 65535)]), reasons.TRUNCATED),
        (lambda: dicom_ecg_bytes([changed("WaveformSampleInterpretation", "MB")]), reasons.UNSUPPORTED),
        (lambda: dicom_ecg_bytes([changed("SamplingFrequency", "1e30")]), reasons.BAD_HEADER),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, data, reason: str) -> None:
    assert reason_of(data(), tmp_path) == reason


def changed(field: str, value: object) -> pydicom.Dataset:
    group = dicom_group(lead_counts())
    setattr(group, field, value)
    return group


def test_images_are_left_to_the_cine_reader_and_waveforms_are_not(tmp_path: Path) -> None:
    image = tmp_path / "image.dcm"
    image.write_bytes(dicom_bytes(stack(1, 1)[0, 0]))
    assert not recognises(str(image))
    assert reason_of(image.read_bytes(), tmp_path) == reasons.OTHER_KIND
    with pytest.raises(RecordError):
        read_dicom_ecg(str(image))
    (tmp_path / "cine").mkdir()
    (tmp_path / "cine" / "wave.dcm").write_bytes(dicom_ecg_bytes([dicom_group(lead_counts())]))
    with pytest.raises(RecordError):
        read_cine(tmp_path / "cine")


def test_a_transfer_syntax_is_not_taken_from_inside_another_element(tmp_path: Path) -> None:
    """A deflated file that shows a plain syntax earlier would be unpacked without bound."""
    good = dicom_ecg_bytes([dicom_group(lead_counts())])
    syntax = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    deflated = struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + b"1.2.840.10008.1.2.1.99"
    fake = struct.pack("<HH2sH", 2, 3, b"UI", len(syntax)) + syntax
    assert syntax in good
    assert reason_of(good.replace(syntax, fake + deflated), tmp_path) == reasons.UNSUPPORTED
    endless = struct.pack("<HH2sHI", 2, 0x102, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    assert reason_of(good.replace(syntax, syntax + endless + deflated), tmp_path) == reasons.NOT_RECOGNISED
    late = struct.pack("<HH2sHI", 2, 0x102, b"OB", 0, 4000) + bytes(4000)
    assert reason_of(good.replace(syntax, syntax + late + deflated), tmp_path) == reasons.UNSUPPORTED


def test_inside_an_archive(tmp_path: Path) -> None:
    data = dicom_ecg_bytes([dicom_group(lead_counts())])
    archive = write_zip(tmp_path / "a.zip", {"x/1.dcm": data})
    inside = read_ecg(f"{archive}::x/1.dcm")
    np.testing.assert_array_equal(inside.amplitude_mv, read(data, tmp_path).amplitude_mv)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_the_real_recording_equals_pydicom_and_its_scp_copy(shared_data: Path) -> None:
    place = shared_data / "vendor_ecg" / "dicom_ecg" / "Example.dcm"
    record = read_ecg(place)
    theirs = pydicom.dcmread(place).waveform_array(0).T / 1000
    np.testing.assert_allclose(record.amplitude_mv, theirs, atol=1e-6)
    assert record.header.acquired_at == "2002-11-22T09:10:00"
    assert record.header.measurements["QRSDuration_ms"] == 120
    assert "Clark" not in repr(record)
    scp = read_ecg(shared_data / "vendor_ecg" / "scp_ecg" / "Example.scp")
    np.testing.assert_array_equal(record.amplitude_mv, scp.amplitude_mv)
    assert record.rate_hz == scp.rate_hz == 500
