"""A file in the place of another kind: the error says what it is and where it belongs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import read_cine, read_ecg
from cardiobind.formats.other_kinds import kind_of, refuse_signal
from cine_fixtures import gz, nifti, series, volume
from format_samples import ECG_SAMPLES, counts

FACTS = "subject,age_years,sex\n9000001,61,male\n"


def cine_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "9000001_study.zip", "w") as archive:
        for number, data in enumerate(dicoms()):
            archive.writestr(f"{number}.bin", data)
    return folder / "9000001_study.zip"


def dicoms() -> list[bytes]:
    return list(series(volume(slices=1, phases=2)).values())


def refused(location: Path | str, wanted: str) -> RecordError:
    with pytest.raises(RecordError) as caught:
        read_ecg(location) if wanted == "ecg" else read_cine(location)
    assert "9000001" not in str(caught.value)
    return caught.value


def given(folder: Path) -> dict[str, Path]:
    """Return a file or folder of each kind, told by its bytes where a name would mislead."""
    one = folder / "image.dat"
    one.write_bytes(dicoms()[0])
    (folder / "many").mkdir()
    (folder / "many" / "a").write_bytes(dicoms()[0])
    packed = folder / "heart.nii.gz"
    packed.write_bytes(gz(nifti(volume())))
    table = folder / "facts.csv"
    table.write_text(FACTS)
    return {"zip": cine_zip(folder), "dicom": one, "folder": folder / "many", "nifti": packed, "table": table}


def test_a_cine_or_a_table_for_an_ecg_is_told(tmp_path: Path) -> None:
    for name, place in given(tmp_path).items():
        error = refused(place, "ecg")
        assert error.reason == "other_kind", name
        told = "a table of medical facts" if name == "table" else "a cine"
        assert error.what == f"this is {told}, where an ECG is read"
        assert ("--table" if name == "table" else "--cmr") in str(error.hint)


@pytest.mark.parametrize("name", ["cardiosoft_xml", "scp_ecg", "dicom_ecg", "edf", "wfdb"])
def test_an_ecg_for_a_cine_or_a_table_is_told(name: str, tmp_path: Path) -> None:
    kind = next(sample for sample in ECG_SAMPLES if sample.startswith(name))
    place = ECG_SAMPLES[kind](tmp_path, counts())
    error = refused(place, "cmr")
    assert (error.reason, error.what) == ("other_kind", "this is an ECG, where a cine is read")
    assert error.hint == "give it as ecg (--ecg)"
    with pytest.raises(RecordError, match="where a table of medical facts is read"):
        refuse_signal(place)


def test_a_zip_of_ecgs_is_no_cine(tmp_path: Path) -> None:
    place = ECG_SAMPLES["cardiosoft_xml"](tmp_path, counts())
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(place, "0001.xml")
    assert refused(tmp_path / "all.zip", "cmr").what == "this is an ECG, where a cine is read"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"The patient is well.\nSeen on Monday.\n", "it is plain text"),
        (b"%PDF-1.7 and more", "it is a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is a PNG picture"),
        (b"<html><body>login</body></html>", "it is HTML or XML of a kind that is not read"),
        (bytes(range(256)) * 4, None),
        (b"", "the file is empty"),
    ],
)
def test_what_no_reader_knows_is_named_where_it_can_be(data: bytes, words: str | None, tmp_path: Path) -> None:
    (tmp_path / "9000001.xml").write_bytes(data)
    error = refused(tmp_path / "9000001.xml", "ecg")
    assert error.reason == "not_recognised"
    assert (error.hint or "").startswith(words or "")
    assert (error.hint is None) == (words is None)
    assert kind_of(str(tmp_path / "9000001.xml")) is None


def test_a_damaged_ecg_keeps_its_own_reason(tmp_path: Path) -> None:
    place = Path(ECG_SAMPLES["cardiosoft_xml"](tmp_path, counts()))
    place.write_bytes(place.read_bytes()[:4000])
    assert refused(place, "ecg").reason == "truncated"
    refuse_signal(str(tmp_path / "nowhere"))
    (tmp_path / "facts.csv").write_text(FACTS)
    refuse_signal(str(tmp_path / "facts.csv"))
