"""Endpoints: which codes count, what time does, and that unknown dates are never real."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import InputError, UnknownNameError
from cardiobind.tasks import KINDS, TASKS, UNKNOWN_DATES, CodeSet, Task, applicable, icd10, label

VISIT_DAY = "2016-05-01"


def events(*rows: tuple[str, str, str | None], system: str = "icd10", visit: str = "") -> pd.DataFrame:
    """Return events from (subject, code, date)."""
    subjects, codes, dates = zip(*rows, strict=True) if rows else ((), (), ())
    frame = pd.DataFrame({"subject": subjects, "visit": visit, "system": system, "code": codes})
    return frame.assign(date=pd.to_datetime(pd.Series(dates, dtype=object), format="ISO8601"))


def visits(*subjects: str, date: str | None = VISIT_DAY, visit: str = "2") -> pd.DataFrame:
    return pd.DataFrame({"subject": subjects, "visit": visit, "date": pd.to_datetime([date] * len(subjects))})


def one(task: str, *rows: tuple[str, str | None], date: str | None = VISIT_DAY) -> tuple[float, str]:
    """Label one subject with the given (code, date); a bystander keeps the coding system present."""
    found = events(*(("a", code, when) for code, when in rows), ("b", "Z999", None))
    result = label(TASKS.get(task), found, visits("a", date=date))
    assert len(result) == 1
    return result["label"].iloc[0], result["reason"].iloc[0]


@pytest.mark.parametrize("code", ["I249", "I250", "I24.9", "I25.0"])
def test_defect_12_the_comma_that_peers_lost_is_here(code: str) -> None:
    assert one("cad", (code, "2015-01-01")) == (1.0, "event")


@pytest.mark.parametrize(
    ("task", "inside", "outside"),
    [
        ("mi", ["I210", "I214", "I219", "I21", "I220", "I229"], ["I200", "I23", "I252", "I241", "I2", "J21"]),
        ("cad", ["I200", "I209", "I21", "I248", "I249", "I250", "I251", "I259"], ["I230", "I26", "I10"]),
        ("af", ["I48", "I480", "I489"], ["I47", "I49"]),
        ("hf", ["I110", "I130", "I132", "I255", "I420", "I425", "I428", "I429", "I50"], ["I421", "I422", "I119"]),
        ("stroke", ["I60", "I619", "I63", "I639", "I64"], ["I62", "I65", "G45"]),
        ("diabetes", ["E10", "E119", "E14"], ["E15", "O24"]),
    ],
)  # fmt: skip
def test_each_endpoint_has_its_codes(task: str, inside: list[str], outside: list[str]) -> None:
    assert [one(task, (code, None))[0] for code in inside] == [1.0] * len(inside)
    assert [one(task, (code, None))[0] for code in outside] == [0.0] * len(outside)


@pytest.mark.parametrize(
    ("date", "prevalent", "incident"),
    [
        ("2016-04-30", (1.0, "event_before_visit"), (np.nan, "event_before_visit")),
        ("2016-05-01", (1.0, "event_before_visit"), (np.nan, "event_before_visit")),
        ("2016-05-02", (0.0, "event_after_visit"), (1.0, "event_after_visit")),
        (None, (np.nan, "unknown_date"), (np.nan, "unknown_date")),
    ],
)
def test_defect_11_prevalent_and_incident_events_are_not_mixed(date, prevalent, incident) -> None:
    for task, (value, reason) in (("mi_prevalent", prevalent), ("mi_incident", incident)):
        found, why = one(task, ("I214", date))
        np.testing.assert_equal(found, value)
        assert why == reason


@pytest.mark.parametrize("day", UNKNOWN_DATES)
def test_a_special_date_is_unknown_but_the_event_happened(day: pd.Timestamp) -> None:
    text = str(day.date())
    assert one("mi", ("I214", text)) == (1.0, "event")
    for task in ("mi_prevalent", "mi_incident"):
        value, reason = one(task, ("I214", text))
        assert np.isnan(value)
        assert reason == "unknown_date"


def test_a_known_earlier_date_outweighs_an_unknown_one_and_a_later_one_does_not() -> None:
    assert one("mi_prevalent", ("I214", None), ("I219", "2010-01-01")) == (1.0, "event_before_visit")
    assert np.isnan(one("mi_prevalent", ("I214", "1902-02-02"), ("I219", "2020-01-01"))[0])
    assert np.isnan(one("mi_incident", ("I214", "1902-02-02"), ("I219", "2020-01-01"))[0])


def test_without_a_visit_date_only_those_without_events_are_known() -> None:
    assert one("mi_prevalent", date=None) == (0.0, "no_event")
    value, reason = one("mi_prevalent", ("I214", "2010-01-01"), date=None)
    assert np.isnan(value)
    assert reason == "unknown_visit_date"


def test_a_time_of_day_does_not_matter() -> None:
    found = events(("a", "I214", "2016-05-01 23:00:00"))
    day = visits("a", date="2016-05-01 08:00:00")
    assert label(TASKS.get("mi_prevalent"), found, day)["label"].tolist() == [1.0]


def test_a_subjects_event_counts_at_each_visit_by_its_date() -> None:
    both = pd.concat([visits("a"), visits("a", date="2019-01-01", visit="3")], ignore_index=True)
    result = label(TASKS.get("mi_prevalent"), events(("a", "I214", "2018-01-01")), both)
    assert result["label"].tolist() == [0.0, 1.0]


def test_events_of_a_visit_stay_with_it() -> None:
    found = events(("p", "MI", None), system="scp", visit="7")
    both = pd.concat([visits("p", visit="7"), visits("p", visit="8")], ignore_index=True)
    assert label(TASKS.get("mi_superclass"), found, both)["label"].tolist() == [1.0, 0.0]


def test_mi_against_norm_alone() -> None:
    rows = {"1": ["MI"], "2": ["NORM"], "3": ["NORM", "STTC"], "4": ["MI", "NORM"], "5": ["HYP"], "6": []}
    found = pd.concat([events(*((s, c, None) for c in codes), system="scp") for s, codes in rows.items() if codes])
    result = label(TASKS.get("mi_vs_norm"), found, visits(*rows))
    np.testing.assert_equal(result["label"].to_numpy(), [1.0, 0.0, np.nan, 1.0, np.nan, np.nan])
    assert result["reason"].tolist() == ["event", "no_event", "neither", "event", "neither", "neither"]


def test_a_task_whose_coding_system_is_absent_is_not_applicable() -> None:
    found = events(("a", "NORM", None), system="scp")
    assert not applicable(TASKS.get("mi"), found)
    result = label(TASKS.get("mi"), found, visits("a"))
    assert result["label"].isna().all()
    assert result["reason"].tolist() == ["not_recorded"]
    assert not applicable(TASKS.get("mi"), events())


CODES = st.sampled_from(["I210", "I214", "I252", "I500", "Z000", "I22"])
DAYS = st.one_of(st.none(), st.dates(pd.Timestamp("2014-01-01").date(), pd.Timestamp("2018-12-31").date()).map(str))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), CODES, DAYS), max_size=12))
def test_labels_equal_a_slow_reference(rows: list[tuple[str, str, str | None]]) -> None:
    found, day = events(*rows, ("z", "Z1", None)), pd.Timestamp(VISIT_DAY)
    for timing in ("any", "prevalent", "incident"):
        task = Task("x", "binary", "auroc", "X", icd10("I21", "I22"), timing=timing)
        result = label(task, found, visits("a", "b", "c", "d")).set_index("subject")["label"]
        for subject in "abcd":
            dates = [pd.Timestamp(d) if d else None for s, c, d in rows if s == subject and c[:3] in ("I21", "I22")]
            np.testing.assert_equal(result[subject], slow(timing, dates, day))


def slow(timing: str, dates: list[pd.Timestamp | None], day: pd.Timestamp) -> float:
    before = any(d is not None and d <= day for d in dates)
    if timing == "any" or not dates:
        return float(bool(dates))
    if before:
        return 1.0 if timing == "prevalent" else np.nan
    if None in dates:
        return np.nan
    return 0.0 if timing == "prevalent" else 1.0


def test_the_order_of_visits_is_kept_and_of_events_is_no_matter() -> None:
    found = events(("b", "I214", None), ("a", "I10", None))
    asked = visits("c", "b", "a")
    result = label(TASKS.get("mi"), found, asked)
    assert result["subject"].tolist() == ["c", "b", "a"]
    pd.testing.assert_frame_equal(result, label(TASKS.get("mi"), found[::-1], asked))


def test_wrong_input_is_named() -> None:
    with pytest.raises(InputError, match="date"):
        label(TASKS.get("mi"), events(("a", "I10", None)).drop(columns="date"), visits("a"))
    with pytest.raises(InputError, match="binary"):
        label(Task("x", "ordinal", "c", "X", icd10("I21")), events(), visits("a"))
    with pytest.raises(UnknownNameError, match="mi_incident"):
        TASKS.get("mi_inciden")


def test_code_sets_match_by_system() -> None:
    codes = CodeSet((("icd10", "I21"), ("self_report", "1075")))
    assert codes.matches("icd10", "i21.4")
    assert codes.matches("self_report", "1075")
    assert not codes.matches("self_report", "10750")
    assert not codes.matches("icd9", "I214")


def test_ptbxl_superclasses_have_the_published_counts(shared_data) -> None:
    from cardiobind.sources import PtbxlSource

    source = PtbxlSource(shared_data / "ptbxl", 100)
    found, days = source.events(), source.visits()
    counts = {n: label(TASKS.get(n), found, days)["label"] for n in ("norm", "mi_superclass", "sttc", "cd", "hyp")}
    assert {n: int(c.sum()) for n, c in counts.items()} == {
        "norm": 1433, "mi_superclass": 665, "sttc": 703, "cd": 602, "hyp": 346,
    }  # fmt: skip
    against = label(TASKS.get("mi_vs_norm"), found, days)["label"]
    assert ((against == 1).sum(), (against == 0).sum()) == (665, 1366)


def test_the_stratum_of_several_labels_is_the_higher_the_rarer_its_rarest_label() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 0], [1, 0], [np.nan, np.nan]], dtype=float)
    np.testing.assert_array_equal(KINDS.get("multilabel").strata(labels), [1, 2, 0, 1, np.nan])


@pytest.mark.parametrize(
    ("labels", "strata"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, np.nan], [0, 0, 1, 1, 2, 2, 3, 3, np.nan]),
        ([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, np.nan], [3] * 8 + [6, 6, np.nan]),  # a score that most have none of
        ([9, 9, 9, 9, 9, 9, 9, 9, 1, 2], [3] * 8 + [0, 0]),
        ([1, 5, 5, 5, 5, 5, 5, 5, 5, 9], [0] + [3] * 8 + [6]),
        ([5, 5, 5], [3, 3, 3]),
        ([np.nan, np.nan], [np.nan, np.nan]),
    ],
)
def test_numbers_are_drawn_by_quarters_and_a_value_that_many_share_apart(
    labels: list[float], strata: list[float]
) -> None:
    np.testing.assert_array_equal(KINDS.get("regression").strata(np.array(labels, dtype=float)), strata)
