"""Times, evidence and the rules of every endpoint, against a slow reference and by their symmetries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import InputError
from cardiobind.tasks import (
    KINDS,
    LABEL_COLUMNS,
    REASONS,
    SOURCES_OF_CODES,
    TASKS,
    UNKNOWN_DATES,
    CodeSet,
    EventTable,
    Task,
    describe_tasks,
    icd9,
    icd10,
    label,
    opcs4,
    self_report,
)
from cardiobind.tasks.labelling import label_all

VISIT, SUBJECTS = pd.Timestamp("2016-05-01"), ("a", "b", "c")
INFARCTION = icd10("I21", "I22") | self_report("1075")
SPECIAL = [str(day.date()) for day in UNKNOWN_DATES]
Row = tuple[str, str, str, str | None]

CODED = st.sampled_from([
    ("icd10", "I21"), ("icd10", "i21.4"), ("icd10", " I22.1 "), ("self_report", "1075"), ("icd10", "I25.2"),
    ("icd10", "Z000"), ("icd9", "410"), ("death", "any"), ("follow_up", "lost"), ("follow_up", "end_of_records"),
])  # fmt: skip
DAYS = st.one_of(
    st.none(), st.sampled_from([*SPECIAL, "2016-05-01"]),
    st.dates(pd.Timestamp("2014-01-01").date(), pd.Timestamp("2018-12-31").date()).map(str),
)  # fmt: skip
ROWS = st.lists(st.tuples(st.sampled_from(SUBJECTS), CODED, DAYS), max_size=14)


def table(rows: list[tuple[str, tuple[str, str], str | None]]) -> pd.DataFrame:
    """Return events; a bystander keeps the coding system present."""
    flat = [(s, "", system, code, day) for s, (system, code), day in [*rows, ("z", ("icd10", "Z1"), None)]]
    frame = pd.DataFrame(flat, columns=["subject", "visit", "system", "code", "date"])
    return frame.assign(date=pd.to_datetime(frame["date"].astype(object), format="ISO8601"))


def visits(*subjects: str, date: pd.Timestamp | None = VISIT) -> pd.DataFrame:
    return pd.DataFrame({"subject": subjects, "visit": "2", "date": pd.to_datetime([date] * len(subjects))})


def task(timing: str = "any", kind: str = "binary") -> Task:
    return Task("x", kind, "auroc", "X", INFARCTION, timing=timing)  # type: ignore[arg-type]


SURVIVAL = task("incident", "survival")


def of(rows: list, wanted: Task = SURVIVAL, *, date: pd.Timestamp | None = VISIT) -> pd.Series:
    """Return the label of subject a."""
    return label(wanted, table(rows), visits("a", date=date)).iloc[0]


def slow(rows: list, subject: str) -> tuple[float, float, str]:
    """Return (label, days, reason) of survival, event by event, with no table in sight."""
    counted, ends, deaths = [], [], []
    for who, (system, code), text in rows:
        day = None if text is None or text in SPECIAL else pd.Timestamp(text)
        if who == subject and (system, code.replace(".", "").strip().upper()[:3]) in {
            ("icd10", "I21"),
            ("icd10", "I22"),
        }:
            counted.append(day)
        if who == subject and (system, code) == ("self_report", "1075"):
            counted.append(day)
        if who == subject and system == "follow_up":
            ends.append((day, code))
        if who == subject and system == "death":
            deaths.append(day)
    if any(day is not None and day <= VISIT for day in counted):
        return np.nan, np.nan, "event_before_visit"
    if None in counted:
        return np.nan, np.nan, "unknown_date"
    if not ends or any(day is None for day, _ in ends):
        return np.nan, np.nan, "unknown_follow_up"
    known = sorted([*ends, *((day, "death") for day in deaths if day is not None)], key=lambda e: e[0])
    last = known[0][0]
    if last <= VISIT:
        return np.nan, np.nan, "no_follow_up"
    if counted and min(counted) <= last:
        return 1.0, (min(counted) - VISIT).days, "event_after_visit"
    if None in deaths:
        return np.nan, np.nan, "unknown_date"
    return 0.0, (last - VISIT).days, "censored"


@settings(deadline=None, derandomize=True, max_examples=40)
@given(ROWS)
def test_survival_equals_a_slow_reference(rows: list) -> None:
    found = label(SURVIVAL, table(rows), visits(*SUBJECTS))
    for subject, got in zip(SUBJECTS, found.itertuples(index=False), strict=True):
        wanted, days, reason = slow(rows, subject)
        np.testing.assert_equal((got.label, got.time_days), (wanted, days))
        assert got.reason.startswith(reason)
    assert not (found["time_days"] <= 0).any()
    assert (found["time_days"].notna() == found["label"].notna()).all()


@settings(deadline=None, derandomize=True, max_examples=15)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_events_is_no_matter_and_unrelated_ones_change_nothing(rows: list, random) -> None:
    other = [("a", ("icd10", "J45"), "2016-01-01"), ("b", ("icd10", "210"), None), ("c", ("icd9", "I21"), None)]
    mixed = [*rows, *other, *rows[:2]]
    random.shuffle(mixed)
    ours, theirs = EventTable(table(rows)), EventTable(table(mixed))
    for wanted in (task("prevalent"), SURVIVAL):
        pd.testing.assert_frame_equal(label(wanted, ours, visits(*SUBJECTS)), label(wanted, theirs, visits(*SUBJECTS)))


@settings(deadline=None, derandomize=True, max_examples=15)
@given(ROWS)
def test_prevalent_incident_and_unknown_are_all_there_is(rows: list) -> None:
    ever, before, after = (
        label(task(timing), table(rows), visits(*SUBJECTS)) for timing in ("any", "prevalent", "incident")
    )
    one, other = before["label"] == 1, after["label"] == 1
    assert not (one & other).any()
    assert ((ever["label"] == 1) == (one | other | (before["reason"] == "unknown_date"))).all()
    assert ((ever["label"] == 0) == (before["reason"] == "no_event")).all()


@settings(deadline=None, derandomize=True, max_examples=15)
@given(ROWS, CODED.filter(lambda pair: pair[0] not in ("follow_up", "death")), st.integers(1, 4000))
def test_an_event_after_censoring_changes_nothing(rows: list, coded: tuple[str, str], late: int) -> None:
    before = label(SURVIVAL, table(rows), visits("a")).iloc[0]
    if not before["reason"].startswith("censored"):
        return
    day = VISIT + pd.Timedelta(days=before["time_days"] + late)
    after = label(SURVIVAL, table([*rows, ("a", coded, str(day.date()))]), visits("a")).iloc[0]
    pd.testing.assert_series_equal(before, after)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(ROWS, st.sampled_from(SPECIAL), st.sampled_from(SPECIAL))
def test_a_special_date_is_never_a_date(rows: list, first: str, second: str) -> None:
    def dated(special: str | None) -> list:
        return [(s, pair, special if text in SPECIAL else text) for s, pair, text in rows]

    events = [EventTable(table(dated(day))) for day in (first, second, None)]
    for wanted in (task("prevalent"), SURVIVAL):
        found = [label(wanted, known, visits(*SUBJECTS)) for known in events]
        pd.testing.assert_frame_equal(found[0], found[1])
        pd.testing.assert_frame_equal(found[0], found[2])
        assert not found[0]["evidence_date"].isin(UNKNOWN_DATES).any()


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.sampled_from("IiEe"), st.from_regex(r"[0-9]{2,4}", fullmatch=True), st.integers(0, 5), st.sampled_from(" \t"))
def test_dots_case_and_space_of_a_code_are_no_matter(letter: str, digits: str, dot: int, space: str) -> None:
    code = letter + digits
    written = space + code[:dot] + "." + code[dot:] + space
    for codes in (icd10("I21", "E11.9"), icd9("i2"), opcs4("E1.1")):
        (system,) = codes.systems
        assert codes.matches(system, written) == codes.matches(system, code.upper())


ENDED = "follow_up:end_of_records"
END = ("a", ("follow_up", "end_of_records"), "2020-01-01")


@pytest.mark.parametrize(
    ("rows", "value", "days", "reason", "evidence"),
    [
        ([("a", ("icd10", "I219"), "2016-05-11"), END], 1.0, 10, "event_after_visit", "icd10:I219"),
        ([("a", ("icd10", "I219"), "2020-01-01"), END], 1.0, 1340, "event_after_visit", "icd10:I219"),
        ([END, ("a", ("icd10", "I21"), "2020-01-02")], 0.0, 1340, "censored_end_of_records", ENDED),
        ([END], 0.0, 1340, "censored_end_of_records", ENDED),
        ([END, ("a", ("death", "any"), "2016-05-02")], 0.0, 1, "censored_death", "death:any"),
        ([END, ("a", ("follow_up", "lost"), "2016-05-03")], 0.0, 2, "censored_lost", "follow_up:lost"),
        ([END, ("a", ("death", "any"), None)], np.nan, np.nan, "unknown_date", "death:any"),
        ([("a", ("icd10", "I219"), "2016-05-01"), END], np.nan, np.nan, "event_before_visit", "icd10:I219"),
        ([("a", ("icd10", "I219"), "2016-05-11")], np.nan, np.nan, "unknown_follow_up", ""),
        ([("a", ("follow_up", "lost"), "2016-05-01")], np.nan, np.nan, "no_follow_up", "follow_up:lost"),
    ],
)  # fmt: skip
def test_a_label_says_why(rows: list, value: float, days: float, reason: str, evidence: str) -> None:
    got = of(rows)
    np.testing.assert_equal((got["label"], got["time_days"], got["reason"]), (value, days, reason))
    assert (got["evidence"] if isinstance(got["evidence"], str) else "") == evidence


def test_a_death_of_the_heart_ends_follow_up_and_is_the_event() -> None:
    rows = [END, ("a", ("icd10", "I219"), "2017-05-01"), ("a", ("death", "any"), "2017-05-01")]
    assert of(rows)["label"] == 1.0
    assert of(rows, TASKS.get("death_survival"))["time_days"] == 365


def test_who_has_a_time_does_not_depend_on_the_outcome() -> None:
    for rows in ([], [("a", ("icd10", "I219"), "2017-01-01")], [("a", ("death", "any"), "2017-01-01")]):
        assert of(rows)["reason"] == "unknown_follow_up"


def test_the_earliest_event_is_the_evidence_and_ties_go_by_code() -> None:
    rows = [("a", pair, "2017-01-01") for pair in (("self_report", "1075"), ("icd10", "I22"), ("icd10", "I214"))]
    got = of(rows, task())
    assert (got["evidence"], got["evidence_date"], got["approximate"]) == (
        "icd10:I214", pd.Timestamp("2017-01-01"), False,
    )  # fmt: skip
    early = [*rows, ("a", ("self_report", "1075"), "2001-07-02")]
    assert of(early, task())[["evidence", "approximate"]].tolist() == ["self_report:1075", True]


def test_a_phenotype_is_read_off_the_table_at_the_visit() -> None:
    measured = pd.DataFrame(
        {"subject": ["a", "a", "b"], "visit": ["2", "3", "2"], "lvef_percent": [55.5, 40.0, np.nan]}
    )
    found = label(TASKS.get("lvef_percent"), table([]), visits(*SUBJECTS), measured)
    np.testing.assert_equal(found["label"].to_numpy(), [55.5, np.nan, np.nan])
    assert found["reason"].tolist() == ["measured", "not_measured", "not_measured"]
    assert found["evidence"].iloc[0] == "table:lvef_percent"
    nothing = label(TASKS.get("lv_mass_g"), table([]), visits(*SUBJECTS), measured)
    assert nothing["reason"].tolist() == ["not_recorded"] * 3


def test_every_label_table_has_its_columns_and_known_reasons() -> None:
    rows = [("a", ("icd10", "I214"), "2015-01-01"), ("b", ("death", "any"), "2017-01-01"), END]
    events = EventTable(table(rows))
    for name in TASKS:
        if TASKS.get(name).kind != "multilabel":
            found = label(TASKS.get(name), events, visits(*SUBJECTS))
            assert found.columns.tolist() == LABEL_COLUMNS
            assert set(found["reason"]) <= set(REASONS)


def test_all_tasks_at_once_are_the_tasks_one_by_one() -> None:
    rows = [("a", ("icd10", "I214"), "2015-01-01"), ("b", ("death", "any"), "2017-01-01"), ("b", ("icd9", "410"), None)]
    events, wanted = table([*rows, END]), [TASKS.get(name) for name in ("mi_survival", "cad_broad", "norm")]
    alone = [label(own, events, visits(*SUBJECTS)).assign(task=own.name) for own in wanted]
    together = label_all(wanted, events, visits(*SUBJECTS))
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))
    assert label_all([], events, visits(*SUBJECTS)).columns.tolist() == [*LABEL_COLUMNS, "task"]


def test_an_event_of_one_visit_tells_nothing_of_another() -> None:
    both = pd.concat([visits("a"), visits("a").assign(visit="3")], ignore_index=True)
    event = table([("a", ("icd10", "I214"), "2015-01-01")])
    assert label(TASKS.get("mi"), event, both)["label"].tolist() == [1.0, 1.0]
    assert label(TASKS.get("mi"), event.assign(visit="3"), both)["label"].tolist() == [0.0, 1.0]


def test_a_multilabel_task_points_to_its_members() -> None:
    with pytest.raises(InputError, match="members"):
        label(TASKS.get("ptbxl_superclasses"), table([]), visits("a"))
    assert {TASKS.get(name).kind for name in TASKS.get("ptbxl_superclasses").members} == {"binary"}


def test_the_registry_is_sound() -> None:
    for name in TASKS:
        own = TASKS.get(name)
        assert own.kind in KINDS
        assert own.name == name
        assert own.source in SOURCES_OF_CODES
        assert (own.kind in ("binary", "survival")) == bool(own.positive.codes)
        assert (own.kind == "regression") == bool(own.column)


def test_the_description_holds_every_task_and_its_codes() -> None:
    found = describe_tasks().set_index("task")
    assert found.index.tolist() == [*TASKS]
    assert "I249" not in found.loc["cad", "positive"]
    assert found.loc["cad", "positive"] == "ICD10 I20, I21, I22, I24, I25"
    assert found.loc["mi_vs_norm", "negative"].startswith("SCP NORM, with none of")


def test_sets_are_united_without_repeats() -> None:
    both = icd10("I21") | CodeSet((("icd10", "I21"), ("icd9", "410")))
    assert both.codes == (("icd10", "I21"), ("icd9", "410"))
