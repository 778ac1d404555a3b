"""WFDB storage formats against a bitwise writer, the wfdb library and each other; headers of PhysioNet's Challenges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import RecordError
from cardiobind.formats import read_ecg, reasons
from cardiobind.formats.ecg.wfdb_signals import FORMATS, bytes_needed, decode_counts, samples_held
from cardiobind.modalities.records import LEADS, EcgRecord
from ecg_binary_fixtures import CANARY, lead_counts, wfdb_header, wfdb_signal

RANGES = {"8": 60, "80": 127, "310": 511, "311": 511, "212": 2047, "16": 32767, "61": 32767, "160": 32767,
          "24": (1 << 23) - 1, "32": (1 << 31) - 1}  # fmt: skip


def limited(form: str, samples: int = 101) -> dict[str, np.ndarray]:
    """Return counts of odd length that fit the format; those of format 8 change slowly."""
    counts = {lead: np.clip(values, -120, 120) for lead, values in lead_counts(samples).items()}
    if form != "8":
        counts = {lead: values * (RANGES[form] // 127) for lead, values in counts.items()}
    return counts


def interleaved(counts: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(counts.values()), axis=1).reshape(-1)


def write(folder: Path, form: str, counts: dict[str, np.ndarray], **header: str) -> Path:
    (folder / "9000001_r.hea").write_bytes(wfdb_header("9000001_r", counts, form, **header))
    (folder / "9000001_r.dat").write_bytes(wfdb_signal(form, interleaved(counts), len(counts)))
    return folder / "9000001_r"


def counts_of(record: EcgRecord, gain: float = 200) -> np.ndarray:
    return np.round(record.amplitude_mv.astype(np.float64) * gain)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("columns", [1, 2, 12])
def test_every_format_gives_the_counts_and_equals_wfdb(tmp_path: Path, form: str, columns: int) -> None:
    counts = dict(list(limited(form).items())[:columns])
    place = write(tmp_path, form, counts)
    record = read_ecg(place)
    theirs = wfdb.rdrecord(str(place), physical=False).d_signal.T
    expected = np.stack(list(counts.values()))
    np.testing.assert_array_equal(theirs, expected)
    np.testing.assert_allclose(record.amplitude_mv[:columns], expected / 200, rtol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from([form for form in FORMATS if form != "8"]), st.data())
def test_any_counts_in_any_format(form: str, data: st.DataObject) -> None:
    limit = RANGES[form]
    stream = data.draw(st.lists(st.integers(-limit, limit), min_size=1, max_size=9))
    packed = wfdb_signal(form, stream)
    needed = bytes_needed(form, len(stream))
    assert needed <= len(packed) < needed + 4
    assert len(stream) <= samples_held(form, needed) <= len(stream) + 1
    assert samples_held(form, needed - 1) < len(stream)
    found = decode_counts(form, packed[:needed], len(stream), 1, np.zeros(1, np.int64))
    assert found[:, 0].tolist() == stream


@pytest.mark.parametrize("form", ["16", "24", "32", "80", "212"])
def test_what_wfdb_writes(tmp_path: Path, form: str) -> None:
    counts = limited(form)
    wfdb.wrsamp("r", fs=500, units=["mV"] * 12, sig_name=list(counts), d_signal=np.stack(list(counts.values()), axis=1),
                fmt=[form] * 12, adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str(tmp_path))  # fmt: skip
    expected = np.stack([counts[lead] for lead in LEADS])
    np.testing.assert_allclose(read_ecg(tmp_path / "r").amplitude_mv, expected / 200, rtol=1e-6)


@pytest.mark.parametrize("form", ["16", "212", "310"])
def test_limb_and_chest_leads_in_two_files_of_two_formats(tmp_path: Path, form: str) -> None:
    counts = limited("310")
    limb = {lead: counts[lead] for lead in LEADS[:6]}
    chest = {lead: counts[lead] for lead in LEADS[6:]}
    first = wfdb_header("r", limb, form, file="a.dat").decode().splitlines()
    second = wfdb_header("r", chest, "311", file="b.dat").decode().splitlines()
    mixed = [line for pair in zip(first[1:], second[1:], strict=True) for line in pair]
    (tmp_path / "r.hea").write_text("\n".join([first[0].replace("r 6", "r 12"), *mixed]) + "\n")
    (tmp_path / "a.dat").write_bytes(wfdb_signal(form, interleaved(limb)))
    (tmp_path / "b.dat").write_bytes(wfdb_signal("311", interleaved(chest)))
    np.testing.assert_array_equal(counts_of(read_ecg(tmp_path / "r")), np.stack(list(counts.values())))
    (tmp_path / "b.dat").write_bytes(wfdb_signal("311", interleaved(chest))[:-8])
    with pytest.raises(RecordError) as caught:
        read_ecg(tmp_path / "r")
    assert caught.value.reason == reasons.TRUNCATED


def test_a_mat_file_of_the_challenges(tmp_path: Path) -> None:
    counts = limited("16", 100)
    comments = f"# Age: 59\n#Sex: Female\n# Dx: 164865005,426783006\n# Name: {CANARY}\n#Dx: {CANARY}\n"
    header = wfdb_header("A0001", counts, "16+24", gain="1000/mV", file="A0001.mat", comments=comments,
                         start="05-Feb-2020 11:39:16")  # fmt: skip
    matlab = np.array([30, 12, 100, 0, 4], "<u4").tobytes() + b"val\0"
    (tmp_path / "A0001.hea").write_bytes(header)
    (tmp_path / "A0001.mat").write_bytes(matlab + wfdb_signal("16", interleaved(counts)))
    record = read_ecg(tmp_path / "A0001.mat")
    np.testing.assert_array_equal(counts_of(record, 1000), np.stack([counts[lead] for lead in LEADS]))
    assert record.header.statements == ("SNOMED 164865005", "SNOMED 426783006")
    assert record.header.acquired_at == "2020-02-05T11:39:16"
    assert CANARY not in repr(record)
    assert "59" not in repr(record.header)
    np.testing.assert_array_equal(wfdb.rdrecord(str(tmp_path / "A0001"), physical=False).d_signal[:, 0], counts["I"])


def test_a_diagnosis_of_seven_digits_is_no_participant(tmp_path: Path) -> None:
    place = write(tmp_path, "16", limited("16"), comments="# Dx: " + "59" + "00001\n")
    assert read_ecg(place).header.statements == ("SNOMED 05900001",)


def test_a_partial_record_gets_the_limb_leads_that_follow(tmp_path: Path) -> None:
    counts = lead_counts(100)
    partial = {lead: counts[lead] for lead in ("II", "I", "V3")}
    record = read_ecg(write(tmp_path, "16", partial))
    assert record.present.tolist() == [True] * 6 + [False, False, True] + [False] * 3
    np.testing.assert_array_equal(counts_of(record)[:6], np.stack([counts[lead] for lead in LEADS[:6]]))
    assert record.header.derived_leads == ("III", "aVR", "aVL", "aVF")


def test_initial_values_of_format_8(tmp_path: Path) -> None:
    counts = {"I": np.array([300, 310, 290]), "II": np.array([-500, -501, -400])}
    stream = interleaved(counts)
    differences = [0, 0, *(stream[2:] - stream[:-2])]
    (tmp_path / "r.hea").write_bytes(wfdb_header("r", counts, "8"))
    (tmp_path / "r.dat").write_bytes(np.array(differences, "i1").tobytes())
    np.testing.assert_array_equal(counts_of(read_ecg(tmp_path / "r"))[:2], np.stack(list(counts.values())))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (("_r 12 500 101", "_r/3 12 500 101"), reasons.UNSUPPORTED),
        (("_r 12 500 101", "_r 12 500 99999999999"), reasons.BAD_HEADER),
        (("_r 12 500 101", "_r 0 500 101"), reasons.BAD_HEADER),
        (("_r 12 500 101", "_r 12 500 102"), reasons.TRUNCATED),
        ((" 212 ", " 212x99999999 "), reasons.BAD_HEADER),
        ((" 212 ", " 212+99999 "), reasons.TRUNCATED),
        ((" 212 ", " 999 "), reasons.TRUNCATED),
        ((" 212 ", " 516 "), reasons.TRUNCATED),
        ((" 212 ", " SECRETNAME "), reasons.BAD_HEADER),
        (("200(0)/mV", "0e0(99999999999)/mV"), reasons.BAD_HEADER),
    ],
)
def test_each_defect_has_its_reason(tmp_path: Path, edit: tuple[str, str], reason: str) -> None:
    place = write(tmp_path, "212", limited("212"))
    header = place.with_suffix(".hea")
    text = header.read_text()
    assert edit[0] in text
    header.write_text(text.replace(*edit))
    with pytest.raises(RecordError) as caught:
        read_ecg(place)
    assert caught.value.reason == reason
    assert "9000001" not in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_record_without_a_stated_length_has_that_of_its_file(tmp_path: Path) -> None:
    place = write(tmp_path, "311", limited("311"))
    header = place.with_suffix(".hea")
    header.write_text(header.read_text().replace("_r 12 500 101", "_r 12 500"))
    assert read_ecg(place).amplitude_mv.shape == (12, 101)
