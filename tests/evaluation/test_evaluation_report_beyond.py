"""Sections of the report about labels, modalities, groups, intervals by name and risk over time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.report import Report, render
from cardiobind.evaluation.report.choice import prominent
from cardiobind.evaluation.report.efficiency import factor_table, gap_table
from cardiobind.evaluation.report.group_differences import group_difference_table, group_differences
from cardiobind.evaluation.report.html import LONGEST_OPEN, table
from cardiobind.evaluation.report.modalities import gain_table, subgroup_table
from evaluation_fakes import make_predictions
from unpainted import unpainted


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


@pytest.fixture(autouse=True)
def words_only() -> Iterator[None]:
    with unpainted():
        yield


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    frame = make_predictions(inputs=("ecg", "ecg+tabular", "cmr+ecg+tabular"), fractions=(0.1, 1.0), test=80)
    frame["group_sex"] = np.where(frame["subject"].str[-1].astype(int) % 2, "female", "male")
    return frame


@pytest.fixture(scope="module")
def metrics(predictions: pd.DataFrame) -> dict[str, Any]:
    best = predictions[(predictions["arm"] == "aligned") & (predictions["fraction"] == 1.0)]
    ceiling = best.assign(arm="oracle", score=0.2 + 0.6 * best["label"])
    return evaluate(predictions, resamples=20, comparisons=[("aligned", "scratch")], ceiling=ceiling)


def test_a_gain_is_what_more_inputs_add(metrics: dict[str, Any]) -> None:
    found = gain_table(metrics)
    assert found is not None
    pairs = {(row[3], row[4]) for row in found.rows[1:]}
    whole, most = "cmr+ecg+tabular", "ecg+tabular"
    assert pairs == {(whole, "ecg"), (whole, most), (most, "ecg")}
    row = next(r for r in found.rows[1:] if r[3:6] == [most, "ecg", "AUROC"])
    entry = next(
        e for e in metrics["smaller_inputs"]
        if (e["full"], e["shown"], e["metric"], e["arm"], e["fraction"]) == (most, "ecg", "auroc", row[0], 0.1)
    )  # fmt: skip
    assert float(row[9].split(" ")[0].replace("−", "-")) == pytest.approx(-entry["difference"], abs=6e-4)
    assert float(row[7]) - float(row[8]) == pytest.approx(-entry["difference"], abs=2e-3)


def test_the_page_has_all_of_it_and_says_which_interval_is_which(
    metrics: dict[str, Any], predictions: pd.DataFrame
) -> None:
    labels = {(arm, fraction): round(500 * fraction) for arm in ("aligned", "scratch") for fraction in (0.1, 1.0)}
    html = render(Report("All", metrics, predictions=predictions, training_labels=labels))
    assert "over other trainings" in section(html, "results")
    assert "p, Holm" in section(html, "comparisons")
    assert "p, subjects and trainings, Holm" in section(html, "comparisons")
    assert "p, DeLong" in section(html, "comparisons")
    assert "the smallest it can be is at least 2 / (" in section(html, "comparisons")
    assert "cannot be smaller than" not in html, "with few positives Student's t has a higher floor"
    assert "Label efficiency factor" in section(html, "efficiency")
    assert "Gap closed" in section(html, "efficiency")
    assert "over ecg alone" not in section(html, "modalities"), "words of pictures are pictures"
    assert "What a modality adds" in section(html, "modalities")
    assert "female" in section(html, "subgroups")
    words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|inf)\b", words)
    assert "SIM-" not in html


def test_groups_are_counted(metrics: dict[str, Any]) -> None:
    found = subgroup_table(metrics)
    assert found is not None
    counts = {row[1]: row[6] for row in found.rows[1:] if row[2] == "aligned" and row[4] == "ecg"}
    assert sum(int(text.split(" ")[0]) for text in counts.values()) == 80
    cells = [cell for cell in metrics["cells"] if cell["subgroups"]]
    assert len(found.records) == sum(max(1, len(g["metrics"])) for cell in cells for g in cell["subgroups"])
    assert found.notes, "groups of too few say so"


def test_what_is_not_known_has_no_table(metrics: dict[str, Any]) -> None:
    one = evaluate(make_predictions(test=40), resamples=5, comparisons=[("aligned", "scratch")])
    assert factor_table(one) is None
    assert gap_table(one) is None
    assert gain_table(one) is None
    assert subgroup_table(one) is None
    assert gap_table(metrics) is not None


def test_bounds_of_a_factor_are_kept() -> None:
    entry = {
        "task": "mi", "arm": "a", "baseline": "b", "inputs": "ecg", "fraction": 0.1, "metric": "auroc", "n": 9,
        "value": 0.8, "factor": 10.0, "low": 0.5, "high": 10.0, "bound": ">", "low_bound": "", "high_bound": ">",
    }  # fmt: skip
    found = factor_table({"label_efficiency": [entry]})
    assert found is not None
    assert found.rows[1][-1] == "> 10 (0.5 to > 10)"


def test_compared_models_come_first_and_nobody_is_lost(metrics: dict[str, Any]) -> None:
    assert prominent(metrics) == ["aligned", "scratch"]
    turned = {
        **metrics,
        "comparisons": [{**e, "arm": "scratch", "baseline": "aligned"} for e in metrics["comparisons"]],
    }
    assert prominent(turned) == ["scratch", "aligned"]


@pytest.mark.parametrize(("rows", "closed"), [(LONGEST_OPEN, False), (LONGEST_OPEN + 1, True)])
def test_only_long_tables_are_closed(rows: int, closed: bool) -> None:
    text = [["a", "b"], *([str(i), "1"] for i in range(rows))]
    assert ("<details>" in table(text, "caption", fold=True)) is closed
    assert "<details>" not in table(text, "caption")


def test_risk_over_time_is_shown() -> None:
    generator, frames = np.random.default_rng(0), []
    for split, n in (("validation", 80), ("test", 160)):
        risk = generator.normal(size=n)
        time, end = generator.exponential(3000 * np.exp(-risk)), generator.uniform(500, 5000, n)
        keys = pd.DataFrame({"subject": [f"SIM-{split}-{i}" for i in range(n)], "visit": "2", "split": split})
        keys = keys.assign(label=(time <= end).astype(float), time_days=np.minimum(time, end), kind="survival")
        frames.append(keys.assign(arm="cox", inputs="ecg", fraction=1.0, seed=0, task="incident", score=risk))
    predictions = pd.concat(frames)
    html = render(Report("Times", evaluate(predictions, resamples=20), predictions=predictions))
    part = section(html, "results")
    assert "Risk by a time" in part
    assert "Observed / expected" in part
    assert "one risk for all" in part


def test_smaller_sets_of_inputs_are_those_that_missing_ones_leave(metrics: dict[str, Any]) -> None:
    pairs = {(e["full"], e["shown"]) for e in metrics["smaller_inputs"]}
    assert pairs == {("ecg+tabular", "ecg")}
    assert not pairs & {(e["full"], e["shown"]) for e in metrics["missingness"]}
    assert {e["n"] for e in metrics["smaller_inputs"]} == {80}
    assert {e["family"] for e in metrics["smaller_inputs"] if e["metric"] == "auroc"} == {"smaller_inputs: auroc"}


def test_a_gain_is_shown_in_each_group() -> None:
    base = {
        "task": "mi", "arm": "a", "baseline": "b", "inputs": "ecg", "fraction": 1.0, "n": 40, "metric": "auroc",
        "difference": 0.1, "low": 0.02, "high": 0.2, "p": 0.01, "p_holm": 0.02, "group": "group_sex",
    }  # fmt: skip
    few = {"difference": None, "low": None, "high": None, "p": None, "p_holm": None, "undefined": "too few"}
    entries = [base | {"level": "female"}, base | few | {"level": "male"}]
    found = group_difference_table({"resamples": 1000, "subgroup_differences": entries})
    assert found is not None
    assert [row[:2] for row in found.rows[1:]] == [["sex", "female"], ["sex", "male"]]
    assert found.rows[1][-3:] == ["0.100 (0.020–0.200)", "0.010", "0.020"]
    assert found.notes == ["sex male, ecg: too few"]
    assert "does not show that the groups differ" in group_differences(
        {"resamples": 9, "subgroup_differences": entries}
    )
    assert group_difference_table({"resamples": 9, "subgroup_differences": entries[1:]}) is None
    assert group_differences({"resamples": 9}) == ""
