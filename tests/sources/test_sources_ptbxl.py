"""PTB-XL: from an archive and unpacked, with its table, statements and official folds."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from cardiobind.errors import InputError, RecordError
from cardiobind.modalities.records import EcgRecord
from cardiobind.sources import PtbxlSource, RecordRef


@pytest.fixture(scope="module")
def source(shared_data: Path) -> PtbxlSource:
    return PtbxlSource(shared_data / "ptbxl", 100)


def test_all_records_are_found_in_the_archive(source: PtbxlSource) -> None:
    refs = source.records()
    assert len(refs) == 2992
    assert refs == sorted(refs)
    assert len({r.subject for r in refs}) == 2900
    assert source.issues() == []


def test_a_record_equals_the_direct_read_of_the_unpacked_file(source: PtbxlSource, shared_data: Path) -> None:
    ref = next(r for r in source.records() if r.visit == "39")
    record = pickle.loads(pickle.dumps(source)).read(ref)  # noqa: S301
    direct = wfdb.rdrecord(str(shared_data / "ptbxl" / "sample" / "records100" / "00000" / "00039_lr"))
    np.testing.assert_array_equal(record.amplitude_mv, direct.p_signal.T.astype(np.float32))
    assert record.rate_hz == 100.0


@pytest.mark.parametrize(("rate_hz", "samples"), [(100, 1000), (500, 5000)])
def test_the_unpacked_tree_is_read_where_there_is_no_archive(shared_data: Path, rate_hz: int, samples: int) -> None:
    unpacked = PtbxlSource(shared_data / "ptbxl" / "sample", rate_hz)
    refs = unpacked.records()
    assert sorted(int(r.visit) for r in refs) == [1, 2, 3, 4, 8, 39, 50, 63]
    record = unpacked.read(refs[0])
    assert isinstance(record, EcgRecord)
    assert record.amplitude_mv.shape == (12, samples)


def test_recordings_that_are_not_on_disk_are_an_issue(shared_data: Path) -> None:
    source = PtbxlSource(shared_data / "ptbxl", 500)
    assert len(source.records()) == 100
    assert source.issues() == [{"reason": "record_not_on_disk", "column": "filename_hr", "count": 2892}]


def test_the_table_is_canonical(source: PtbxlSource, shared_data: Path) -> None:
    raw = pd.read_csv(shared_data / "ptbxl" / "ptbxl_database.csv", index_col="ecg_id")
    table = source.table().set_index("visit")
    assert len(table) == len(raw)
    assert table["age_years"].max() < 100
    assert (table.loc[raw.index[raw["age"] == 300].astype(str), "age_years"] == 90).all()
    assert table.loc[raw.index[raw["sex"] == 0].astype(str), "sex"].eq("male").all()
    assert table.loc[raw.index[raw["sex"] == 1].astype(str), "sex"].eq("female").all()
    assert table.loc["1", "fold"] == 3
    assert set(table["fold"]) == set(range(1, 11))
    assert table.loc["1", "subject"] == "15709"


def test_folds_keep_patients_together(source: PtbxlSource) -> None:
    assert source.table().groupby("subject")["fold"].nunique().max() == 1


def test_statements_and_superclasses_are_events_of_the_recording(source: PtbxlSource) -> None:
    events = source.events()
    first = events[events["visit"] == "1"]
    assert set(first["code"]) == {"NORM", "LVOLT", "SR"}
    assert set(first["system"]) == {"scp"}
    assert str(first["date"].iloc[0]) == "1984-11-09 09:17:34"
    infarction = events[events["code"] == "IMI"]["visit"]
    assert set(infarction) <= set(events[events["code"] == "MI"]["visit"])


def test_wrong_use_is_named(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rate"):
        PtbxlSource(shared_data / "ptbxl", 250)
    with pytest.raises(InputError, match="ptbxl_database"):
        PtbxlSource(tmp_path)
    with pytest.raises(RecordError):
        PtbxlSource(shared_data / "ptbxl", 100).read(RecordRef("1", "1", "ecg", str(tmp_path / "none")))
