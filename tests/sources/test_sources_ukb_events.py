"""Events of a UK Biobank table beyond hospital codes: self-report with its year, outcomes, deaths, end of follow-up."""

from __future__ import annotations

import datetime
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import ConfigError
from cardiobind.sources import UkbSource
from cardiobind.sources.ukb_event_fields import FIRST_OCCURRENCE
from cardiobind.sources.ukb_follow_up import parse_end_of_records
from cardiobind.sources.ukb_self_report import calendar_days
from cardiobind.tasks import TASKS, label

A, B, C = "9000001", "9000002", "9000003"


def ukb(root: Path, columns: dict[str, list[Any]], **options: Any) -> UkbSource:
    pd.DataFrame(columns).to_csv(root / "table.csv", index=False)
    return UkbSource(root, **options)


def found(source: UkbSource, *systems: str) -> list[tuple[str, str, str]]:
    events = source.events()
    days = events["date"].dt.strftime("%Y-%m-%d").fillna("")
    rows = zip(events["subject"], events["system"], events["code"], days, strict=True)
    return [(s, code, day) for s, system, code, day in rows if system in systems]


def test_an_illness_told_in_the_interview_has_the_year_it_was_told_with(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B], "p53_i0": ["2008-06-01", "2008-06-01"],
        "p20002_i0_a0": ["1075", "Heart attack/myocardial infarction"], "p20008_i0_a0": ["2001.5", "-1"],
        "p20002_i0_a1": ["1471.0", None], "p20008_i0_a1": ["2008.9", None],
        "p20004_i0_a0": [None, "1070"], "p20010_i0_a0": [None, "1999.0"],
    }  # fmt: skip
    source = ukb(tmp_path, columns)
    assert found(source, "self_report") == [(A, "1075", "2001-07-02"), (A, "1471", "2008-06-01"), (B, "1075", "")]
    assert found(source, "self_report_operation") == [(B, "1070", "1999-01-01")]
    labels = label(TASKS.get("mi_ukb_algorithm"), source.events(), source.visits()).set_index("subject")
    assert labels.loc[A, ["evidence", "approximate"]].tolist() == ["self_report:1075", True]
    assert labels.loc[B, "reason"] == "event"
    assert not labels.loc[B, "approximate"]


def test_years_pair_with_illnesses_by_entry_and_by_assessment(tmp_path: Path) -> None:
    columns = {
        "eid": [A], "p20002_i0": ["1075|1471"], "p20008_i0": ["1990|2003"], "p20002_i2": ["1076"],
        "p20008_i2": ["2012"],
    }  # fmt: skip
    expected = [(A, "1075", "1990-01-01"), (A, "1076", "2012-01-01"), (A, "1471", "2003-01-01")]
    assert found(ukb(tmp_path, columns), "self_report") == expected


@pytest.mark.parametrize(("month", "day"), [("3", "1990-09-16"), ("March", "1990-09-16"), (None, "1991-01-01")])
def test_an_age_at_diagnosis_is_counted_from_birth(tmp_path: Path, month: str | None, day: str) -> None:
    columns = {"eid": [A], "p34": [1940], "p52": [month], "p6150_i0": ["1|4"], "p3894_i0": [50], "p2966_i0": [-1]}
    assert found(ukb(tmp_path, columns), "touchscreen") == [(A, "6150:1", day), (A, "6150:4", "")]


def test_no_illness_is_no_event(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B, C], "p6150_i0": ["-7", "-3", "None of the above"], "p2443_i0": [0, -1, "Yes"],
        "p20002_i0_a0": [None, None, None],
    }  # fmt: skip
    assert found(ukb(tmp_path, columns), "touchscreen", "self_report") == [(C, "2443:1", "")]


def test_outcomes_of_the_algorithm_are_events_and_their_special_date_is_unknown(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B], "p42000": ["2010-02-03", "1900-01-01"], "p42006": [None, "2011-01-01"],
        "p53_i2": ["2016-01-01"] * 2,
    }  # fmt: skip
    source = ukb(tmp_path, columns)
    assert found(source, "ukb_algorithm")[0] == (A, "42000", "2010-02-03")
    labels = label(TASKS.get("mi_ukb_algorithm_prevalent"), source.events(), source.visits()).set_index("subject")
    assert labels.loc[A, ["label", "evidence"]].tolist() == [1.0, "ukb_algorithm:42000"]
    assert labels.loc[B, "reason"] == "unknown_date"
    assert pd.isna(labels.loc[B, "evidence_date"])


def test_a_death_is_an_event_whatever_is_known_of_it(tmp_path: Path) -> None:
    columns = {
        "eid": [A, B, C], "p40000_i0": ["2020-02-03", None, None], "p40001_i0": [None, "C349", None],
        "p53_i2": ["2016-01-01"] * 3,
    }  # fmt: skip
    source = ukb(tmp_path, columns)
    assert found(source, "death") == [(A, "any", "2020-02-03"), (B, "any", "")]
    assert label(TASKS.get("death"), source.events(), source.visits())["label"].tolist() == [1.0, 1.0, 0.0]


def test_main_and_secondary_diagnoses_stand_in_where_the_whole_list_is_absent(tmp_path: Path) -> None:
    parts = {"eid": [A], "p41202": ["I214"], "p41262_a0": ["2012-03-04"], "p41204": ["E119|I48"]}
    expected = [(A, "E119", ""), (A, "I214", "2012-03-04"), (A, "I48", "")]
    assert found(ukb(tmp_path, parts), "icd10") == expected
    whole = parts | {"p41270": ["I214"], "p41280_a0": ["2012-03-04"]}
    assert found(ukb(tmp_path, whole), "icd10") == [(A, "I214", "2012-03-04")]


def test_fields_of_first_occurrences_follow_the_order_of_their_codes() -> None:
    """131342, once taken for I42, is I44: fields run by two over the codes of the chapter that exist."""
    numbers = [n for n in range(20, 65) if n != 29 and not 53 <= n <= 59]
    in_order = {131296 + 2 * place: f"I{number}" for place, number in enumerate(numbers)}
    in_order |= {130706 + 2 * place: f"E{number}" for place, number in enumerate(range(10, 15))}
    assert FIRST_OCCURRENCE.items() <= in_order.items()
    assert in_order[131342] == "I44"


ENDS = ("england=2022-10-31", "scotland=2022-08-31")


def test_the_end_of_records_is_that_of_the_country(tmp_path: Path) -> None:
    columns = {"eid": [A, B, C], "p54_i0": ["11010", "Edinburgh", "11003"], "p191": [None, "2015-01-01", None]}
    source = ukb(tmp_path, columns, end_of_records=ENDS)
    expected = [(A, "end_of_records", "2022-10-31"), (B, "end_of_records", "2022-08-31"), (B, "lost", "2015-01-01")]
    assert found(source, "follow_up") == expected
    assert found(pickle.loads(pickle.dumps(source)), "follow_up") == expected  # noqa: S301


def test_one_date_is_for_all_and_none_is_for_nobody(tmp_path: Path) -> None:
    columns = {"eid": [A, B], "p31": [1, 0]}
    assert found(ukb(tmp_path, columns, end_of_records="2022-10-31"), "follow_up") == [
        (A, "end_of_records", "2022-10-31"), (B, "end_of_records", "2022-10-31"),
    ]  # fmt: skip
    assert found(ukb(tmp_path, columns), "follow_up") == []


@pytest.mark.parametrize("word", ["france=2022-10-31", "england=soon", "england", "2022-13-01", ""])
def test_an_end_that_cannot_be_understood_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="end_of_records"):
        parse_end_of_records([word])
    with pytest.raises(ConfigError, match="twice"):
        parse_end_of_records(["wales=2022-01-01", "Wales=2022-01-02"])


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(1900, 2099.999) | st.sampled_from([-1.0, -3.0, np.nan, np.inf, 0.0, 1899.9]))
def test_a_decimal_year_is_a_day_of_that_year(year: float) -> None:
    (day,) = calendar_days(np.array([year]))
    if not np.isfinite(year) or year < 1900:
        assert pd.isna(day)
        return
    start = datetime.date(int(year), 1, 1)
    length = (datetime.date(int(year) + 1, 1, 1) - start).days
    assert day.date() == start + datetime.timedelta(days=int((year - int(year)) * length))
