"""A hospital's folder: paths, table with its own column names and units, diagnoses, withdrawals, mistakes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cardiobind.cohort.tables import make_labels
from cardiobind.errors import CardiobindError, InputError, RecordError
from cardiobind.sources.folder import FolderSource
from ingest_fixtures import cardiosoft_xml, random_counts, stack, ukb_cine, write_zip

COLUMNS = """
[columns."Alter"]
feature = "age_years"
[columns."Geschlecht"]
feature = "sex"
values = { m = "male", W = "female" }
[columns."Chol"]
feature = "cholesterol_mmol_l"
unit = "mg/dL"
missing = ["-9"]
[columns."Diabetiker"]
feature = "diabetes"
values = { ja = "yes", nein = "no" }
[columns."Name"]
role = "identifier"
"""


def write_folder(root: Path) -> Path:
    (root / "ecg").mkdir(parents=True)
    (root / "ecg" / "a.xml").write_bytes(cardiosoft_xml(random_counts(100)))
    write_zip(root / "b.zip", ukb_cine(stack(2, 3)))
    (root / "recordings.csv").write_text(
        "subject,visit,date,ecg,cmr\nP1,1,2020-02-01,ecg/a.xml,\nP2,,2020-03-01,ecg/none.xml,b.zip\nP4,1,someday,,\n"
    )
    (root / "table.csv").write_text(
        "subject,Alter,Geschlecht,Chol,Diabetiker,Name,sbp_mmhg\n"
        "P1,61,M,200,ja,SECRETNAME,120\nP2,x,w,-9,nein,SECRETNAME,130\nP3,50,d,193.3,,SECRETNAME,\n"
    )
    (root / "columns.toml").write_text(COLUMNS)
    (root / "events.csv").write_text(
        "subject,system,code,date\nP1,ICD10,I21.4,2021-01-01\nP9,icd10,I50,\nP2,icd10,,\nP1,icd10,I10,bad\n"
    )
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "clinic")


def test_recordings_are_read_by_whatever_format_they_are_in(root: Path) -> None:
    source = pickle.loads(pickle.dumps(FolderSource(root)))  # noqa: S301
    refs = source.records()
    assert [(r.subject, r.visit, r.modality) for r in refs] == [
        ("P1", "1", "ecg"), ("P2", "1", "cmr"), ("P2", "1", "ecg"),
    ]  # fmt: skip
    assert source.read(refs[0]).amplitude_mv.shape == (12, 100)
    assert source.read(refs[1]).frames.shape[:2] == (2, 3)
    with pytest.raises(RecordError, match="not there"):
        source.read(refs[2])


def test_columns_get_their_meaning_unit_and_spelling(root: Path) -> None:
    table = FolderSource(root).table().set_index("subject")
    assert "Name" not in table
    assert "SECRETNAME" not in table.to_csv()
    assert table["sex"].tolist()[:2] == ["male", "female"]
    assert table["diabetes"].tolist()[:2] == [1.0, 0.0]
    np.testing.assert_allclose(table["cholesterol_mmol_l"], [5.1726, np.nan, 4.9994], rtol=1e-3)
    np.testing.assert_allclose(table["age_years"], [61, np.nan, 50])
    np.testing.assert_allclose(table["sbp_mmhg"], [120, 130, np.nan])


def test_nothing_is_lost_in_silence(root: Path) -> None:
    (root / "withdrawn.csv").write_text("subject\nP3\n")
    source = FolderSource(root)
    found = {(i["reason"], i["column"]): i["count"] for i in source.issues()}
    assert found == {
        ("withdrawn", "table.csv"): 1, ("not_understood", "age_years"): 1, ("unparsed_date", "recordings.csv"): 1,
        ("unparsed_date", "events.csv"): 1, ("event_of_nobody_here", "events"): 1, ("event_without_code", "events"): 1,
    }  # fmt: skip
    everywhere = [*source.table()["subject"], *source.visits()["subject"], *(r.subject for r in source.records())]
    assert "P3" not in everywhere


def test_labels_follow_the_events_of_those_who_are_listed(root: Path) -> None:
    source = FolderSource(root)
    visits = source.visits()
    assert visits[["subject", "visit"]].to_numpy().tolist() == [["P1", "1"], ["P2", "1"], ["P3", "1"], ["P4", "1"]]
    labels = make_labels(visits[["subject", "visit"]], source.events(), visits).set_index(["task", "subject"])["label"]
    assert labels["mi"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert labels["mi_incident"]["P1"] == 1.0


def test_without_events_nobody_is_labelled(root: Path) -> None:
    (root / "events.csv").unlink()
    source = FolderSource(root)
    visits = source.visits()
    assert make_labels(visits[["subject", "visit"]], source.events(), visits).empty


def test_a_table_alone_and_recordings_alone_will_do(root: Path) -> None:
    (root / "recordings.csv").rename(root / "other.csv")
    assert FolderSource(root).records() == []
    assert len(FolderSource(root, recordings="other.csv").records()) == 3
    (root / "table.csv").unlink()
    with pytest.raises(InputError, match="neither recordings nor a table"):
        FolderSource(root)
    (root / "columns.toml").unlink()
    alone = FolderSource(root, recordings="other.csv")
    assert alone.table().empty
    assert {"reason": "no_table", "column": "", "count": 1} in alone.issues()


def test_fold_and_numeric_subjects(root: Path) -> None:
    (root / "columns.toml").unlink()
    pd.DataFrame({"subject": [90000001, 90000002], "fold": [1, 10], "age_years": [50.0, 60.0]}).to_parquet(
        root / "table.parquet"
    )
    table = FolderSource(root).table()
    assert table["subject"].tolist() == ["90000001", "90000002"]
    assert table["fold"].tolist() == [1, 10]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("", "neither features nor declared"),
        (COLUMNS + '[columns."Ward"]\nrole = "unused"\n', "the table has not"),
        (COLUMNS.replace('"age_years"', '"age"'), "unknown feature"),
        (COLUMNS.replace('"mg/dL"', '"grains"'), "units known for cholesterol_mmol_l: mg/dL"),
        (COLUMNS.replace('"identifier"', '"input"'), "role is one of"),
        (COLUMNS.replace('role = "identifier"', ""), "exactly one of feature and role"),
        (COLUMNS.replace('"identifier"', "1"), "declared wrongly"),
        (COLUMNS.replace('"sex"', '"age_years"'), "two columns are age_years"),
        ("[columns", "not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_explained(columns: str, message: str, root: Path) -> None:
    (root / "columns.toml").write_text(columns)
    with pytest.raises(CardiobindError, match=message) as caught:
        FolderSource(root).table()
    assert "SECRETNAME" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("recordings.csv", "patient,ecg\nP1,a\n", "no column called subject"),
        ("recordings.csv", "subject,file\nP1,a\n", "no column names a recording"),
        ("recordings.csv", "subject,ecg\n,a\n", "a row has no subject"),
        ("events.csv", "subject,code\nP1,I21\n", "without system"),
    ],
)
def test_a_wrong_file_is_explained(name: str, text: str, message: str, root: Path) -> None:
    (root / name).write_text(text)
    source = FolderSource(root)
    with pytest.raises(RecordError, match=message):
        source.records() if name == "recordings.csv" else source.events()
    with pytest.raises(InputError, match="not there"):
        FolderSource(root, events="none.csv")
