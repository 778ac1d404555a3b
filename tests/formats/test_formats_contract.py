"""Every registered format keeps the contract: it never raises when asked, and refuses junk with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardiobind.errors import RecordError
from cardiobind.formats import CINE_FORMATS, ECG_FORMATS, masked, read_cine, read_ecg
from cardiobind.formats.reasons import REASONS
from ingest_fixtures import cardiosoft_xml, dicom_bytes, random_counts, stack, ukb_cine, write_zip

FORMATS = [registry.get(name) for registry in (ECG_FORMATS, CINE_FORMATS) for name in registry]


def places(folder: Path) -> list[str]:
    """Return locations of good, wrong, empty and absent files of every kind."""
    (folder / "empty.xml").write_bytes(b"")
    (folder / "junk.dcm").write_bytes(bytes(range(256)))
    (folder / "good.xml").write_bytes(cardiosoft_xml(random_counts(10)))
    (folder / "one.hea").write_text("one 1 100\n")
    (folder / "one.dcm").write_bytes(dicom_bytes(stack(1, 1)[0, 0]))
    archive = write_zip(folder / "a.zip", ukb_cine(stack(1, 2)))
    (folder / "empty").mkdir()
    names = [str(p) for p in sorted(folder.iterdir())]
    return [*names, str(folder), f"{archive}::nothing", f"{folder}/no.zip::x", f"{folder}/none.xml", "", "::", "\0"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_asking_never_raises_and_reading_raises_only_record_errors(form, tmp_path: Path) -> None:
    for place in places(tmp_path):
        assert form.recognises(place) in (True, False)
        try:
            form.read(place)
        except RecordError as error:
            reason = error.reason
        else:
            reason = next(iter(REASONS))
        assert reason in REASONS


@pytest.mark.parametrize("read", [read_ecg, read_cine])
def test_sniffing_raises_only_record_errors(read, tmp_path: Path) -> None:
    for place in places(tmp_path):
        try:
            read(place)
        except RecordError as error:
            reason = error.reason
        else:
            reason = next(iter(REASONS))
        assert reason in REASONS


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/data/90/9000001_20205_2_0.xml", "*_20205_2_0.xml"),
        ("records100.zip::records100/00000/00001_lr", "*_lr"),
        ("/files/p1000/p10000032/s40689238/40689238.hea", "*.hea"),
        ("/x/SCD0000101.zip", "SCD*.zip"),
        ("/x/9000001", "*"),
        ("", ""),
    ],
)  # fmt: skip
def test_names_are_masked(path: str, name: str) -> None:
    assert masked(path) == name
