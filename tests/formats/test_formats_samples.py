"""All formats, one heart: whatever file it comes from, the record is the same; and what must not leave, does not."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.cohort import build_cohort
from cardiobind.errors import RecordError
from cardiobind.formats import CINE_FORMATS, ECG_FORMATS, read_cine, read_ecg
from cardiobind.formats.ecg.ecg_recording import finished_record
from cardiobind.inspection import inspect, to_html, to_text
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.ecg import EcgPreparation
from cardiobind.modalities.records import LEADS, EcgHeader
from cardiobind.simulate.ecg import UV_PER_COUNT
from cardiobind.sources import FolderSource
from ecg_binary_fixtures import MDC, wfdb_header, wfdb_signal
from format_samples import CANARIES, CINE_SAMPLES, ECG_SAMPLES, cine, counts

ONE_COUNT_MV = UV_PER_COUNT / 1000


def truth_mv() -> np.ndarray:
    return np.stack([counts()[lead] for lead in LEADS]) * ONE_COUNT_MV


@pytest.fixture(scope="module")
def ecg_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: write(tmp_path_factory.mktemp(name), counts()) for name, write in ECG_SAMPLES.items()}


@pytest.fixture(scope="module")
def cine_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {name: write(tmp_path_factory.mktemp(name), cine()) for name, write in CINE_SAMPLES.items()}


def test_every_registered_format_has_a_sample() -> None:
    assert set(ECG_SAMPLES) == set(ECG_FORMATS.names())
    assert set(CINE_SAMPLES) == set(CINE_FORMATS.names())


@pytest.mark.parametrize("name", ECG_SAMPLES)
def test_an_ecg_is_the_same_from_every_format(name: str, ecg_files: dict[str, str]) -> None:
    record = read_ecg(ecg_files[name])
    derived = [LEADS.index(lead) for lead in record.header.derived_leads]
    stored = np.delete(np.arange(12), derived)
    assert record.rate_hz == 500.0
    assert record.present.all()
    np.testing.assert_allclose(record.amplitude_mv[stored], truth_mv()[stored], atol=1e-5)
    np.testing.assert_allclose(record.amplitude_mv, truth_mv(), atol=1.6 * ONE_COUNT_MV)


@pytest.mark.parametrize("name", ECG_SAMPLES)
def test_only_its_own_format_recognises_a_file(name: str, ecg_files: dict[str, str]) -> None:
    assert [n for n in ECG_FORMATS if ECG_FORMATS.get(n).recognises(ecg_files[name])] == [name]


@pytest.mark.parametrize("name", ECG_SAMPLES)
def test_a_member_of_an_archive_is_read_like_the_file(name: str, ecg_files: dict[str, str], tmp_path: Path) -> None:
    file = Path(ecg_files[name])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for sibling in file.parent.iterdir():
            archive.write(sibling, f"deep/{sibling.name}")
    inside = read_ecg(f"{tmp_path / 'a.zip'}::deep/{file.name}")
    np.testing.assert_array_equal(inside.amplitude_mv, read_ecg(file).amplitude_mv)


@pytest.mark.parametrize("name", CINE_SAMPLES)
def test_a_cine_is_the_same_from_every_format(name: str, cine_files: dict[str, str]) -> None:
    record = read_cine(cine_files[name])
    np.testing.assert_array_equal(record.frames, cine().pixels)
    assert record.pixel_spacing_mm == pytest.approx(cine().spacing_mm, rel=1e-5)
    np.testing.assert_allclose(np.diff(record.slice_positions_mm), cine().step_mm, rtol=1e-4)
    np.testing.assert_allclose(np.diff(record.trigger_times_ms, axis=1), 40.0, rtol=1e-3)
    assert record.base_to_apex is True


def test_canaries_are_in_the_files(ecg_files: dict[str, str], cine_files: dict[str, str]) -> None:
    for name in {*ECG_SAMPLES, "nifti"} - {"array_ecg", "nifti"}:
        raw = Path(ecg_files[name]).read_bytes()
        assert b"SECRETNAME" in raw or "SECRETNAME".encode("utf-16-le") in raw, name


@pytest.mark.parametrize("damaged", [False, True])
def test_no_identifier_leaves_the_reader(
    damaged: bool, ecg_files: dict[str, str], cine_files: dict[str, str], tmp_path: Path,
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    source = FolderSource(_folder(tmp_path / "raw", ecg_files, cine_files, damaged))
    cohort = build_cohort(
        source, tmp_path / "cohort", work=tmp_path / "work", ecg=EcgPreparation(), cmr=CmrPreparation(size_px=32),
        workers=0, config={}, fingerprint="x",
    )  # fmt: skip
    count = cohort.json("counts.json")
    kept = {m: count[m]["kept"] for m in ("ecg", "cmr")}
    assert kept == ({"ecg": 1, "cmr": 0} if damaged else {"ecg": len(ECG_SAMPLES), "cmr": len(CINE_SAMPLES)})
    written = {
        path.relative_to(tmp_path): path.read_bytes() for top in ("cohort", "work")
        for path in (tmp_path / top).rglob("*") if path.is_file()
    }  # fmt: skip
    printed = "".join(capsys.readouterr()) + caplog.text
    for canary in CANARIES:
        holding = [str(path) for path, data in written.items() if canary.encode() in data]
        assert not holding, f"{canary} is in {holding}"
        assert canary not in printed


def _folder(root: Path, ecg_files: dict[str, str], cine_files: dict[str, str], damaged: bool) -> Path:
    """Write recordings.csv of all samples, whole or cut off after two thirds."""
    root.mkdir()
    lines = ["subject,ecg,cmr"]
    for number, (name, file) in enumerate([*ecg_files.items(), *cine_files.items()]):
        target = root / name
        target.mkdir()
        for sibling in Path(file).parent.iterdir():
            data = sibling.read_bytes()
            cut = damaged and not sibling.name.endswith((".json", ".csv"))
            (target / sibling.name).write_bytes(data[: 2 * len(data) // 3] if cut else data)
        path = f"{name}/{Path(file).name}"
        lines.append(f"P{number},{path}," if name in ecg_files else f"P{number},,{path}")
    (root / "recordings.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize("name", [*ECG_SAMPLES, *CINE_SAMPLES])
def test_an_inspection_names_nobody(name: str, ecg_files: dict[str, str], cine_files: dict[str, str]) -> None:
    sheet = inspect({**ecg_files, **cine_files}[name])
    assert dict(sheet.facts)["format"] == name
    shown = to_html(sheet) + "\n".join(to_text(sheet))
    assert not [canary for canary in CANARIES if canary in shown]


@pytest.mark.parametrize("name", [*ECG_SAMPLES, *CINE_SAMPLES])
def test_errors_name_nobody(name: str, ecg_files: dict[str, str], cine_files: dict[str, str], tmp_path: Path) -> None:
    file = Path({**ecg_files, **cine_files}[name])
    data = file.read_bytes()
    for share in (0.02, 0.3, 0.7, 0.97):
        folder = tmp_path / str(share)
        folder.mkdir()
        for sibling in file.parent.iterdir():
            (folder / sibling.name).write_bytes(sibling.read_bytes())
        (folder / file.name).write_bytes(data[: int(share * len(data))])
        told = _told(lambda: (read_ecg if name in ECG_SAMPLES else read_cine)(folder / file.name))  # noqa: B023
        assert not [canary for canary in CANARIES if canary in told]


def _told(read: Callable[[], object]) -> str:
    try:
        return repr(getattr(read(), "header", ""))
    except RecordError as error:
        return f"{error} {error!r} {error.where} {error.got}"


def test_a_folder_and_an_unknown_file_are_told_what_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "9000001.mwf").write_bytes(b"SECRETNAME")
    for place, words in ((tmp_path, "a folder where a single recording"), (tmp_path / "9000001.mwf", "recognises")):
        with pytest.raises(RecordError, match=words) as caught:
            read_ecg(place)
        assert caught.value.reason == "not_recognised"
        assert "muse_xml" in str(caught.value)
        assert not any(canary in str(caught.value) for canary in CANARIES)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.floats() | st.none(), st.text(max_size=30) | st.datetimes().map(str) | st.none())
def test_a_header_says_a_filter_and_a_day_or_nothing(hz: float | None, day: str | None) -> None:
    header = EcgHeader(acquired_at=day, highpass_hz=hz, lowpass_hz=hz, notch_hz=hz, measurements={"a": hz or 0.0})
    found = finished_record({"I": np.ones(4)}, 500.0, header, "x").header
    for value in (found.highpass_hz, found.lowpass_hz, found.notch_hz):
        assert value is None or (value == hz and 0 < value < 1e5)
    assert found.acquired_at is None or datetime.fromisoformat(found.acquired_at).microsecond == 0
    assert all(np.isfinite(value) for value in found.measurements.values())


def test_a_30th_of_february_is_no_day(tmp_path: Path) -> None:
    leads = {lead: counts()[lead] for lead in LEADS}
    (tmp_path / "a.dat").write_bytes(wfdb_signal("16", np.stack(list(leads.values()), axis=1).ravel()))
    for start, expected in (("10:00:00 30/02/2020", None), ("10:00:00.5 28/02/2020", "2020-02-28T10:00:00")):
        (tmp_path / "a.hea").write_bytes(wfdb_header("a", leads, "16", start=start))
        assert read_ecg(tmp_path / "a").header.acquired_at == expected


@pytest.mark.parametrize("form", ["wfdb", "cardiosoft_xml"])
def test_a_lead_that_is_there_twice_is_not_chosen_between(form: str, tmp_path: Path) -> None:
    twice = {"I": counts()["I"], "Lead I": counts()["II"]}
    with pytest.raises(RecordError, match="twice"):
        read_ecg(ECG_SAMPLES[form](tmp_path, twice))


def test_scp_that_codes_two_leads_alike_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MDC, "II", MDC["I"])
    with pytest.raises(RecordError, match="a lead is there twice"):
        read_ecg(ECG_SAMPLES["scp_ecg"](tmp_path, counts()))
