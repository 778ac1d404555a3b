from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from defusedxml import ElementTree

from cardiobind.errors import ConfigError
from cardiobind.simulate import (
    SimulationSettings,
    availability,
    draw_hearts,
    simulate_cine,
    simulate_ecg,
    simulate_events,
    simulate_table,
    write_raw,
)

SETTINGS = SimulationSettings(
    subjects=20, seed=4, mi_prevalence=0.3, cmr_fraction=0.3, slices=3, phases=6, image_px=64, ecg_duration_s=2.0
)
REAL_IDENTIFIER = re.compile(rb"(?<!\d)(?<!\.)(?:[1-5]\d{6}|6[0-4]\d{5}|650{5})(?!\d)")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw")
    write_raw(SETTINGS, out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_files_are_there_for_those_who_have_them(raw: Path) -> None:
    hearts = draw_hearts(SETTINGS)
    present = availability(hearts, SETTINGS)
    expected = {f"{s}_20205_2_0.xml" for s in present["subject"][present["ecg"]]}
    expected |= {f"{s}_20209_2_0.zip" for s in present["subject"][present["cmr"]]}
    assert {p.name for p in (raw / "bulk").iterdir()} == expected
    assert {p.name for p in raw.iterdir()} == {"bulk", "table.csv", "truth"}
    pd.testing.assert_frame_equal(pd.read_parquet(raw / "truth" / "hearts.parquet"), hearts, check_dtype=False)


def test_xml_holds_the_ecg(raw: Path) -> None:
    hearts = draw_hearts(SETTINGS)
    path = sorted((raw / "bulk").glob("*.xml"))[0]
    root = ElementTree.parse(path).getroot()
    strip = root.find("StripData")
    waves = [[int(v) for v in w.text.split(",")] for w in strip.findall("WaveformData")]
    mv = np.array(waves) * float(strip.findtext("Resolution")) / 1000
    index = int(path.name[:7]) - 9000001
    np.testing.assert_allclose(mv, simulate_ecg(hearts.iloc[[index]], SETTINGS)[0], atol=1e-6)
    assert strip.find("SampleRate").text == "500"


def test_zip_holds_the_cine_and_its_manifest(raw: Path) -> None:
    path = sorted((raw / "bulk").glob("*.zip"))[0]
    record = simulate_cine(draw_hearts(SETTINGS).iloc[int(path.name[:7]) - 9000001], SETTINGS)
    with zipfile.ZipFile(path) as archive:
        manifest = archive.read("manifest.csv").decode()
        files = [pydicom.dcmread(io.BytesIO(archive.read(n))) for n in archive.namelist() if n.endswith(".dcm")]
    assert "series discription" in next(csv.reader(io.StringIO(manifest)))
    assert len(files) == 18
    assert len({f.SOPInstanceUID for f in files}) == 18
    for file in files:
        k = int(str(file.SeriesDescription).removeprefix("CINE_segmented_SAX_b")) - 1
        phase = int(file.InstanceNumber) - 1
        np.testing.assert_array_equal(file.pixel_array, record.frames[k, phase])
        assert float(file.TriggerTime) == record.trigger_times_ms[k, phase]
        axes = np.array(file.ImageOrientationPatient, dtype=float).reshape(2, 3)
        place = np.array(file.ImagePositionPatient, dtype=float) @ np.cross(*axes)
        assert place == pytest.approx(record.slice_positions_mm[k], abs=1e-6)


def test_table_is_wide_and_says_what_the_canonical_one_says(raw: Path) -> None:
    frame = pd.read_csv(raw / "table.csv", dtype={"eid": str})
    facts = simulate_table(draw_hearts(SETTINGS))
    for header in ("p31", "p21003_i2", "p4080_i2_a0", "p4080_i2_a1", "p30690_i0", "p6150_i2", "p20107_i2", "p53_i2"):
        assert header in frame
    np.testing.assert_array_equal(frame["p31"], (facts["sex"] == "male").astype(int))
    np.testing.assert_array_equal(frame[["p4080_i2_a0", "p4080_i2_a1"]].mean(axis=1), facts["sbp_mmhg"])
    np.testing.assert_array_equal(frame["p30690_i0"], facts["cholesterol_mmol_l"])
    heart_attack = frame["p6150_i2"].astype(str).str.split("|").map(lambda codes: "1" in codes)
    np.testing.assert_array_equal(heart_attack, facts["heart_attack_by_doctor"] == 1)


def test_code_k_pairs_with_date_k(raw: Path) -> None:
    frame = pd.read_csv(raw / "table.csv", dtype=str).set_index("eid")
    events = simulate_events(draw_hearts(SETTINGS))
    found = {
        (subject, code, row[f"p41280_a{k}"])
        for subject, row in frame.iterrows()
        if isinstance(row["p41270"], str)
        for k, code in enumerate(row["p41270"].split("|"))
    }
    assert found == set(zip(events["subject"], events["code"], events["date"].dt.strftime("%Y-%m-%d"), strict=True))


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_raw(SETTINGS, tmp_path, progress=stop)
    victims = sorted((tmp_path / "bulk").iterdir())[::3]
    for path in victims:
        path.unlink()
    seen: list[tuple[int, int]] = []
    write_raw(SETTINGS, tmp_path, workers=2, progress=lambda done, of: seen.append((done, of)))
    assert contents(tmp_path) == contents(raw)
    assert seen[-1] == (20, 20)


def test_a_folder_of_other_settings_is_refused(raw: Path) -> None:
    with pytest.raises(ConfigError, match="other settings"):
        write_raw(SimulationSettings(subjects=21, seed=4), raw)


@pytest.mark.parametrize("stated", ["", '"cohort_version": 0,', '"cohort_version": "x",', "}"])
def test_a_folder_of_another_simulator_is_refused(tmp_path: Path, stated: str) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "settings.json").write_text("{" + stated + ' "subjects": 20, "seed": 3}')
    with pytest.raises(ConfigError, match="another version of the simulator"):
        write_raw(SETTINGS, tmp_path)
    assert not list((tmp_path / "bulk").iterdir())


def test_no_number_looks_like_a_participant(raw: Path) -> None:
    for name, content in contents(raw).items():
        texts = [content] if name.endswith((".csv", ".xml", ".json")) else []
        for text in texts:
            assert not REAL_IDENTIFIER.search(text), name


def test_a_cohort_of_one_without_any_diagnosis_can_be_written(tmp_path: Path) -> None:
    one = SimulationSettings(
        subjects=1, seed=8, mi_prevalence=0.005, ecg_fraction=1.0, cmr_fraction=1.0, slices=1, phases=4, image_px=48,
        ecg_rate_hz=250, ecg_duration_s=1.0,
    )  # fmt: skip
    write_raw(one, tmp_path)
    assert simulate_events(draw_hearts(one)).empty
    assert pd.read_csv(tmp_path / "table.csv")["p41270"].isna().all()
    assert len(list((tmp_path / "bulk").iterdir())) == 2
