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
from cardiobind.tasks import TASKS, CodeSet, Task
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
        (COLUMNS.replace('role = "identifier"', 'feature = "age_years"'), "two columns are age_years"),
        ("[columns", "not TOML"),
        (COLUMNS.replace('"age_years"', '"age_years"\nvalues = { a = "1" }'), "takes no values"),
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


def write_events(root: Path, *rows: str) -> FolderSource:
    (root / "events.csv").write_text("\n".join(["subject,system,code,date", *rows]) + "\n")
    return FolderSource(root)


@pytest.mark.parametrize("system", ["icd10", "ICD10", "ICD-10", "icd_10", " Icd 10 "])
def test_a_system_may_be_spelled_as_people_spell_it(system: str, root: Path) -> None:
    events = write_events(root, f"P1,{system},I21.4,", "P2,OPCS-4,K40.1,").events()
    assert sorted(events["system"]) == ["icd10", "opcs4"]


@pytest.mark.parametrize("system", ["ICD", "icd10gm", "snomed"])
def test_an_unknown_system_stops_instead_of_making_controls(system: str, root: Path) -> None:
    with pytest.raises(RecordError, match="column system") as caught:
        write_events(root, "P1,icd10,I10,", f"P2,{system},I21.4,").events()
    assert f"got: {system}" in str(caught.value)
    assert "icd10" in str(caught.value.expected)


def test_names_in_the_column_of_systems_are_not_quoted(root: Path) -> None:
    with pytest.raises(RecordError, match="12 different ones") as caught:
        write_events(root, *(f"P1,SECRETNAME{i},I10," for i in range(12))).events()
    assert "SECRETNAME" not in str(caught.value)


def test_a_system_of_ones_own_needs_a_task_that_uses_it(root: Path) -> None:
    with pytest.raises(RecordError, match="not known"):
        write_events(root, "P1,Lab,positive,").events()
    TASKS.register("lab_test")(Task("lab_test", "binary", "auroc", "Test", CodeSet((("Lab", "positive"),))))
    try:
        assert write_events(root, "P1,LAB,positive,").events()["system"].tolist() == ["Lab"]
    finally:
        TASKS.unregister("lab_test")


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("I10;I21.4", ["I10", "I21.4"]), ("I21.4; I10", ["I10", "I21.4"]), ('"I10,I21.4"', ["I10", "I21.4"]),
        ("I10|I21.4", ["I10", "I21.4"]), ("I10 I21.4", ["I10", "I21.4"]), ("I10;;I21.4;", ["I10", "I21.4"]),
        ("I21.4 Acute subendocardial infarction", ["I21.4"]), ('"I50.9 Heart failure, unspecified"', ["I50.9"]),
        ("D51.0 Vitamin B12 deficiency anaemia", ["D51.0"]), ("I50.-", ["I50"]), ("i21.4", ["i21.4"]),
        ("I10 Hypertension; I21.4 Infarction", ["I10", "I21.4"]),
    ],
)  # fmt: skip
def test_a_list_of_codes_is_a_row_each_whatever_its_order(cell: str, codes: list[str], root: Path) -> None:
    source = write_events(root, f"P1,icd10,{cell},2021-01-01")
    events = source.events()
    assert events["code"].tolist() == codes
    assert events["date"].nunique() == 1
    assert not {i["reason"] for i in source.issues()} & {"not_a_code", "event_without_code"}


def test_a_list_labels_in_either_order(root: Path) -> None:
    for cell in ("I10;I21.4", "I21.4;I10"):
        source = write_events(root, f"P1,ICD-10,{cell},")
        labels = make_labels(source.visits()[["subject", "visit"]], source.events(), source.visits())
        assert labels[labels["task"] == "mi"].set_index("subject")["label"]["P1"] == 1.0


def test_a_cell_that_is_unclear_or_no_code_is_not_passed_over(root: Path) -> None:
    with pytest.raises(RecordError, match=r"not clear which codes"):
        write_events(root, "P1,icd10,I10 and I21.4,").events()
    with pytest.raises(RecordError, match="most codes of icd10 are no codes of it"):
        write_events(root, "P1,icd10,410.9,", "P2,icd10,SECRETNAME,", "P2,icd10,I10,").events()
    source = write_events(root, "P1,icd10,unknown,", "P1,icd10,I10,", "P2,icd9,410.9,")
    assert source.events()["code"].tolist() == ["I10", "410.9"]
    assert {"reason": "not_a_code", "column": "events", "count": 1} in source.issues()


def test_dates_of_another_form_stop(root: Path) -> None:
    with pytest.raises(RecordError, match="2020-02-03"):
        write_events(root, "P1,icd10,I10,03.02.2020", "P1,icd10,I11,04.02.2020", "P1,icd10,I12,2020-02-03").events()
    (root / "recordings.csv").write_text("subject,date,ecg\nP1,03.02.2020,ecg/a.xml\n")
    with pytest.raises(RecordError, match=r"recordings\.csv, column date"):
        FolderSource(root).records()


def test_events_of_the_withdrawn_are_not_events_of_nobody(root: Path) -> None:
    (root / "withdrawn.csv").write_text("P2\n")
    source = write_events(root, "P2,icd10,I10,", "P9,icd10,I10,", "P1,icd10,I10,")
    found = {(i["reason"], i["column"]): i["count"] for i in source.issues()}
    assert found["event_of_nobody_here", "events"] == 1
    assert found["withdrawn", "events.csv"] == 1


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("subject,Sex,Alter\nP1,1.0,-9.0\nP2,0,60\nP3,1,\n")
    (tmp_path / "columns.toml").write_text(
        '[columns."Sex"]\nfeature = "sex"\nvalues = { 1 = "male", "0.0" = "female" }\n'
        '[columns."Alter"]\nfeature = "age_years"\nmissing = ["-9"]\n'
    )
    source = FolderSource(tmp_path)
    assert source.table()["sex"].tolist() == ["male", "female", "male"]
    np.testing.assert_array_equal(source.table()["age_years"], [np.nan, 60.0, np.nan])
    assert source.issues() == []


def test_a_column_of_which_nothing_is_understood_stops_and_shows_how_to_declare_it(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("subject,sex,SECRET\nP1,M,SECRETNAME\nP2,F,SECRETNAME\n")
    (tmp_path / "columns.toml").write_text('[columns."SECRET"]\nrole = "identifier"\n')
    with pytest.raises(InputError, match="none of the 2 filled cells of a column is understood as sex") as caught:
        FolderSource(tmp_path).table()
    assert "female | male" in str(caught.value)
    assert "SECRETNAME" not in str(caught.value)
