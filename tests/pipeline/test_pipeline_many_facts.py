"""Facts in a table apart from the list: whose they are, and of which visit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_bundle import small_bundle

from cardiobind.errors import InputError
from cardiobind.inference.facts import FactsTable
from cardiobind.pipeline.many import predict_many
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
