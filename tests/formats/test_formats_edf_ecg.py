"""EDF: to the count, labels of many spellings, equal to pyEDFlib as writer and as reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyedflib
import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.formats.ecg.edf_ecg import edf_lead
from cardiobind.modalities.records import LEADS, EcgRecord
from ecg_binary_fixtures import CANARY, edf_bytes, lead_counts
from ingest_fixtures import write_zip


def labelled(samples: int = 200, leads: tuple[str, ...] = LEADS) -> dict[str, np.ndarray]:
    return {f"ECG {lead}": values for lead, values in lead_counts(samples, leads=leads).items()}


def read(data: bytes, folder: Path) -> EcgRecord:
    path = folder / "9000001.edf"
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


@pytest.mark.parametrize(
    ("label", "lead"),
    [
        ("ECG I", "I"), ("EKG V1", "V1"), ("Lead II", "II"), ("ECG LEAD aVR", "aVR"), ("avf", "aVF"), ("ECG-V6", "V6"),
        ("ECG_III", "III"), ("ECGV2", "V2"), ("ECG: aVL", "aVL"), (" V3 ", "V3"),
        ("-aVR", None), ("ECG -aVR", None), ("I-II", None), ("V1-V2", None), ("EEG I", None), ("ECG", None),
        ("Resp", None), ("V7", None), ("EDF Annotations", None), ("", None),
    ],
)  # fmt: skip
def test_labels(label: str, lead: str | None) -> None:
    assert edf_lead(label) == lead


@pytest.mark.parametrize(("unit", "scale"), [("uV", 1e-4), ("mV", 0.1), ("nV", 1e-7), ("V", 100.0)])
def test_counts_come_back(tmp_path: Path, unit: str, scale: float) -> None:
    counts = labelled()
    turned = dict(reversed(counts.items()))
    record = read(edf_bytes(turned, unit=unit), tmp_path)
    expected = np.stack([counts[f"ECG {lead}"] for lead in LEADS]) * scale
    np.testing.assert_allclose(record.amplitude_mv, expected, rtol=1e-5, atol=scale * 1e-3)
    assert record.rate_hz == 500


def test_physical_and_digital_extremes_scale(tmp_path: Path) -> None:
    counts = labelled()
    record = read(edf_bytes(counts, physical=(10, -10), digital=(-1000, 1000), unit="mV"), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv[0], -counts["ECG I"] / 100, rtol=1e-5, atol=1e-7)


def test_the_header_is_kept_and_nobody_is_named(tmp_path: Path) -> None:
    header = read(edf_bytes(labelled()), tmp_path).header
    assert header.acquired_at == "2016-03-07T09:05:30"
    assert (header.highpass_hz, header.lowpass_hz, header.notch_hz) == (0.05, 150.0, 50.0)
    assert read(edf_bytes(labelled(), recording="Startdate X X X X"), tmp_path).header.acquired_at is None
    plain = read(edf_bytes(labelled(), recording=""), tmp_path)
    assert plain.header.acquired_at == "2016-03-07T09:05:30"


def test_other_channels_of_other_rates_and_annotations_are_left(tmp_path: Path) -> None:
    counts = {**labelled(), "Resp": np.arange(40), "EDF Annotations": np.zeros(60, int)}
    sizes = {label: 50 for label in counts} | {"Resp": 10, "EDF Annotations": 15}
    record = read(edf_bytes(counts, per_record=sizes, reserved="EDF+C"), tmp_path)
    np.testing.assert_allclose(record.amplitude_mv[11], counts["ECG V6"] * 1e-4, rtol=1e-5, atol=1e-7)


def test_leads_of_different_rates_are_refused_by_name(tmp_path: Path) -> None:
    counts = {"ECG I": np.zeros(200, int), "ECG II": np.zeros(100, int)}
    (tmp_path / "a.edf").write_bytes(edf_bytes(counts, per_record={"ECG I": 50, "ECG II": 25}))
    with pytest.raises(RecordError, match="I 500 Hz, II 250 Hz") as caught:
        read_ecg(tmp_path / "a.edf")
    assert caught.value.reason == reasons.UNSUPPORTED


def test_three_leads_give_six(tmp_path: Path) -> None:
    counts = labelled(leads=("I", "II", "V1"))
    record = read(edf_bytes(counts), tmp_path)
    assert record.present.tolist() == [True] * 7 + [False] * 5
    assert set(record.header.derived_leads) == {"III", "aVR", "aVL", "aVF"}


@pytest.mark.parametrize("plus", [False, True])
def test_files_written_and_read_by_pyedflib(tmp_path: Path, plus: bool) -> None:
    path = tmp_path / "theirs.edf"
    kind = pyedflib.FILETYPE_EDFPLUS if plus else pyedflib.FILETYPE_EDF
    with pyedflib.EdfWriter(str(path), 12, file_type=kind) as writer:
        writer.setPatientName(CANARY)
        for k, lead in enumerate(LEADS):
            writer.setSignalHeader(k, {
                "label": f"ECG {lead}", "dimension": "uV", "sample_frequency": 500, "physical_min": -5000,
                "physical_max": 5000, "digital_min": -32768, "digital_max": 32767, "transducer": "", "prefilter": "",
            })  # fmt: skip
        signals = np.random.default_rng(0).normal(0, 500, (12, 2000))
        writer.writeSamples(list(signals))
        if plus:
            writer.writeAnnotation(1.0, -1, CANARY)
    record = read_ecg(path)
    with pyedflib.EdfReader(str(path)) as reader:
        theirs = np.stack([reader.readSignal(k) for k in range(12)])
    np.testing.assert_allclose(record.amplitude_mv, theirs / 1000, rtol=1e-5, atol=1e-6)
    assert record.rate_hz == 500
    assert CANARY not in repr(record)


def test_a_file_of_ours_is_read_alike_by_pyedflib(tmp_path: Path) -> None:
    data = edf_bytes(labelled(), recording="Startdate 07-MAR-2016 X X X").replace(CANARY.encode(), b"X" * len(CANARY))
    record = read(data, tmp_path)
    with pyedflib.EdfReader(str(tmp_path / "9000001.edf")) as reader:
        np.testing.assert_allclose(record.amplitude_mv[4], reader.readSignal(4) / 1000, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: edf_bytes(labelled())[:-2], reasons.TRUNCATED),
        (lambda: edf_bytes(labelled()) + b"\0" * 40, reasons.WRONG_LENGTH),
        (lambda: edf_bytes(labelled())[:3000], reasons.TRUNCATED),
        (lambda: edf_bytes(labelled(), reserved="EDF+D"), reasons.UNSUPPORTED),
        (lambda: edf_bytes(labelled(), records=99999999), reasons.TRUNCATED),
        (lambda: edf_bytes(labelled(), seconds=0), reasons.BAD_HEADER),
        (lambda: edf_bytes(labelled(), unit="degC"), reasons.WRONG_UNIT),
        (lambda: edf_bytes(labelled(), physical=(1, 1)), reasons.BAD_HEADER),
        (lambda: edf_bytes(labelled(), digital=(5, 5)), reasons.BAD_HEADER),
        (lambda: edf_bytes({"Resp": np.arange(200)}), reasons.NO_WAVEFORM),
        (lambda: edf_bytes({"ECG I": np.arange(200), "EKG I": np.arange(200)}), reasons.BAD_HEADER),
        (lambda: edf_bytes(labelled()).replace(b"3328    ", b"x328    ", 1), reasons.BAD_HEADER),
        (lambda: edf_bytes(labelled())[:100], reasons.NOT_RECOGNISED),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, data, reason: str) -> None:
    assert reason_of(data(), tmp_path) == reason


def test_an_unknown_number_of_records_is_that_of_the_file(tmp_path: Path) -> None:
    assert read(edf_bytes(labelled(), records=-1), tmp_path).amplitude_mv.shape == (12, 200)


def test_inside_an_archive(tmp_path: Path) -> None:
    data = edf_bytes(labelled())
    archive = write_zip(tmp_path / "a.zip", {"x/1.edf": data})
    np.testing.assert_array_equal(read_ecg(f"{archive}::x/1.edf").amplitude_mv, read(data, tmp_path).amplitude_mv)
