"""What the terminal is told of a cohort: counts add up, reasons are in words, losses are loud."""

from __future__ import annotations

from types import SimpleNamespace

from cardiobind.pipeline.losses import kept_and_lost


def cohort(**summary: object) -> SimpleNamespace:
    facts = {"quarantine": {}, "table_issues": [], "features": {}, "tasks": {}} | summary
    counts = {"ecg": {"read": 9, "kept": 4, "quarantined": 5}, "tabular": {"read": 228, "kept": 228, "quarantined": 0}}
    return SimpleNamespace(counts=counts, summary=facts)


def test_reasons_are_told_in_words_the_most_frequent_first() -> None:
    lines = kept_and_lost(cohort(quarantine={"ecg": {"empty": 1, "truncated": 3, "checksum": 1}}), "mi")
    assert lines[0].startswith("  ecg      read 9, kept 4, set aside 5: 3 the file ends before its data do; 1 ")
    assert lines[1] == "  tabular  read 228, kept 228, set aside 0"


def test_a_column_that_loses_much_is_loud_and_one_that_loses_little_is_not() -> None:
    issues = [
        {"reason": "not_understood", "column": "sex", "count": 88},
        {"reason": "out_of_range", "column": "age_years", "count": 2},
        {"reason": "from_baseline_visit", "column": "bmi_kg_m2", "count": 200},
    ]
    features = {"sex": {"observed": 140}, "age_years": {"observed": 226}, "bmi_kg_m2": {"observed": 220}}
    loud = [line for line in kept_and_lost(cohort(table_issues=issues, features=features), "mi") if "!" in line]
    assert loud == ["  ! sex: 88 of 228 values could not be used and are missing", "  ! mi: nobody has a label"]


def test_labels_are_counted() -> None:
    found = {"labelled": 60, "positive": 12, "unlabelled": {"neither": 3, "unknown_date": 1}}
    assert kept_and_lost(cohort(tasks={"mi": found}), "mi")[-1] == "  mi: 60 labelled, 12 positive, 4 without a label"
