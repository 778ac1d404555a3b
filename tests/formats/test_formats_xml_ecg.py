"""Muse, aECG, Philips: constructed files come back to the count, real ones obey Einthoven, wrong ones have reasons."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import ECG_FORMATS, read_ecg, reasons
from cardiobind.formats.ecg.philips_xli import decode_xli, rebuild_limb_leads
from cardiobind.formats.ecg.xml_fields import statements
from cardiobind.modalities.records import LEADS, EcgRecord
from ecg_xml_fixtures import (
    CANARY,
    STORED,
    TWELVE,
    aecg_annotations,
    aecg_derivation,
    aecg_series,
    aecg_set,
    exercise_xml,
    hl7_aecg,
    muse_waveform,
    muse_xml,
    residual_channels,
    sierra_plain,
    sierra_xli,
    sierra_xml,
    stored_counts,
    twelve_counts,
)  # fmt: skip
from ingest_fixtures import cardiosoft_xml, random_counts, write_zip

NAME = "9000001.xml"
EIGHT = stored_counts()
FULL = twelve_counts()


def muse(**options: object) -> bytes:
    return muse_xml(muse_waveform(EIGHT, **options))  # type: ignore[arg-type]


def aecg(**options: str) -> bytes:
    return hl7_aecg(aecg_series(aecg_set(EIGHT, **options)))


def philips(**options: object) -> bytes:
    return sierra_xml(sierra_xli(residual_channels(FULL)), TWELVE, 50, compression="XLI", **options)  # type: ignore[arg-type]


WRITERS: dict[str, Callable[[], bytes]] = {
    "muse_xml": muse,
    "hl7_aecg": lambda: hl7_aecg(aecg_series(aecg_set(EIGHT), extra=aecg_annotations() + aecg_derivation(FULL))),
    "philips_sierra_xml": philips,
    "cardiosoft_xml": lambda: cardiosoft_xml(random_counts(50)),
}


def read(tmp_path: Path, data: bytes) -> EcgRecord:
    (tmp_path / NAME).write_bytes(data)
    return read_ecg(tmp_path / NAME)


def refusal(tmp_path: Path, data: bytes) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read(tmp_path, data)
    assert CANARY not in str(caught.value)
    assert "9000001" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason  # noqa: S301
    return caught.value


def assert_leads(record: EcgRecord, counts: dict[str, np.ndarray], mv_per_count: float) -> None:
    for lead, values in counts.items():
        expected = (values * mv_per_count).astype(np.float32)
        np.testing.assert_allclose(record.amplitude_mv[LEADS.index(lead)], expected, rtol=1e-6, atol=1e-9)


def assert_einthoven(record: EcgRecord, atol: float) -> None:
    one, two, three, avr, avl, avf = record.amplitude_mv[:6].astype(np.float64)
    for left, right in ((three, two - one), (avr, -(one + two) / 2), (avl, one - two / 2), (avf, two - one / 2)):
        np.testing.assert_allclose(left, right, atol=atol)


@pytest.mark.parametrize("kind", WRITERS)
def test_each_format_recognises_its_own_files_and_no_others(kind: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(WRITERS[kind]())
    assert [name for name in ECG_FORMATS if ECG_FORMATS.get(name).recognises(str(tmp_path / NAME))] == [kind]


@pytest.mark.parametrize("kind", WRITERS)
def test_no_name_leaves_the_reader(kind: str, tmp_path: Path) -> None:
    data = WRITERS[kind]()
    assert CANARY in data.decode("utf-16" if kind.startswith("philips") else "latin-1")
    record = read(tmp_path, data)
    assert CANARY not in repr(record)
    assert CANARY.encode() not in pickle.dumps(record)
    assert "7654321" not in repr(record.header)


def test_an_unknown_xml_is_refused_with_the_list_of_known_ones(tmp_path: Path) -> None:
    error = refusal(tmp_path, f"<?xml version='1.0'?><Report><Name>{CANARY}</Name></Report>".encode())
    assert error.reason == reasons.NOT_RECOGNISED
    assert "no ECG format recognises the file" in str(error)
    assert all(kind in str(error) for kind in WRITERS)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_member_of_an_archive_is_read_as_the_file(kind: str, tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"x/{NAME}": WRITERS[kind]()})
    record = read_ecg(f"{archive}::x/{NAME}")
    np.testing.assert_array_equal(record.amplitude_mv, read(tmp_path, WRITERS[kind]()).amplitude_mv)


# GE Muse


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8", "UTF-16"])
def test_muse_counts_come_back_and_limb_leads_are_derived(encoding: str, tmp_path: Path) -> None:
    record = read(tmp_path, muse_xml(muse_waveform(EIGHT), encoding=encoding))
    assert (record.rate_hz, record.amplitude_mv.shape) == (500.0, (12, 50))
    assert_leads(record, FULL, 4.88e-3)
    assert record.header.derived_leads == ("III", "aVR", "aVL", "aVF")
    assert_einthoven(record, 1e-6)


@pytest.mark.parametrize(
    ("base", "exponent", "rate_hz"),
    [("500", "0", 500.0), ("250", "0", 250.0), ("25", "1", 250.0), ("2", "3", 2000.0), ("5000", "-1", 500.0)],
)
def test_muse_rate_is_base_times_ten_to_the_exponent(base: str, exponent: str, rate_hz: float, tmp_path: Path) -> None:
    assert read(tmp_path, muse(base=base, exponent=exponent)).rate_hz == rate_hz


def test_muse_millivolts_and_files_without_checksum(tmp_path: Path) -> None:
    assert_leads(read(tmp_path, muse(unit="MILLIVOLTS", per_bit="0.005", checksum=False)), FULL, 5e-3)


def test_muse_header(tmp_path: Path) -> None:
    header = read(tmp_path, muse()).header
    assert header.acquired_at == "2016-03-27T14:05:09"
    assert header.device == "GE MAC55"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.16, 150.0, 60.0)
    assert header.measurements == {
        "VentricularRate_BPM": 57.0, "QRSDuration_ms": 96.0, "PAxis_deg": -12.0, "QOnset_samples": 216.0,
    }  # fmt: skip
    assert header.statements == (
        "Sinus rhythm", "When compared with ECG of *,", "Atrial premature complexes now present", "Discussed with * *",
    )  # fmt: skip


def test_muse_original_statements_stand_in_for_a_missing_diagnosis(tmp_path: Path) -> None:
    data = muse().replace(b"<Diagnosis>", b"<Other>").replace(b"</Diagnosis>", b"</Other>")
    assert read(tmp_path, data).header.statements == ("Original only",)


def test_muse_a_date_of_another_order_is_unknown_rather_than_wrong(tmp_path: Path) -> None:
    assert read(tmp_path, muse_xml(muse_waveform(EIGHT), date="27-03-2016")).header.acquired_at is None


def test_muse_the_rhythm_with_most_leads_is_read_never_the_median(tmp_path: Path) -> None:
    median = muse_waveform(stored_counts(30, seed=1), kind="Median")
    extra = muse_waveform({"V3R": EIGHT["I"], "V7": EIGHT["I"], "I": EIGHT["V1"]})
    other = muse_waveform({**EIGHT, "V4R": EIGHT["V1"]})
    assert_leads(read(tmp_path, muse_xml(median, extra, other)), FULL, 4.88e-3)


def test_muse_a_lead_that_was_off_is_absent_and_what_follows_from_others_is_derived(tmp_path: Path) -> None:
    record = read(tmp_path, muse_xml(muse_waveform({**EIGHT, "III": FULL["III"]}, off=("II", "V2"))))
    assert record.present.tolist() == [lead != "V2" for lead in LEADS]
    assert record.header.derived_leads == ("II", "aVR", "aVL", "aVF")
    assert_leads(record, {lead: FULL[lead] for lead in TWELVE if lead != "V2"}, 4.88e-3)


MUSE_WRONG = {
    "no rhythm": (lambda: muse(kind="Median"), reasons.NO_WAVEFORM),
    "all leads off": (lambda: muse(off=STORED), reasons.NO_WAVEFORM),
    "unit": (lambda: muse(unit="PARSECS"), reasons.WRONG_UNIT),
    "rate": (lambda: muse(base="0"), reasons.BAD_HEADER),
    "exponent": (lambda: muse(exponent="400"), reasons.BAD_HEADER),
    "units per bit": (lambda: muse(per_bit="-4.88"), reasons.BAD_HEADER),
    "huge units per bit": (lambda: muse(per_bit="1e300"), reasons.BAD_HEADER),
    "too few samples": (lambda: muse(total=51), reasons.TRUNCATED),
    "too many samples": (lambda: muse(total=49), reasons.WRONG_LENGTH),
    "checksum": (lambda: muse().replace(b"<LeadDataCRC32>", b"<LeadDataCRC32>1", 1), reasons.CHECKSUM),
    "not base64": (lambda: muse().replace(b"<WaveFormData>\n", b"<WaveFormData>?", 1), reasons.BAD_NUMBER),
    "twice": (lambda: muse().replace(b">V1<", b">V2<"), reasons.BAD_HEADER),
    "sample size": (lambda: muse().replace(b"Size>2<", b"Size>4<"), reasons.UNSUPPORTED),
    "offset": (lambda: muse().replace(b"TimeOffset>0<", b"TimeOffset>7<", 1), reasons.UNSUPPORTED),
    "half a file": (lambda: muse()[: len(muse()) // 2], reasons.TRUNCATED),
    "entity": (lambda: muse().replace(b'"restecg.dtd"', b'"a" [<!ENTITY b "c">]'), reasons.BAD_XML),
}


@pytest.mark.parametrize("kind", MUSE_WRONG)
def test_muse_each_defect_has_its_reason(kind: str, tmp_path: Path) -> None:
    write, reason = MUSE_WRONG[kind]
    assert refusal(tmp_path, write()).reason == reason


@pytest.mark.parametrize(("name", "rate_bpm"), [("braveheart_example1", 48.0), ("braveheart_example2", 65.0)])
def test_muse_real_files(name: str, rate_bpm: float, shared_data: Path) -> None:
    record = read_ecg(shared_data / "vendor_ecg" / "ge_muse_xml" / f"{name}.xml")
    assert (record.rate_hz, record.amplitude_mv.shape) == (500.0, (12, 5000))
    assert record.present.all()
    assert record.header.derived_leads == ("III", "aVR", "aVL", "aVF")
    assert record.header.measurements["VentricularRate_BPM"] == rate_bpm
    assert (record.header.highpass_hz, record.header.lowpass_hz, record.header.notch_hz) == (0.16, 150.0, 60.0)
    assert_einthoven(record, 1e-6)
    counts = record.amplitude_mv[[0, 1, *range(6, 12)]] / 4.88e-3
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-2)


# HL7 aECG


@pytest.mark.parametrize(
    ("step", "time_unit", "rate_hz"),
    [("0.002", "s", 500.0), ("2", "ms", 500.0), ("4.0", "ms", 250.0), ("1000", "us", 1000.0)],
)
def test_aecg_counts_come_back(step: str, time_unit: str, rate_hz: float, tmp_path: Path) -> None:
    record = read(tmp_path, aecg(step=step, time_unit=time_unit))
    assert record.rate_hz == rate_hz
    assert_leads(record, FULL, 2.5e-3)
    assert record.header.derived_leads == ("III", "aVR", "aVL", "aVF")


@pytest.mark.parametrize(("unit", "mv"), [("uV", 1e-3), ("mV", 1.0), ("nV", 1e-6)])
def test_aecg_origin_and_units(unit: str, mv: float, tmp_path: Path) -> None:
    record = read(tmp_path, hl7_aecg(aecg_series(aecg_set(FULL, unit=unit, origin="-7", scale="3"))))
    for lead, values in FULL.items():
        np.testing.assert_allclose(record.amplitude_mv[LEADS.index(lead)], (values * 3.0 - 7.0) * mv, rtol=1e-6)
    assert record.header.derived_leads == ()


def test_aecg_header(tmp_path: Path) -> None:
    header = read(tmp_path, WRITERS["hl7_aecg"]()).header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert header.device == "Mortara ELI250"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.05, 150.0, 50.0)
    assert header.measurements == {"QRSDuration_ms": 96.0}
    assert header.statements == ("Sinus rhythm", "Normal ECG of *")


def test_aecg_the_first_rhythm_with_most_leads_is_read_never_a_representative_beat(tmp_path: Path) -> None:
    beat = aecg_series(aecg_set(twelve_counts(40, seed=2)), kind="REPRESENTATIVE_BEAT")
    few = aecg_series(aecg_set({"II": EIGHT["V1"]}))
    rhythm = aecg_series(aecg_set(EIGHT), extra=aecg_derivation(FULL))
    later = aecg_series(aecg_set(stored_counts(50, seed=3)))
    assert_leads(read(tmp_path, hl7_aecg(beat, few, rhythm, later)), FULL, 2.5e-3)


AECG_WRONG = {
    "no rhythm": (lambda: hl7_aecg(aecg_series(aecg_set(EIGHT), kind="REPRESENTATIVE_BEAT")), reasons.NO_WAVEFORM),
    "no series": (lambda: hl7_aecg(), reasons.NO_WAVEFORM),
    "no lead": (lambda: hl7_aecg(aecg_series(aecg_set({"V7": EIGHT["I"]}))), reasons.NO_WAVEFORM),
    "one after another": (
        lambda: hl7_aecg(aecg_series(aecg_set({"I": EIGHT["I"]}), aecg_set({"II": EIGHT["II"]}))),
        reasons.UNSUPPORTED,
    ),
    "unit": (lambda: aecg(unit="furlong"), reasons.WRONG_UNIT),
    "time unit": (lambda: aecg(time_unit="h"), reasons.WRONG_UNIT),
    "time step": (lambda: aecg(step="0"), reasons.BAD_HEADER),
    "tiny time step": (lambda: aecg(step="1e-300"), reasons.BAD_HEADER),
    "no time": (lambda: aecg().replace(b"TIME_RELATIVE", b"OTHER"), reasons.BAD_HEADER),
    "no scale": (lambda: aecg().replace(b"<scale", b"<scaled"), reasons.BAD_HEADER),
    "scale": (lambda: aecg(scale="x"), reasons.BAD_HEADER),
    "origin": (lambda: aecg(origin="x"), reasons.BAD_HEADER),
    "a word": (lambda: aecg().replace(b"<digits> ", b"<digits> SECRETNAME "), reasons.BAD_NUMBER),
    "not finite": (lambda: aecg().replace(b"<digits> ", b"<digits> nan "), reasons.BAD_NUMBER),
    "shorter lead": (
        lambda: hl7_aecg(aecg_series(aecg_set({**EIGHT, "V6": EIGHT["V6"][:40]}))),
        reasons.WRONG_LENGTH,
    ),
    "twice": (lambda: aecg().replace(b"LEAD_V1", b"LEAD_V2"), reasons.BAD_HEADER),
    "half a file": (lambda: aecg()[: len(aecg()) // 2], reasons.TRUNCATED),
    "DTD": (lambda: aecg().replace(b"<!-- a", b'<!DOCTYPE AnnotatedECG SYSTEM "x"><!-- a'), reasons.BAD_XML),
}


@pytest.mark.parametrize("kind", AECG_WRONG)
def test_aecg_each_defect_has_its_reason(kind: str, tmp_path: Path) -> None:
    write, reason = AECG_WRONG[kind]
    assert refusal(tmp_path, write()).reason == reason


def test_aecg_real_file_equals_the_dicom_of_the_same_recording(shared_data: Path) -> None:
    import pydicom

    record = read_ecg(shared_data / "vendor_ecg" / "hl7_aecg" / "Example.xml")
    assert (record.rate_hz, record.amplitude_mv.shape) == (500.0, (12, 5000))
    assert record.header.acquired_at == "2002-11-22T09:10:00"
    assert record.header.device == "Mortara Instrument, Inc. ELI250"
    assert (record.header.lowpass_hz, record.header.notch_hz) == (150.0, 60.0)
    assert record.header.measurements["QRSDuration_ms"] == 120.0
    assert "Clark" not in repr(record)
    dicom = pydicom.dcmread(shared_data / "vendor_ecg" / "dicom_ecg" / "Example.dcm")
    group = dicom.WaveformSequence[0]
    samples = np.frombuffer(group.WaveformData, "<i2").reshape(group.NumberOfWaveformSamples, -1)
    seen = set()
    for k, channel in enumerate(group.ChannelDefinitionSequence):
        lead = channel.ChannelSourceSequence[0].CodeMeaning.removeprefix("Lead ").split(" (")[0]
        microvolts = samples[:, k] * float(channel.ChannelSensitivity)
        if channel.ChannelSensitivityUnitsSequence[0].CodeValue == "mV":
            microvolts = microvolts * 1000
        np.testing.assert_allclose(record.amplitude_mv[LEADS.index(lead)] * 1000, microvolts, atol=1e-3)
        seen.add(lead)
    assert seen == set(LEADS)


def test_aecg_real_file_states_the_measurements_of_its_dicom(shared_data: Path) -> None:
    folder = shared_data / "vendor_ecg"
    one = read_ecg(folder / "hl7_aecg" / "Example.xml").header.measurements
    other = read_ecg(folder / "dicom_ecg" / "Example.dcm").header.measurements
    assert len(other) >= 7
    assert {name: one[name] for name in other} == other


# Philips


def test_philips_xli_counts_come_back(tmp_path: Path) -> None:
    record = read(tmp_path, philips())
    assert (record.rate_hz, record.amplitude_mv.shape) == (500.0, (12, 50))
    assert_leads(record, FULL, 5e-3)
    assert record.header.derived_leads == ()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_philips_any_counts_come_back_from_xli(data: st.DataObject) -> None:
    import base64

    samples = data.draw(st.integers(2, 60))
    amplitude = data.draw(st.sampled_from([1, 30, 400]))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    counts = {lead: generator.integers(-amplitude, amplitude + 1, samples) for lead in TWELVE}
    payload = base64.b64decode(sierra_xli([*residual_channels(counts), np.zeros(samples, int)]))
    decoded = rebuild_limb_leads(decode_xli(payload, leads=12, samples=samples))
    for lead, values in zip(TWELVE, decoded, strict=True):
        np.testing.assert_array_equal(values, counts[lead])


@pytest.mark.parametrize("charset", ["utf-16", "utf-8"])
@pytest.mark.parametrize("encoding", ["Base64", "Plain"])
def test_philips_plain_counts_come_back(encoding: str, charset: str, tmp_path: Path) -> None:
    plain = " ".join(str(x) for values in FULL.values() for x in values)
    payload = sierra_plain(FULL) if encoding == "Base64" else plain
    data = sierra_xml(payload, TWELVE, 50, encoding=encoding, charset=charset, resolution="2.5")
    assert_leads(read(tmp_path, data), FULL, 2.5e-3)


def test_philips_version_1_03_names_no_leads(tmp_path: Path) -> None:
    record = read(tmp_path, sierra_xml(sierra_plain(FULL), (), 50, version="1.03", charset="utf-8"))
    assert_leads(record, FULL, 5e-3)
    assert (record.header.highpass_hz, record.header.lowpass_hz) == (0.05, 150.0)


def test_philips_other_leads_are_left_out(tmp_path: Path) -> None:
    more = {**FULL, "V7": EIGHT["V1"], "PACE": EIGHT["V1"]}
    record = read(tmp_path, sierra_xml(sierra_plain(more), tuple(more), 50))
    assert_leads(record, FULL, 5e-3)
    channels = [*residual_channels(FULL), EIGHT["V1"], EIGHT["V2"]]
    named = (*(lead.upper() for lead in TWELVE), "V7", "PACE")
    assert_leads(read(tmp_path, sierra_xml(sierra_xli(channels), named, 50, compression="XLI")), FULL, 5e-3)


def test_philips_zero_is_where_the_offset_says(tmp_path: Path) -> None:
    shifted = {lead: values + 1000 for lead, values in FULL.items()}
    record = read(tmp_path, sierra_xml(sierra_plain(shifted), TWELVE, 50, extra='signaloffset="1000"'))
    assert_leads(record, FULL, 5e-3)


def test_philips_calibration_pulse_at_the_end_is_cut_and_padding_is_not(tmp_path: Path) -> None:
    for end, kept in (([0, 0, 200, 200, 0], 50), ([0, 0, 0], 53)):
        longer = {lead: np.concatenate([values, end]) for lead, values in FULL.items()}
        longer["V6"][49] = longer["V5"][49] + 2
        record = read(tmp_path, sierra_xml(sierra_plain(longer), TWELVE, 50 + len(end)))
        assert record.amplitude_mv.shape == (12, kept)


def test_philips_header(tmp_path: Path) -> None:
    header = read(tmp_path, philips()).header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert header.device == "Philips PageWriter TC"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.05, 150.0, 60.0)
    assert header.measurements == {"VentricularRate_BPM": 64.0, "QRSDuration_ms": 102.0, "RAxis_deg": 22.0}
    assert header.statements == ("Sinus rhythm normal P axis", "Early transition *", "NORMAL ECG")


def xli(channels: list[np.ndarray], samples: int = 50) -> bytes:
    return sierra_xml(sierra_xli(channels), TWELVE, samples, compression="XLI")


PHILIPS_WRONG = {
    "version": (lambda: philips(version="1.02"), reasons.UNSUPPORTED),
    "compression": (lambda: sierra_xml("AAAA", TWELVE, 50, compression="ZIP"), reasons.UNSUPPORTED),
    "order": (
        lambda: sierra_xml(sierra_xli(residual_channels(FULL)), TWELVE[::-1], 50, compression="XLI"),
        reasons.UNSUPPORTED,
    ),
    "encoding": (lambda: sierra_xml("AAAA", TWELVE, 50, encoding="hex"), reasons.UNSUPPORTED),
    "not base64": (lambda: sierra_xml("SECRETNAME!", TWELVE, 50), reasons.BAD_NUMBER),
    "too few samples": (lambda: sierra_xml(sierra_plain(FULL), TWELVE, 51), reasons.TRUNCATED),
    "too few compressed": (lambda: xli(residual_channels(FULL), 51), reasons.TRUNCATED),
    "too few channels": (lambda: xli(residual_channels(FULL)[:11]), reasons.TRUNCATED),
    "no XLI": (lambda: sierra_xml("AAAA" * 99, TWELVE, 50, compression="XLI"), reasons.TRUNCATED),
    "rate": (lambda: philips(rate_hz=500).replace(b"5\0" + b"0\0" * 2, b"0\0" * 3), reasons.BAD_HEADER),
    "resolution": (lambda: philips(resolution="0"), reasons.BAD_HEADER),
    "billions of samples": (lambda: sierra_xml("AAAA", TWELVE, 10**9), reasons.BAD_HEADER),
    "twice": (lambda: sierra_xml(sierra_plain(FULL), ("V1",) * 12, 50), reasons.BAD_HEADER),
    "no lead": (lambda: sierra_xml(sierra_plain(FULL), ("V8",) * 12, 50), reasons.BAD_HEADER),
    "no waveform": (
        lambda: philips(charset="utf-8").replace(b"parsedwaveforms", b"otherwaveforms"),
        reasons.NO_WAVEFORM,
    ),
    "half a file": (lambda: philips()[: len(philips()) // 4 * 2], reasons.TRUNCATED),
}


@pytest.mark.parametrize("kind", PHILIPS_WRONG)
def test_philips_each_defect_has_its_reason(kind: str, tmp_path: Path) -> None:
    write, reason = PHILIPS_WRONG[kind]
    assert refusal(tmp_path, write()).reason == reason


def test_philips_real_file(shared_data: Path) -> None:
    record = read_ecg(next((shared_data / "vendor_ecg" / "philips_sierra_xml").glob("*.xml")))
    assert (record.rate_hz, record.amplitude_mv.shape) == (500.0, (12, 5300))  # 11 s, less zeros and calibration pulse
    assert record.present.all()
    assert record.header.acquired_at == "2020-05-18T15:48:11"
    assert record.header.device == "Philips PageWriter TC"
    assert (record.header.highpass_hz, record.header.lowpass_hz, record.header.notch_hz) == (0.05, 150.0, None)
    assert record.header.measurements["QRSDuration_ms"] == 102.0
    assert record.header.statements[0] == "Sinus rhythm normal P axis, V-rate 50-99"
    counts = np.rint(record.amplitude_mv.astype(np.float64) / 5e-3).astype(int)
    np.testing.assert_allclose(record.amplitude_mv, counts * 5e-3, atol=1e-6)
    one, two, three, avr, avl, avf = counts[:6]
    np.testing.assert_array_equal(three, two - one)
    np.testing.assert_array_equal(avr, -np.fix((one + two) / 2))
    np.testing.assert_array_equal(avl, one - np.fix(two / 2))
    np.testing.assert_array_equal(avf, two - np.fix(one / 2))


def test_philips_real_file_decodes_as_by_ecgdatakit(shared_data: Path) -> None:
    import base64

    from defusedxml import ElementTree
    from ecgdatakit.parsing.codecs import xli_decode

    path = next((shared_data / "vendor_ecg" / "philips_sierra_xml").glob("*.xml"))
    text = next(e.text for e in ElementTree.parse(path).iter() if e.tag.endswith("parsedwaveforms"))
    data = base64.b64decode(text)
    for own, other in zip(decode_xli(data, leads=16, samples=5500), xli_decode(data), strict=True):
        np.testing.assert_array_equal(own, other)


# CardioSoft exercise test


def test_an_exercise_test_is_refused_with_the_field_to_use(tmp_path: Path) -> None:
    error = refusal(tmp_path, exercise_xml())
    assert error.reason == reasons.EXERCISE_ECG
    assert "20205" in str(error.hint)


@pytest.mark.parametrize("part", [b"FullDisclosure", b"TrendData", b"Protocol"])
def test_any_one_part_of_an_exercise_test_tells_it(part: bytes, tmp_path: Path) -> None:
    data = exercise_xml()
    for other in (b"FullDisclosure>", b"TrendData>", b"Protocol>"):
        if not other.startswith(part):
            data = data.replace(b"<" + other, b"<X" + other).replace(b"</" + other, b"</X" + other)
    assert refusal(tmp_path, data).reason == reasons.EXERCISE_ECG


def test_a_resting_ecg_with_eight_leads_gets_the_others_derived(tmp_path: Path) -> None:
    record = read(tmp_path, cardiosoft_xml(EIGHT, leads=8))
    assert record.header.derived_leads == ("III", "aVR", "aVL", "aVF")
    assert_leads(record, FULL, 5e-3)


# What is kept of an interpretation


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Sinus rhythm", "Sinus rhythm"),
        ("  ST elevation\n caused by  injury ", "ST elevation caused by injury"),
        ("2 beats 50 ms, V-rate 50-99", "2 beats 50 ms, V-rate 50-99"),
        ("cited on or before 14-FEB-2011", "cited on or before *"),
        ("compared with 3 March 2016 09:15", "compared with *"),
        ("Confirmed by Vlay, Stephen (1008)", None),
        ("Referred By: PREOP", None),
        ("Dr. Smith was told", None),
        ("Patient name: Smith", None),
        ("Abnormal ECG of Jane", "Abnormal ECG of *"),
        ("", None),
    ],
)
def test_a_sentence_is_kept_without_person_or_date(line: str, kept: str | None) -> None:
    root = Element("File")
    SubElement(root, "PatientFirstName").text = "Jane"
    assert statements([line, None], root) == (() if kept is None else (kept,))
