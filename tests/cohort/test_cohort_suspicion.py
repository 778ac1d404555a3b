"""The audit allows for chance, for the number of columns, and for the day on which a value was measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from cardiobind.cohort.audit.leakage import audit_leakage, declared_leaks
from cardiobind.cohort.audit.roles import list_roles, role_of
from cardiobind.cohort.audit.suspicion import chance_of_as_many
from cardiobind.cohort.tables import make_labels, tidy_table
from cardiobind.errors import InputError
from cardiobind.modalities.features import FEATURE_BY_NAME, INPUT_FEATURES
from cardiobind.modalities.features.presets import PRESETS
from cardiobind.sources import SOURCES

NAMES = [name for name in PRESETS["best_of_both_worlds_118"] if FEATURE_BY_NAME[name].role == "input"]


def random_table(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Return columns of all kinds with gaps from none to nearly all, independent of each other."""
    columns: dict[str, Any] = {}
    for name in NAMES:
        feature = FEATURE_BY_NAME[name]
        if feature.kind == "number":
            values: Any = rng.standard_normal(rows)
        else:
            levels = feature.categories or (0.0, 1.0)
            values = rng.choice(np.array(levels, dtype=object), rows, p=rng.dirichlet(np.full(len(levels), 0.4)))
        gap = rng.choice([0.0, 0.02, 0.5, 0.97])
        columns[name] = pd.Series(values, dtype=object).where(rng.random(rows) >= gap)
    return pd.DataFrame(columns)


def alarms(rows: int, prevalence: float, repeats: int, seed: int) -> int:
    """Return in how many audits of columns that know nothing of the label any is suspected."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(repeats):
        labels = (rng.random(rows) < prevalence).astype(float)
        found += bool(audit_leakage(random_table(rng, rows), NAMES, None, labels))
    return found


@pytest.fixture(autouse=True)
def _no_declared_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardiobind.cohort.audit.leakage._declared", lambda feature, task: False)


@pytest.mark.parametrize("prevalence", [0.05, 0.5, 0.9])
def test_a_hundred_columns_that_know_nothing_raise_no_alarm(prevalence: float) -> None:
    assert alarms(rows=80, prevalence=prevalence, repeats=4, seed=1) == 0


@pytest.mark.slow
@pytest.mark.parametrize("rows", [40, 100, 1000])
@pytest.mark.parametrize("prevalence", [0.02, 0.5, 0.9])
def test_the_rate_of_false_alarms_is_at_most_the_level(rows: int, prevalence: float) -> None:
    assert alarms(rows, prevalence, repeats=100, seed=rows) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("subjects", [60, 300, 2000])
def test_permuted_labels_of_simulated_cohorts_raise_no_more_alarms_than_the_level(subjects: int) -> None:
    source = SOURCES.get("simulated")(subjects=subjects, seed=11)
    table = tidy_table(source.table()).rows
    labels = make_labels(table[["subject", "visit"]], source.events(), source.visits())
    names = [name for name in INPUT_FEATURES if name in table and table[name].notna().any()]
    rng, found = np.random.default_rng(0), 0
    for task in ("mi", "af", "diabetes_prevalent"):
        own = labels.loc[labels["task"] == task, "label"].to_numpy()
        audits = [rng.permutation(side) for side in (own, 1 - own) for _ in range(60)]
        found += sum(bool(audit_leakage(table, names, None, permuted)) for permuted in audits)
    assert found <= 0.05 * 360


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 60), st.data())
def test_the_chance_is_that_of_fishers_exact_test(rows: int, data: st.DataObject) -> None:
    positives, drawn = data.draw(st.integers(0, rows)), data.draw(st.integers(0, rows))
    hits = data.draw(st.integers(0, min(positives, drawn)))
    expected = hypergeom.sf(hits - 1, rows, positives, drawn)
    assert chance_of_as_many(hits, drawn, positives, rows) == pytest.approx(expected, abs=1e-9)


def test_ten_positives_of_ten_are_chance_among_a_hundred_columns_and_none_alone() -> None:
    labels = np.tile([1.0, 0.0], 50)
    told = np.where((np.cumsum(labels) <= 10) & (labels == 1), "several", "none").astype(object)
    table = random_table(np.random.default_rng(0), 100).assign(falls_last_year=told)
    assert [f.feature for f in audit_leakage(table, ["falls_last_year"], None, labels)] == ["falls_last_year"]
    assert audit_leakage(table, NAMES, None, labels) == []


def test_a_number_that_follows_a_numeric_label_is_suspected() -> None:
    rng = np.random.default_rng(3)
    labels = rng.normal(60, 8, 300)
    table = pd.DataFrame({"crp_mg_l": 200 - labels + rng.normal(0, 0.5, 300), "bmi_kg_m2": rng.normal(25, 3, 300)})
    (finding,) = audit_leakage(table, list(table), None, labels)
    assert (finding.feature, finding.reason) == ("crp_mg_l", "separates")


def test_values_from_after_the_visit_are_named_and_counted() -> None:
    table = pd.DataFrame({"crp_mg_l": [1.0, 2.0, np.nan, 4.0], "bmi_kg_m2": [25.0, 26.0, 27.0, 28.0]})
    days = pd.DataFrame({"crp_mg_l": [0.0, 400.0, 900.0, -3000.0], "bmi_kg_m2": [0.0, -1.0, np.nan, 0.0]})
    (finding,) = audit_leakage(table, list(table), "mi_incident", None, days)
    assert (finding.feature, finding.reason) == ("crp_mg_l", "dated_after")
    assert finding.detail == "1 of 3 values from up to 400 days after the visit"


def test_roles_of_all_columns_are_listed_and_an_unknown_one_is_refused() -> None:
    table = pd.DataFrame({"bmi_kg_m2": [25.0, np.nan], "lvef_percent": [60.0, 50.0], "statin": [0.0, 1.0]})
    roles = {entry["column"]: entry for entry in list_roles(table, ["bmi_kg_m2"], "mi")}
    assert [roles[name]["role"] for name in table] == ["input", "label", "leak"]
    assert [roles[name]["used"] for name in table] == [True, False, False]
    assert roles["bmi_kg_m2"]["observed_share"] == 0.5
    assert role_of("subject") == "identifier"
    with pytest.raises(InputError, match="troponin"):
        list_roles(table.assign(troponin=1.0), [], "mi")


def test_a_leak_is_one_for_every_form_of_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert [f.reason for f in declared_leaks(["pacemaker"], "hf_incident")] == ["declared"]
    assert declared_leaks(["pacemaker"], "mi") == []
    assert [f.reason for f in declared_leaks(["lvef_percent"], "mi")] == ["label"]
