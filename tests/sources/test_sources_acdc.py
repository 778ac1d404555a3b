"""ACDC on disk: patients, groups, body size, the official test set, and what is missing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.errors import InputError
from cardiobind.modalities.records import CineRecord
from cardiobind.sources import SOURCES
from cine_fixtures import acdc_patient, volume


def test_patients_groups_and_measures_of_the_official_layout(tmp_path: Path) -> None:
    truth = volume()
    for number, group in ((1, "DCM"), (2, "MINF"), (10, "NOR")):
        acdc_patient(tmp_path / "training", number, truth, group)
    acdc_patient(tmp_path / "testing", 101, truth, "RV")
    source = pickle.loads(pickle.dumps(SOURCES.get("acdc")(tmp_path)))  # noqa: S301
    refs = source.records()
    assert [r.subject for r in refs] == ["patient001", "patient002", "patient010", "patient101"]
    assert {(r.visit, r.modality) for r in refs} == {("1", "cmr")}
    record = source.read(refs[1])
    assert isinstance(record, CineRecord)
    np.testing.assert_array_equal(record.frames, truth.pixels)
    assert record.meta["es_phase"] == 3
    table = source.table()
    assert table["fold"].tolist() == [1, 2, 1, 10]
    np.testing.assert_allclose(table[["height_cm", "weight_kg", "bmi_kg_m2"]], [[184.0, 95.0, 95 / 1.84**2]] * 4)
    events = source.events()
    assert events["code"].tolist() == ["DCM", "MINF", "NOR", "RV"]
    assert set(events["system"]) == {"acdc"}
    assert events["date"].isna().all()
    assert source.visits()["subject"].tolist() == table["subject"].tolist()
    assert source.issues() == []


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    acdc_patient(tmp_path, 1, volume(), "ODD")
    acdc_patient(tmp_path, 2, volume())
    (tmp_path / "patient002" / "patient002_4d.nii.gz").unlink()
    (tmp_path / "patient002" / "Info.cfg").write_text("Height: tall\nWeight: -1\n")
    (tmp_path / "patient003").mkdir()
    (tmp_path / "notes").mkdir()
    source = SOURCES.get("acdc")(tmp_path)
    assert [r.subject for r in source.records()] == ["patient001"]
    assert {i["reason"]: i["count"] for i in source.issues()} == {
        "record_not_on_disk": 2, "no_info": 1, "unknown_group": 1,
    }  # fmt: skip
    table = source.table()
    assert "fold" not in table
    assert table["height_cm"].notna().tolist() == [True, False, False]
    assert source.events().empty
    assert pd.api.types.is_datetime64_any_dtype(source.events()["date"])


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder of a patient"):
        SOURCES.get("acdc")(tmp_path)
