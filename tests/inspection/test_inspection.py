"""What `cardiobind inspect` says of files and folders: right, drawn, without identifiers, and clear where it cannot."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cardiobind.cli import app
from cardiobind.errors import InputError, RecordError
from cardiobind.formats import read_ecg
from cardiobind.inspection import inspect, to_html, to_text
from cardiobind.inspection.folder import inspect_folder
from cardiobind.modalities.cmr.heart_location import locate_heart
from cardiobind.simulate import SimulationSettings, draw_hearts
from cardiobind.simulate.rap import table_csv
from cardiobind.simulate.writers import cardiosoft_xml as simulated_xml
from cardiobind.simulate.writers import dicom_zip
from cardiobind.sources import SOURCES
from cine_fixtures import acdc_patient, gz, nifti, plane, series, volume
from format_samples import ECG_SAMPLES, counts
from ingest_fixtures import cardiosoft_xml, random_counts, write_zip

SETTINGS = SimulationSettings(subjects=6, seed=3, slices=4, phases=12)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    hearts = draw_hearts(SETTINGS)
    first = next(hearts.itertuples())
    (root / "20205").mkdir()
    (root / "20205" / f"{first.subject}_20205_2_0.xml").write_bytes(simulated_xml(first, SETTINGS))
    (root / f"{first.subject}_20209_2_0.zip").write_bytes(dicom_zip(first, SETTINGS))
    (root / "table.csv").write_bytes(table_csv(hearts))
    return root


def fact(sheet, name: str) -> str:
    return dict(sheet.facts)[name]


def test_an_ecg_is_described_and_drawn_on_paper(raw: Path) -> None:
    file = next(raw.glob("20205/*.xml"))
    sheet, record = inspect(file), read_ecg(file)
    assert fact(sheet, "format") == "cardiosoft_xml"
    assert fact(sheet, "sampling rate") == "500 Hz"
    assert fact(sheet, "length") == "10.00 s (5000 samples)"
    lead_rows = sheet.tables[0].rows
    assert lead_rows[2][:3] == ("II", f"{record.amplitude_mv[1].min():.3f}", f"{record.amplitude_mv[1].max():.3f}")
    width_mm = sheet.pictures[0].figure.get_figwidth() * 25.4
    assert width_mm == pytest.approx(10 * 25 + 20)


def test_absent_and_flat_leads_are_said(tmp_path: Path) -> None:
    counts = random_counts(5000)
    del counts["V3"]
    counts["V1"] = np.zeros(5000, dtype=int)
    (tmp_path / "a.xml").write_bytes(cardiosoft_xml(counts))
    sheet = inspect(tmp_path / "a.xml")
    assert fact(sheet, "absent leads") == "V3"
    assert {"flat lead", "missing lead"} <= set(sheet.warnings)
    assert "SECRETNAME" not in to_html(sheet)


def test_a_short_recording_is_drawn_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(cardiosoft_xml(random_counts(800)))
    assert fact(inspect(tmp_path / "a.xml"), "length") == "1.60 s (800 samples)"


def test_a_cine_shows_the_choice_that_preparation_makes(raw: Path) -> None:
    from cardiobind.formats import read_cine
    from cardiobind.modalities.cmr import CmrPreparation, prepare_cmr

    file = next(raw.glob("*.zip"))
    sheet = inspect(file)
    chosen = prepare_cmr(read_cine(file), CmrPreparation())
    assert fact(sheet, "slices x phases") == "4 x 12"
    assert fact(sheet, "chosen slice (from 0)") == str(chosen.slice_index)
    assert f"end systole {chosen.es_phase}," in fact(sheet, "chosen frames (from 0)")
    assert len(sheet.pictures) == 2
    titles = [axes.get_title(loc="left") for axes in sheet.pictures[0].figure.axes]
    assert titles[0] == "slice 0, end diastole"
    framed = [len(axes.lines) for axes in sheet.pictures[0].figure.axes]
    assert [i for i, lines in enumerate(framed) if lines] == [2 * chosen.slice_index, 2 * chosen.slice_index + 1]


def test_a_table_of_uk_biobank_shows_types_units_and_gaps(raw: Path) -> None:
    sheet = inspect(raw / "table.csv")
    assert fact(sheet, "participants") == "6"
    rows = {row[0]: row for row in sheet.tables[0].rows}
    assert rows["sex"][1:3] == ("category", "input")
    assert rows["heart_attack_by_doctor"][2] == "leak"
    assert "median" in rows["age_years"][4]
    assert sheet.pictures[0].caption == "6 of 6 rows."


def test_a_plain_table_lists_what_is_no_feature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sbp_mmhg": [120, 999, None], "ward": ["a", "b", "a"], "n": [1, 2, 3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    sheet = inspect(tmp_path / "t.csv")
    assert sheet.warnings == ("sbp_mmhg: 1 values: out of range",)
    assert [row[:2] for row in sheet.tables[1].rows[1:]] == [("ward", "text"), ("n", "number")]


def test_a_folder_is_counted_told_and_drawn(raw: Path) -> None:
    sheet = inspect(raw)
    assert fact(sheet, "files") == "3"
    assert fact(sheet, "source that reads it") == "ukb"
    kinds = {row[0]: row[3] for row in sheet.tables[0].rows}
    assert kinds[".xml"] == "ecg: cardiosoft_xml (1 of 1 tried)"
    assert [part.title for part in sheet.parts] == ["Electrocardiogram", "Cardiac MRI, short axis", "Table"]
    html = to_html(sheet)
    assert html.count("<img") == 4
    assert not re.search(r"90\d{5}", html + "\n".join(to_text(sheet)))


def test_files_that_cannot_be_read_are_told_not_fatal(tmp_path: Path) -> None:
    (tmp_path / "9000001_20205_2_0.xml").write_bytes(b"<CardiologyXML><StripData>")
    (tmp_path / "x.bin").write_bytes(b"junk")
    sheet = inspect_folder(tmp_path)
    assert sheet.parts[0].title == "A file that cannot be drawn as ecg"
    assert "9000001" not in "\n".join(to_text(sheet))
    assert dict((row[0], row[3]) for row in sheet.tables[0].rows)[".bin"] == "not recognised (1 of 1 tried)"


def test_nothing_there_and_unknown_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing at that place"):
        inspect(tmp_path / "none.xml")
    (tmp_path / "x.bin").write_bytes(b"junk")
    with pytest.raises(RecordError, match="no reader knows"):
        inspect(tmp_path / "x.bin")


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert fact(inspect(tmp_path), "files") == "0"


def test_the_command_writes_a_page_and_prints_the_facts(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["inspect", str(next(raw.glob("20205/*.xml"))), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "sampling rate" in result.output
    assert "data:image/png;base64," in out.read_text()
    assert not re.search(r"(?:src|href)=\"https?:", out.read_text())


@pytest.mark.parametrize("name", ["SCD0000101.zip", "sample_one_slice"])
def test_real_cines(name: str, shared_data: Path) -> None:
    sheet = inspect(shared_data / "sunnybrook" / name)
    assert fact(sheet, "format") == "dicom"
    assert sheet.pictures


def test_a_real_ecg(shared_data: Path) -> None:
    sheet = inspect(shared_data / "ptbxl" / "sample" / "records500" / "00000" / "00001_hr")
    assert fact(sheet, "format") == "wfdb"
    assert not sheet.warnings


def test_a_cine_is_located_once(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cardiobind.modalities.cmr import preparation, quality

    located = []
    for module in (preparation, quality):
        monkeypatch.setattr(module, "locate_heart", lambda *a: located.append(1) or locate_heart(*a))
    inspect(next(raw.rglob("*_20209_2_0.zip")))
    assert len(located) == 1


def test_a_long_axis_is_drawn_and_not_called_wrong(tmp_path: Path) -> None:
    files = series(plane(30.0, phases=10), SeriesDescription="CINE_segmented_LAX_4Ch")
    sheet = inspect(write_zip(tmp_path / "a.zip", files))
    assert fact(sheet, "view") == "lax_4ch"
    assert fact(sheet, "prepared for training") == "beside its short axis, where cmr.long_axis names the view"
    assert not sheet.warnings


def test_a_folder_of_dicom_ecgs_is_no_cine(tmp_path: Path) -> None:
    data = Path(ECG_SAMPLES["dicom_ecg"](tmp_path / "one", counts())).read_bytes()
    folder = tmp_path / "all"
    folder.mkdir()
    for number in range(10):
        (folder / f"{number}.dcm").write_bytes(data)
    sheet = inspect(folder)
    assert [part.title for part in sheet.parts] == ["Electrocardiogram"]
    assert not sheet.warnings


@pytest.mark.parametrize("deeper", ["", "download"])
@pytest.mark.parametrize("source", ["acdc", "mnms", "mimic_iv_ecg", "ukb", "ptbxl", "folder"])
def test_the_source_that_is_named_reads_the_folder(source: str, deeper: str, tmp_path: Path) -> None:
    data = tmp_path / deeper
    data.mkdir(exist_ok=True)
    if source == "acdc":
        acdc_patient(data / "training", 1, volume())
    elif source == "mnms":
        (data / "Labeled" / "A0S9V9").mkdir(parents=True)
        (data / "Labeled" / "A0S9V9" / "A0S9V9_sa.nii.gz").write_bytes(gz(nifti(volume())))
        (data / "M&Ms Dataset_information.csv").write_text("External code,Vendor,ED,ES\nA0S9V9,A,0,3\n")
    else:
        names = {"mimic_iv_ecg": "record_list.csv", "ptbxl": "ptbxl_database.csv", "folder": "recordings.csv"}
        (data / names.get(source, "9000001_20205_2_0.xml")).write_text("subject_id,study_id,ecg_time,path,ecg\n")
    told = fact(inspect_folder(tmp_path), "source that reads it")
    assert told == (source if not deeper or source == "ukb" else f"{source}, in the subfolder download")
    if source in ("acdc", "mnms"):
        assert len(SOURCES.get(source)(data).records()) == 1


def test_a_table_beside_its_declarations_is_shown_as_it_would_be_read(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("subject,Alter,Sex,Ward\nP1,61,M,a\nP2,50,F,b\nP3,,x,c\n")
    (tmp_path / "columns.toml").write_text(
        '[columns."Alter"]\nfeature = "age_years"\n[columns."Sex"]\nfeature = "sex"\nvalues = { M = "male" }\n'
    )
    sheet = inspect(tmp_path / "table.csv")
    assert sheet.warnings == ("sex: 2 of 3 cells not understood (female | male)",)
    assert {row[0]: row[3] for row in sheet.tables[0].rows[1:]} == {"age_years": "67 %", "sex": "33 %"}
    assert [row[0] for row in sheet.tables[1].rows[1:]] == ["Ward"]
    assert fact(sheet, "undeclared") == "1"


def test_an_archive_of_ecgs_is_no_cine(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
        archive.writestr("deep/one.xml", cardiosoft_xml(random_counts(800)))
    assert fact(inspect(tmp_path / "a.zip"), "format") == "cardiosoft_xml"
    assert inspect(tmp_path).tables[0].rows[1][3] == "archive of ecg: cardiosoft_xml (1 of 1 tried)"
