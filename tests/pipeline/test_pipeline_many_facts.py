"""Facts in a table apart from the list: whose they are, and of which visit."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from small_bundle import small_bundle

from cardiobind.errors import DataContractError, InputError
from cardiobind.inference import load
from cardiobind.inference.facts import FactsTable, read_facts
from cardiobind.pipeline.many import predict_many, work
from cardiobind.pipeline.many.cases import cases_of

KNOWN = ("ecg", "tabular")


def listed(folder: Path, table: str) -> dict[str, Path]:
    (folder / "list.csv").write_text("subject,ecg\n0012,a.xml\n0013,b.xml\n")
    (folder / "table.csv").write_text(table)
    return {"subjects": folder / "list.csv", "table": folder / "table.csv"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("age_years,sex\n61,male\n", "no column of subjects"),
        ("subject,age_years\n12,61\n13,48\n", "nobody in the list has a fact in the table"),
        ("subject,visit,age_years\n0012,1,\n", "nobody in the list has a fact in the table"),
    ],
)
def test_a_table_that_is_of_nobody_in_the_list_is_refused(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        cases_of(KNOWN, **listed(tmp_path, table))
    assert "0013" not in str(caught.value)


def test_who_is_not_in_the_table_is_counted_and_said(tmp_path: Path) -> None:
    given = listed(tmp_path, "subject,age_years\n0012,61\n13,48\n")
    told = predict_many(small_bundle(tmp_path / "bundle"), tmp_path / "out.jsonl", workers=0, **given)
    assert told.without_facts == 1
    assert str(told).endswith("; without facts in the table: 1")


def test_facts_alone_start_no_worker_and_one_bad_row_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*given: object) -> None:
        raise AssertionError("there is no file to read")

    monkeypatch.setattr(work, "start_workers", refused)
    bundle = small_bundle(tmp_path / "bundle")
    rows = ["subject,age_years", "a,61", "b,old", "c,", "d,610", "e,48"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    told = predict_many(bundle, tmp_path / "out.jsonl", subjects=tmp_path / "list.csv", workers=2)
    assert (told.scored, told.set_aside) == (2, {"breaks_contract": 2, "nothing_given": 1})
    found = {r["subject"]: r["prediction"] for r in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}
    alone = load(bundle).predict(table={"age_years": 61}).to_json()
    assert found["a"] == json.loads(json.dumps(alone))


def test_who_has_several_rows_is_set_aside_and_a_fact_given_twice_is_refused(tmp_path: Path) -> None:
    given = listed(tmp_path, "subject,age_years\n0012,61\n0012,62\n0013,48\n")
    given["subjects"].write_text("subject\n0012\n0013\n")
    told = predict_many(small_bundle(tmp_path / "bundle"), tmp_path / "out.jsonl", **given)
    assert (told.scored, told.set_aside) == (1, {"not_usable": 1})
    twice = pd.DataFrame([[61, 62]], columns=["age_years", "age_years"])
    with pytest.raises(DataContractError, match="more than once"):
        read_facts(twice, ["age_years"], None)


def test_another_visit_s_facts_of_uk_biobank_are_nobody_s(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"eid": ["9000001", "9000002"], "31-0.0": [1, 0], "21003-0.0": [50, 51], "21003-2.0": [60, None]}
    )
    table.to_csv(tmp_path / "table.csv", index=False)
    facts = FactsTable(tmp_path / "table.csv")
    assert facts.of("9000001")["age_years"].tolist() == [60.0]
    assert facts.of("9000001", "2")["age_years"].tolist() == [60.0]
    assert facts.of("9000002")["age_years"].tolist() == [51.0]
    assert facts.of("9000001", "3").empty
    assert facts.of("9000002", "2").empty


def test_columns_that_are_no_fact_are_named_with_the_nearest_and_can_be_ignored(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("subject,age_yaers,sexx,zip_code,a,b,c,age_years\n1,61,male,9,1,1,1,61\n")
    given = {"subjects": tmp_path / "list.csv"}
    with pytest.raises(InputError) as caught:
        cases_of(KNOWN, **given)
    told = str(caught.value)
    assert "'age_yaers', 'sexx', 'zip_code', 'a', 'b', 1 more" in told
    assert "did you mean 'age_years' for 'age_yaers'? 'sex' for 'sexx'?" in told
    assert "--ignore-unknown goes on without them" in told
    assert len(told) < 500
    found = cases_of(KNOWN, **given, ignore_unknown=True)
    assert found.left_out == 6
    assert found.rows[0].facts is not None
    assert list(found.rows[0].facts) == ["age_years"]


def test_columns_of_a_table_can_be_ignored_too(tmp_path: Path) -> None:
    given = listed(tmp_path, "subject,age_years,ward\n0012,61,7\n0013,48,8\n")
    with pytest.raises(DataContractError, match="unknown medical fact 'ward'"):
        cases_of(KNOWN, **given)
    found = cases_of(KNOWN, **given, ignore_unknown=True)
    assert (found.left_out, found.without_facts) == (1, 0)
    facts, ignored = read_facts(tmp_path / "table.csv", ["age_years"], "0012", ignore_unknown=True)
    assert float(facts["age_years"]) == 61.0
    assert ignored == ()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sbp_mmhg", 18.9, "converted from kPa (x 7.50062)"),
        ("height_cm", 1.78, "converted from m (x 100)"),
        ("age_years", "old", None),
    ],
)
def test_a_number_in_another_unit_is_told_how_to_be_converted(name: str, value: object, words: str | None) -> None:
    from cardiobind.inference.facts import _converted
    from cardiobind.modalities.features import FEATURE_BY_NAME

    feature = FEATURE_BY_NAME[name]
    told = _converted(value, feature)
    assert (told is None) == (words is None)
    assert (words or "") in (told or "")
    with pytest.raises(DataContractError, match="converted from" if words else "cannot be used"):
        read_facts({name: value}, [name], None)


def test_a_folder_or_an_empty_list_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder where one table is read"):
        FactsTable(tmp_path)
    (tmp_path / "list.csv").write_text("subject,ecg\n")
    with pytest.raises(InputError, match="give the list a row a subject"):
        cases_of(KNOWN, subjects=tmp_path / "list.csv")
    with pytest.raises(InputError, match="not a folder"):
        cases_of(KNOWN, folder=tmp_path / "list.csv")
