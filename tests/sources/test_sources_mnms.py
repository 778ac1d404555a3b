"""M&Ms on disk: subjects, pathologies, vendors, and what is missing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from cardiobind.errors import InputError
from cardiobind.modalities.records import CineRecord
from cardiobind.sources import SOURCES
from cine_fixtures import gz, nifti, volume

TABLE = """External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight
B1,Philips,B,2,1,4,55,HCM,F,160,80
A0S9V9,Siemens,A,1,0,3,39,NOR,M,,70
C7,GE,C,3,0,3,nan,,M,0,70
"""


def test_subjects_of_the_table(tmp_path: Path) -> None:
    truth = volume()
    (tmp_path / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text(TABLE)
    for code, place in (("A0S9V9", "Training/Labeled"), ("B1", "Testing"), ("Z9", "Testing")):
        folder = tmp_path / place / code
        folder.mkdir(parents=True)
        for name in (f"{code}_sa.nii.gz", f"{code}_sa_gt.nii.gz"):
            (folder / name).write_bytes(gz(nifti(truth)))
    source = pickle.loads(pickle.dumps(SOURCES.get("mnms")(tmp_path)))  # noqa: S301
    refs = source.records()
    assert [r.subject for r in refs] == ["A0S9V9", "B1"]
    record = source.read(refs[1])
    assert isinstance(record, CineRecord)
    np.testing.assert_array_equal(record.frames, truth.pixels)
    assert (record.meta["ed_phase"], record.meta["es_phase"]) == (1, 4)
    table = source.table().set_index("subject")
    assert table["sex"].tolist() == ["male", "female", "male"]
    np.testing.assert_allclose(table.loc["B1", ["age_years", "bmi_kg_m2"]].astype(float), [55, 80 / 1.6**2])
    assert table["bmi_kg_m2"].isna().tolist() == [True, False, True]
    events = source.events()
    assert events[events["system"] == "mnms"]["code"].tolist() == ["NOR", "HCM"]
    assert events[events["system"] == "vendor"]["code"].tolist() == ["A", "B", "C"]
    assert source.visits()["subject"].tolist() == ["A0S9V9", "B1", "C7"]
    assert {i["reason"]: i["count"] for i in source.issues()} == {
        "record_not_on_disk": 1, "no_pathology": 1, "not_in_table": 1,
    }  # fmt: skip


def test_a_cine_that_is_there_again_is_counted_and_the_first_is_read(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("External code,Vendor\nB1,B\n")
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "B1_sa.nii.gz").write_bytes(gz(nifti(volume())))
    source = SOURCES.get("mnms")(tmp_path)
    assert [Path(ref.location).parent.name for ref in source.records()] == ["one"]
    assert {"reason": "duplicate_file", "column": "", "count": 1} in source.issues()
    assert np.isnan(source.read(source.records()[0]).slice_thickness_mm)


def test_a_folder_without_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table"):
        SOURCES.get("mnms")(tmp_path)
