"""WFDB: equal to the wfdb library and to the raw int16, from disk and out of an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.formats.ecg.leads import canonical_lead
from cardiobind.modalities.records import LEADS
from ingest_fixtures import write_zip

MIMIC_ORDER = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]


def write_record(folder: Path, *, fmt: str = "16", units: str = "mV", names: list[str] | None = None) -> np.ndarray:
    signal = np.random.default_rng(0).normal(0, 0.5, (500, 12))
    signal = np.round(signal * 200) / 200
    wfdb.wrsamp(
        "9000001_r", fs=500, units=[units] * 12, sig_name=names or list(LEADS), p_signal=signal, fmt=[fmt] * 12,
        adc_gain=[200.0] * 12, baseline=[3] * 12, write_dir=str(folder),
    )  # fmt: skip
    return signal


def reason_of(location: object) -> str:
    with pytest.raises(RecordError) as caught:
        read_ecg(str(location))
    assert "9000001" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("record", ["records100/00000/00001_lr", "records500/00000/00063_hr"])
def test_ptbxl_equals_wfdb_and_the_raw_integers(shared_data: Path, record: str) -> None:
    path = shared_data / "ptbxl" / "sample" / record
    ours = read_ecg(path)
    theirs = wfdb.rdrecord(str(path))
    assert ours.rate_hz == theirs.fs
    assert [canonical_lead(name) for name in theirs.sig_name] == list(LEADS)
    np.testing.assert_array_equal(ours.amplitude_mv, theirs.p_signal.T.astype(np.float32))
    raw = np.fromfile(f"{path}.dat", "<i2").reshape(-1, 12).T
    np.testing.assert_array_equal(np.round(ours.amplitude_mv * 1000).astype(int), raw)


def test_a_record_inside_a_zip_equals_the_unpacked_one(shared_data: Path) -> None:
    folder = shared_data / "ptbxl"
    inside = read_ecg(f"{folder / 'records100.zip'}::records100/00000/00008_lr")
    outside = read_ecg(folder / "sample" / "records100" / "00000" / "00008_lr.hea")
    np.testing.assert_array_equal(inside.amplitude_mv, outside.amplitude_mv)


def test_leads_in_mimic_order_are_mapped_by_name(tmp_path: Path) -> None:
    signal = write_record(tmp_path, names=MIMIC_ORDER)
    record = read_ecg(tmp_path / "9000001_r")
    np.testing.assert_allclose(record.amplitude_mv[LEADS.index("aVF")], signal[:, 4], atol=1e-6)
    np.testing.assert_allclose(record.amplitude_mv[LEADS.index("aVL")], signal[:, 5], atol=1e-6)


@pytest.mark.parametrize("fmt", ["16", "24", "212"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_storage_format_gives_the_signal(tmp_path: Path, fmt: str, zipped: bool) -> None:
    signal = write_record(tmp_path, fmt=fmt)
    location = str(tmp_path / "9000001_r")
    if zipped:
        members = {f"a/{p.name}": p.read_bytes() for p in tmp_path.iterdir()}
        location = f"{write_zip(tmp_path / 'records.zip', members)}::a/9000001_r"
    np.testing.assert_allclose(read_ecg(location).amplitude_mv, signal.T, atol=1e-6)


def test_microvolts_become_millivolts_and_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    signal = write_record(tmp_path, units="uV")
    np.testing.assert_allclose(read_ecg(tmp_path / "9000001_r").amplitude_mv, signal.T / 1000, atol=1e-8)
    write_record(tmp_path, units="mmHg")
    assert reason_of(tmp_path / "9000001_r") == reasons.WRONG_UNIT


def test_an_invalid_sample_and_an_absent_lead_are_nan(tmp_path: Path) -> None:
    signal = np.zeros((100, 2))
    signal[7, 1] = np.nan
    wfdb.wrsamp("r", fs=100, units=["mV"] * 2, sig_name=["II", "V9"], p_signal=signal[:, ::-1], fmt=["16"] * 2,
                adc_gain=[200.0] * 2, baseline=[0] * 2, write_dir=str(tmp_path))  # fmt: skip
    amplitude = read_ecg(tmp_path / "r").amplitude_mv
    assert np.isnan(amplitude[1]).nonzero()[0].tolist() == [7]
    assert np.isnan(np.delete(amplitude, 1, axis=0)).all()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda dat, hea: (dat[:-1], hea), reasons.TRUNCATED),
        (lambda dat, hea: (bytes([dat[0] ^ 1]) + dat[1:], hea), reasons.CHECKSUM),
        (lambda dat, hea: (b"", hea), reasons.EMPTY),
        (lambda dat, hea: (dat, hea.replace(b" 500 500", b" 0 500")), reasons.BAD_HEADER),
        (lambda dat, hea: (dat, hea.replace(b" 500 500", b" 500 -5")), reasons.BAD_HEADER),
        (lambda dat, hea: (dat, hea.replace(b"9000001_r 12", b"9000001_r 13")), reasons.TRUNCATED),
        (lambda dat, hea: (dat, hea.replace(b"9000001_r 12", b"9000001_r/2 12")), reasons.UNSUPPORTED),
        (lambda dat, hea: (dat, hea.replace(b"9000001_r.dat", b"../9000001_r.dat")), reasons.BAD_HEADER),
        (lambda dat, hea: (dat, hea.replace(b"9000001_r.dat", b"other.dat")), reasons.MISSING_FILE),
        (lambda dat, hea: (dat, b"\0\xff"), reasons.BAD_HEADER),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, edit, reason: str) -> None:
    write_record(tmp_path)
    dat, hea = tmp_path / "9000001_r.dat", tmp_path / "9000001_r.hea"
    for path, data in zip((dat, hea), edit(dat.read_bytes(), hea.read_bytes()), strict=True):
        path.write_bytes(data)
    assert reason_of(tmp_path / "9000001_r") == reason


def test_a_record_without_any_of_the_leads_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path, names=[f"X{k}" for k in range(12)])
    assert reason_of(tmp_path / "9000001_r") == reasons.NO_WAVEFORM


def test_what_no_reader_knows_is_said(tmp_path: Path) -> None:
    (tmp_path / "9000001.bin").write_bytes(b"hello")
    assert reason_of(tmp_path / "9000001.bin") == reasons.NOT_RECOGNISED
