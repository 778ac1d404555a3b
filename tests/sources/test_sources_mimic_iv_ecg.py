"""MIMIC-IV-ECG: a constructed tree in its layout, with and without the diagnoses of the stays."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from cardiobind.cohort import assign_splits
from cardiobind.cohort.tables import make_labels
from cardiobind.errors import InputError, RecordError
from cardiobind.modalities.records import LEADS
from cardiobind.sources import SOURCES
from cardiobind.sources.mimic_iv_ecg import MimicIvEcgSource

FILE_LEADS = ["I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"]
STUDIES = {("90000001", "900000011"): 0, ("90000001", "900000012"): 1, ("90000002", "900000021"): 2}


def signal(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-300, 300, (12, 50)) / 200.0


def write_tree(root: Path) -> None:
    rows = []
    for (subject, study), seed in STUDIES.items():
        path = f"files/p{subject[:4]}/p{subject}/s{study}/{study}"
        (root / path).parent.mkdir(parents=True)
        samples = signal(seed)[[LEADS.index(lead) for lead in FILE_LEADS]].T
        wfdb.wrsamp(
            study, fs=500, units=["mV"] * 12, sig_name=FILE_LEADS, p_signal=samples, fmt=["16"] * 12,
            adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str((root / path).parent),
        )  # fmt: skip
        rows.append([subject, study, study, "2180-07-23 08:44:00", path])
    columns = ["subject_id", "study_id", "file_name", "ecg_time", "path"]
    pd.DataFrame(rows, columns=columns).to_csv(root / "record_list.csv", index=False)


def write_diagnoses(path: Path) -> None:
    studies = [study for _, study in STUDIES]
    frame = pd.DataFrame(
        {
            "study_id": studies,
            "all_diag_all": ["['I214', 'E1165']", "[]", "['I10']"],
            "hosp_diag_hosp": ["['I5023']", "[]", "[]"],
            "gender": ["F", "F", "M"], "age": [61.0, 62.0, np.nan], "strat_fold": [18, 18, 3],
        }
    )  # fmt: skip
    frame.to_csv(path, index=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_tree(tmp_path)
    return tmp_path


def test_leads_are_placed_by_name_not_by_order(root: Path) -> None:
    source = pickle.loads(pickle.dumps(MimicIvEcgSource(root)))  # noqa: S301
    refs = source.records()
    assert [(r.subject, r.visit) for r in refs] == list(STUDIES)
    for ref in refs:
        record = source.read(ref)
        np.testing.assert_allclose(record.amplitude_mv, signal(STUDIES[ref.subject, ref.visit]), atol=1e-6)
        assert record.rate_hz == 500.0


def test_without_diagnoses_nobody_is_labelled(root: Path) -> None:
    source = MimicIvEcgSource(root)
    assert source.events().empty
    assert source.visits().empty
    assert list(source.table().columns) == ["subject", "visit"]
    assert {"reason": "no_diagnoses", "column": "all_diag_all", "count": 3} in source.issues()


def test_diagnoses_of_the_stay_are_events_of_the_recording(root: Path) -> None:
    write_diagnoses(root / "records_w_diag_icd10.csv")
    source = MimicIvEcgSource(root)
    assert source.issues() == []
    events = source.events()
    assert events[["visit", "system", "code"]].to_numpy().tolist() == [
        ["900000011", "icd10", "E1165"], ["900000011", "icd10", "I214"], ["900000021", "icd10", "I10"],
    ]  # fmt: skip
    samples = source.visits()[["subject", "visit"]]
    labels = make_labels(samples, events, source.visits())
    assert labels.loc[labels["task"] == "mi", "label"].tolist() == [1.0, 0.0, 0.0]


def test_another_list_of_diagnoses(root: Path) -> None:
    write_diagnoses(root / "elsewhere.csv")
    source = MimicIvEcgSource(root, diagnoses=root / "elsewhere.csv", diagnosis_column="hosp_diag_hosp")
    assert source.events()["code"].tolist() == ["I5023"]


def test_facts_and_official_folds(root: Path) -> None:
    write_diagnoses(root / "records_w_diag_icd10.csv")
    table = MimicIvEcgSource(root).table()
    assert table["sex"].tolist() == ["female", "female", "male"]
    assert table["age_years"].iloc[:2].tolist() == [61.0, 62.0]
    assert np.isnan(table["age_years"].iloc[2])
    splits = assign_splits(table["subject"].tolist(), seed=0, fold=table["fold"])
    assert splits.tolist() == ["validation", "validation", "train"]


def test_eighteen_folds_train_one_validates_one_tests(root: Path) -> None:
    write_diagnoses(root / "d.csv")
    for fold in range(20):
        frame = pd.read_csv(root / "d.csv").assign(strat_fold=fold)
        frame.to_csv(root / "records_w_diag_icd10.csv", index=False)
        table = MimicIvEcgSource(root).table()
        expected = {18: "validation", 19: "test"}.get(fold, "train")
        assert set(assign_splits(table["subject"].tolist(), seed=0, fold=table["fold"])) == {expected}, fold


def test_recordings_that_are_not_on_disk_are_counted(root: Path) -> None:
    next(root.rglob("900000021.hea")).unlink()
    source = MimicIvEcgSource(root)
    assert len(source.records()) == 2
    assert {"reason": "record_not_on_disk", "column": "path", "count": 1} in source.issues()


def test_a_damaged_list_and_wrong_options_are_errors(root: Path) -> None:
    with pytest.raises(InputError, match="no such list"):
        MimicIvEcgSource(root, diagnosis_column="all")
    with pytest.raises(InputError, match="not there"):
        MimicIvEcgSource(root, diagnoses=root / "none.csv")
    with pytest.raises(InputError, match="record_list"):
        MimicIvEcgSource(root / "files")
    (root / "record_list.csv").write_text("subject_id,study_id,file_name,ecg_time,path\n90000001,,a,b,c\n")
    with pytest.raises(RecordError, match="without subject_id"):
        MimicIvEcgSource(root).records()


def test_it_is_registered() -> None:
    assert SOURCES.get("mimic_iv_ecg") is MimicIvEcgSource
