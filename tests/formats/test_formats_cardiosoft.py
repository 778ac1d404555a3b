"""CardioSoft XML: leads by name, counts to mV, and a reason for whatever is wrong."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.modalities.records import LEADS
from ingest_fixtures import cardiosoft_xml, random_counts

EID_NAME = "9000001_20205_2_0.xml"


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / EID_NAME
    path.write_bytes(data)
    return path


def reason_of(path: Path) -> str:
    with pytest.raises(RecordError) as caught:
        read_ecg(path)
    assert "9000001" not in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason  # noqa: S301
    return caught.value.reason


def test_leads_are_mapped_by_name_and_scaled_to_millivolts(tmp_path: Path) -> None:
    counts = random_counts()
    record = read_ecg(write(tmp_path, cardiosoft_xml(counts, resolution="4.88")))
    assert record.rate_hz == 500.0
    assert record.amplitude_mv.shape == (12, 5000)
    assert record.amplitude_mv.dtype == np.float32
    for row, lead in enumerate(LEADS):
        np.testing.assert_array_equal(record.amplitude_mv[row], (counts[lead] * (4.88 / 1000)).astype(np.float32))


def test_lead_case_and_a_nested_strip_do_not_matter(tmp_path: Path) -> None:
    counts = {lead.upper(): values for lead, values in random_counts(100).items()}
    data = cardiosoft_xml(counts).replace(b"<StripData>", b"<Strip><StripData>")
    data = data.replace(b"</StripData>", b"</StripData></Strip>")
    record = read_ecg(write(tmp_path, data))
    np.testing.assert_allclose(record.amplitude_mv[LEADS.index("aVR")], counts["AVR"] * 0.005, rtol=1e-6)


def test_the_header_holds_what_the_file_says_and_no_identifier(tmp_path: Path) -> None:
    record = read_ecg(write(tmp_path, cardiosoft_xml(random_counts(100))))
    header = record.header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert (header.notch_hz, header.lowpass_hz, header.highpass_hz) == (50.0, 100.0, None)
    assert header.statements == ("Sinus bradycardia", "---")
    assert header.measurements == {"VentricularRate_BPM": 57.0}
    assert record.present.all()
    assert "SECRETNAME" not in repr(header)


def test_an_absent_lead_is_nan(tmp_path: Path) -> None:
    counts = random_counts(100)
    del counts["V3"]
    record = read_ecg(write(tmp_path, cardiosoft_xml(counts)))
    assert np.isnan(record.amplitude_mv[LEADS.index("V3")]).all()
    assert np.isfinite(np.delete(record.amplitude_mv, LEADS.index("V3"), axis=0)).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.replace(b"RestECG<", b"ExerciseECG<"), reasons.EXERCISE_ECG),
        (lambda d: d[: len(d) // 2], reasons.TRUNCATED),
        (lambda d: b"", reasons.NOT_RECOGNISED),
        (lambda d: d.replace(b"uVperLsb", b"nVperLsb"), reasons.WRONG_UNIT),
        (lambda d: d.replace(b'Hz">500</SampleRate><Ch', b'Hz">-1</SampleRate><Ch'), reasons.BAD_HEADER),
        (lambda d: d.replace(b"<Resolution units", b"<Re units").replace(b"</Resolution", b"</Re"), reasons.BAD_HEADER),
        (lambda d: d.replace(b">100</Channel", b">101</Channel"), reasons.TRUNCATED),
        (lambda d: d.replace(b">100</Channel", b">99</Channel"), reasons.WRONG_LENGTH),
        (lambda d: d.replace(b'lead="V1"', b'lead="V2"'), reasons.BAD_HEADER),
        (lambda d: d.replace(b'lead="V1">\n\t\t', b'lead="V1">x'), reasons.BAD_NUMBER),
        (lambda d: d.replace(b"NumberOfLeads>12<", b"NumberOfLeads>13<"), reasons.TRUNCATED),
        (lambda d: d.replace(b"StripData", b"StripDate"), reasons.NO_WAVEFORM),
        (lambda d: d.replace(b' ?>\n', b' ?>\n<!DOCTYPE a [<!ENTITY b "c">]>\n', 1), reasons.BAD_XML),
    ],
)  # fmt: skip
def test_each_defect_has_its_reason(tmp_path: Path, change, reason: str) -> None:
    assert reason_of(write(tmp_path, change(cardiosoft_xml(random_counts(100))))) == reason


def test_leads_of_different_lengths_are_refused_without_a_count(tmp_path: Path) -> None:
    counts = random_counts(100)
    counts["V6"] = counts["V6"][:50]
    data = cardiosoft_xml(counts).replace(b"ChannelSampleCountTotal", b"Other")
    assert reason_of(write(tmp_path, data)) == reasons.WRONG_LENGTH


def test_amplitudes_beyond_float32_are_refused(tmp_path: Path) -> None:
    assert reason_of(write(tmp_path, cardiosoft_xml(random_counts(9), resolution="1e300"))) == reasons.BAD_HEADER


def test_a_real_exercise_layout_without_observation_type_is_refused(tmp_path: Path) -> None:
    data = (
        b"<CardiologyXML><Protocol><Phase/></Protocol><FullDisclosure><LeadOrder>I,2,3</LeadOrder>"
        b"<FullDisclosureData>1,2</FullDisclosureData></FullDisclosure></CardiologyXML>"
    )
    assert reason_of(write(tmp_path, data)) == reasons.EXERCISE_ECG


def test_a_missing_file_is_named_without_its_identifier(tmp_path: Path) -> None:
    from cardiobind.formats.ecg.cardiosoft_xml import read_cardiosoft_xml

    with pytest.raises(RecordError) as caught:
        read_cardiosoft_xml(str(tmp_path / EID_NAME))
    assert caught.value.reason == reasons.MISSING_FILE
    assert "*_20205_2_0.xml" in str(caught.value)
    assert "9000001" not in str(caught.value)


def test_twelve_leads_of_ten_seconds_are_read_fast(tmp_path: Path) -> None:
    path = write(tmp_path, cardiosoft_xml(random_counts()))
    read_ecg(path)
    start = time.process_time()
    for _ in range(10):
        read_ecg(path)
    assert (time.process_time() - start) / 10 < 0.04  # 8 ms on a free core
