"""Cells on part of their rows: the same window of time for two models, enough subjects of every label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.cells import read_cells
from cardiobind.evaluation.comparison import differences
from cardiobind.evaluation.resampler import Resampler


def times(arm: str, sd: float) -> pd.DataFrame:
    g = np.random.default_rng(1)
    risk = g.normal(size=240)
    rows = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(240)], "visit": "2", "inputs": "ecg", "fraction": 1})
    rows["time_days"], rows["label"] = np.ceil(1000 * g.exponential(np.exp(-risk))), (g.random(240) < 0.7).astype(float)
    score = 1 / (1 + np.exp(-risk - sd * np.random.default_rng(2).normal(size=240)))
    split = np.where(np.arange(240) % 3 == 0, "validation", "test")
    return rows.assign(task="af", kind="survival", arm=arm, seed=0, split=split, score=score)


def test_defect_paired_integrated_brier_is_of_one_window_of_time() -> None:
    whole, other = times("a", 0.5), times("b", 1.5)
    early = other[(other["split"] == "validation") | (other["time_days"] < 700)]
    cells = read_cells(pd.concat([whole, early]))
    found = next(iter(differences(*cells, ["integrated_brier"], Resampler(cells, 50, 0))))
    alone = whole[(whole["split"] == "validation") | (whole["time_days"] < 700)]
    expected = [
        evaluate(rows, resamples=5)["cells"][0]["metrics"]["integrated_brier"]["value"] for rows in (alone, early)
    ]
    assert [found["arm_value"], found["baseline_value"]] == pytest.approx(expected)
    assert evaluate(whole, resamples=5)["cells"][0]["metrics"]["integrated_brier"]["value"] != pytest.approx(
        expected[0]
    )


def several(rare: int) -> pd.DataFrame:
    g = np.random.default_rng(0)
    rows = pd.DataFrame({"subject": [f"SIM-{i:06d}" for i in range(160)], "visit": "2", "inputs": "ecg", "fraction": 1})
    rows = rows.assign(task="ecg", kind="multilabel", arm="a", seed=0, group_sex="female")
    rows["split"] = np.where(np.arange(160) < 60, "validation", "test")
    labels = {"common": np.arange(160) % 2, "rare": (np.arange(160) < rare).astype(float)}
    labels["rare"][150:] = np.nan
    return pd.concat([rows.assign(output=k, label=v, score=g.random(160)) for k, v in labels.items()])


def group(rare: int) -> dict[str, Any]:
    found: dict[str, Any] = evaluate(several(rare), resamples=20)["cells"][0]["subgroups"][0]
    return found


def test_defect_a_group_with_few_of_one_label_is_not_measured() -> None:
    few = group(63)
    assert few["metrics"] == {}
    assert few["undefined"] == "too few: 3 positive and 87 negative subjects of one label, 10 of each needed"
    assert group(80)["metrics"]["macro_auroc"]["value"] is not None


def test_defect_the_smallest_class_of_several_labels_counts() -> None:
    cells = read_cells(several(63))
    assert [Resampler(cells, 5, 0).subjects(cell) for cell in cells] == [3, 50, 3]
