"""The audit catches features that state the label and lets honest ones pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cardiobind.cohort.audit.leakage import Finding, audit_leakage, refuse_leaks
from cardiobind.errors import InputError, LabelLeakageError
from cardiobind.modalities.features import INPUT_FEATURES


@pytest.fixture
def labels() -> np.ndarray:
    return (np.random.default_rng(0).random(600) < 0.1).astype(float)


def reasons(table: dict[str, object], task: str | None, labels: np.ndarray | None) -> set[tuple[str, str]]:
    return {(f.feature, f.reason) for f in audit_leakage(pd.DataFrame(table), list(table), task, labels)}


@pytest.mark.parametrize("task", ["mi", "mi_prevalent", "mi_incident", "cad"])
@pytest.mark.parametrize("name", ["heart_attack_by_doctor", "statin", "cardiac_operation"])
def test_defect_10_what_follows_a_coronary_diagnosis_is_no_input(name: str, task: str) -> None:
    assert name not in INPUT_FEATURES
    assert reasons({name: np.zeros(3)}, task, None) == {(name, "declared")}


def test_declared_leaks_depend_on_the_task() -> None:
    table = {"statin": np.zeros(3), "age_years": np.arange(3)}
    assert reasons(table, "mi", None) == {("statin", "declared")}
    assert reasons(table, "af", None) == set()
    assert reasons(table, None, None) == {("statin", "declared")}


def test_a_number_that_separates_is_suspected_in_both_directions(labels: np.ndarray) -> None:
    noise = np.random.default_rng(1).standard_normal(len(labels))
    assert reasons({"crp_mg_l": labels * 5 + noise}, "mi", labels) == {("crp_mg_l", "separates")}
    assert reasons({"crp_mg_l": labels * -5 + noise}, "mi", labels) == {("crp_mg_l", "separates")}
    assert reasons({"crp_mg_l": labels + noise}, "mi", labels) == set()


def test_auroc_equals_the_slow_one(labels: np.ndarray) -> None:
    values = np.round(labels * 3 + np.random.default_rng(2).standard_normal(len(labels)))
    pairs = values[labels == 1][:, None] - values[labels == 0][None]
    slow = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    (finding,) = audit_leakage(pd.DataFrame({"crp_mg_l": values}), ["crp_mg_l"], "mi", labels)
    assert finding.detail == f"AUROC {slow:.3f} on its own"


def test_an_insensitive_flag_that_is_always_right_is_suspected(labels: np.ndarray) -> None:
    told = labels * (np.random.default_rng(3).random(len(labels)) < 0.5)
    assert reasons({"diabetes": told}, "mi", labels) == {("diabetes", "level")}


def test_a_category_level_and_missingness_are_suspected(labels: np.ndarray) -> None:
    sex = np.where(labels == 1, "male", "female").astype(object)
    assert reasons({"sex": sex}, "mi", labels) == {("sex", "level")}
    only_ill = np.where(labels == 1, 60.0, np.nan)
    assert reasons({"age_years": only_ill}, "mi", labels) == {("age_years", "missingness")}
    only_well = np.where(labels == 1, np.nan, np.random.default_rng(0).normal(60, 5, len(labels)))
    assert reasons({"age_years": only_well}, "mi", labels) == {("age_years", "missingness")}


def test_unknown_labels_are_left_out(labels: np.ndarray) -> None:
    unknown = np.where(np.arange(len(labels)) < 300, np.nan, labels)
    values = np.where(np.isnan(unknown), 1e3, labels * 5)
    assert reasons({"crp_mg_l": values}, "mi", unknown) == {("crp_mg_l", "separates")}


def test_a_small_sample_is_given_the_benefit_of_the_doubt() -> None:
    labels = np.array([1.0] * 12 + [0.0] * 40)
    values = np.where(labels == 1, np.linspace(0.85, 2, 52), np.linspace(0, 1, 52))
    assert 0.9 < ((values[:12, None] > values[None, 12:]).mean()) < 0.97
    assert reasons({"crp_mg_l": values}, "mi", labels) == set()
    assert reasons({"crp_mg_l": np.tile(values, 20)}, "mi", np.tile(labels, 20)) == {("crp_mg_l", "separates")}


def test_few_rows_raise_no_suspicion() -> None:
    labels = np.array([0, 1] * 6, dtype=float)
    assert reasons({"crp_mg_l": labels}, "mi", labels) == set()


def test_labels_must_be_one_a_row() -> None:
    with pytest.raises(InputError):
        audit_leakage(pd.DataFrame({"crp_mg_l": [1.0]}), ["crp_mg_l"], "mi", [0, 1])


def test_what_is_read_off_the_images_is_a_label_and_never_an_input() -> None:
    assert "lvef_percent" not in INPUT_FEATURES
    for task in ("mi", "af", None):
        (finding,) = audit_leakage(pd.DataFrame({"lvef_percent": [60.0]}), ["lvef_percent"], task, None)
        assert finding.reason == "label"
        with pytest.raises(LabelLeakageError, match="lvef_percent"):
            refuse_leaks([finding], ["lvef_percent"])


def test_refusal_names_the_features_and_can_be_overruled() -> None:
    findings = [Finding("statin", "declared", "states or follows mi")]
    with pytest.raises(LabelLeakageError, match="statin"):
        refuse_leaks(findings)
    refuse_leaks(findings, ["statin"])
    refuse_leaks([])
