"""`cardiobind compare` with tables of predictions that were made anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calling import Call
from cardiobind.errors import InputError
from cardiobind.evaluation.external import MATCHED, match, read_model
from cardiobind.pipeline import compare_files
from unpainted import unpainted


def predictions(signal: float, n: int = 120, seed: int = 0) -> pd.DataFrame:
    labels = (np.arange(n) % 4 == 0).astype(float)
    noise = np.random.default_rng(seed).normal(size=n)
    score = 1 / (1 + np.exp(-(signal * labels + noise - 1)))
    return pd.DataFrame({"subject": [f"P{i:04d}" for i in range(n)], "label": labels, "score": score})


def test_two_csv_tables_become_a_report_and_tables(call: Call, tmp_path: Path) -> None:
    predictions(2.0).to_csv(tmp_path / "ours.csv", index=False)
    predictions(0.5, seed=1).sample(100, random_state=0).to_csv(tmp_path / "theirs.csv", index=False)
    done = call(
        ["compare", tmp_path / "ours.csv", f"other hospital={tmp_path / 'theirs.csv'}", "--resamples", "50",
         "--out", tmp_path / "out"]
    )  # fmt: skip
    assert done.code == 0
    assert "20 of 120 test rows of ours are not in all tables" in done.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "other hospital" in page
    assert "P0000" not in page
    tables = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    assert {"differences.csv", "differences.md", "differences.tex", "results_binary.csv"} <= tables
    compared = pd.read_csv(tmp_path / "out" / "tables" / "differences.csv")
    assert set(compared["baseline"]) == {"ours"}
    assert set(compared["n"]) == {100}


def test_the_difference_is_that_of_the_matched_subjects(tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    a, b = predictions(2.0), predictions(0.5, seed=1).iloc[10:].sample(frac=1, random_state=1)
    frame, _ = match([read_model(a, "a", "a.csv"), read_model(b, "b", "b.csv")])
    assert set(frame["inputs"]) == {MATCHED}
    both = a.merge(b, on="subject")
    a.to_csv(tmp_path / "a.csv", index=False)
    b.to_parquet(tmp_path / "b.parquet")
    with unpainted():
        found = compare_files(
            [f"a={tmp_path / 'a.csv'}", f"b={tmp_path / 'b.parquet'}"], tmp_path / "out", baseline="b", resamples=20
        )
    table = pd.read_csv(next(path for path in found.tables if path.name == "differences.csv"))
    difference = table.loc[table["metric"] == "auroc", "difference"].item()
    expected = roc_auc_score(both["label_x"], both["score_x"]) - roc_auc_score(both["label_x"], both["score_y"])
    assert difference == pytest.approx(expected, abs=1e-12)


def test_models_within_a_table_are_told_apart_and_rows_can_be_kept(tmp_path: Path) -> None:
    rows = pd.concat([
        predictions(s, seed=i).assign(arm=arm, fraction=fraction, inputs="ecg", seed=i, task=task)
        for i in (0, 1) for task in ("mi", "af") for fraction in (0.1, 1.0) for arm, s in (("x", 1.0), ("y", 2.0))
    ])  # fmt: skip
    rows.to_parquet(tmp_path / "run.parquet")
    names = set(read_model(rows, "run", "run")["model"])
    assert names == {f"run, {arm}, {fraction}" for arm in "xy" for fraction in (0.1, 1.0)}
    with unpainted():
        found = compare_files([str(tmp_path / "run.parquet")], tmp_path / "out", only=["fraction=0.1"], resamples=10)
    table = pd.read_csv(found.tables[0])
    assert set(table["arm"]) == {"run, x", "run, y"}
    assert set(table["task"]) == {"mi", "af"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.rename(columns={"score": "y_pred"}), "rename y_pred to score"),
        (lambda f: f.drop(columns="label"), "lacks the column label"),
        (lambda f: f.head(0), "no rows"),
        (lambda f: f.assign(score=f["score"].where(f.index != 6, 3.5)), r"row 7 \(the first being row 1\)"),
        (lambda f: f.assign(score=f["score"].where(f.index != 6, np.nan)), "no finite number in the column score"),
        (lambda f: f.assign(score=f["score"].astype(object).where(f.index != 2, "high")), "not a number in the column"),
        (lambda f: f.assign(label=f["label"].where(f.index != 1, 2.0)), "neither 0, 1 nor empty in the column label"),
        (lambda f: f.assign(split="train"), "120 such rows"),
        (lambda f: f.assign(subject=f["subject"].where(f.index != 4)), "no identifier in the column subject"),
        (lambda f: pd.concat([f, f.head(1)]), "a second time"),
        (lambda f: f.assign(kind="survival"), "the column time_days"),
    ],
)  # fmt: skip
def test_an_error_names_column_and_row_and_nobody(change: object, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_model(change(predictions(1.0)), "a", "a.csv")  # type: ignore[operator]
    assert "a.csv" in str(caught.value)
    assert "P00" not in str(caught.value)


def test_tables_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    a, b = (read_model(predictions(s), name, name) for name, s in (("a", 1.0), ("b", 2.0)))
    with pytest.raises(InputError, match="no labelled test subject is in all tables"):
        match([a, b.assign(subject="X" + b["subject"])])
    with pytest.raises(InputError, match="disagree about the truth"):
        match([a, b.assign(label=1 - b["label"])])
    with pytest.raises(InputError, match="same name"):
        match([a, a])
    with pytest.raises(InputError, match="not every model predicts every endpoint"):
        match([a, b.assign(task="af")])
    with pytest.raises(InputError, match=r"task outcome, column kind[\s\S]*binary, regression"):
        match([a, b.assign(kind="regression")])
    predictions(1.0).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(InputError, match="nothing to compare"):
        compare_files([str(tmp_path / "a.csv")], tmp_path / "out")
    both = [f"{name}={tmp_path / 'a.csv'}" for name in ("one", "two")]
    with pytest.raises(InputError, match="did you mean"):
        compare_files(both, tmp_path / "out", baseline="onee")
    with pytest.raises(InputError, match="no such column"):
        compare_files(both, tmp_path / "out", only=["frction=1"])


@pytest.mark.parametrize("only", ["subject=9000001", "visit=9000001", "patient=9000001", "9000001"])
def test_what_rows_to_keep_is_no_way_for_a_number_into_an_error(tmp_path: Path, only: str) -> None:
    predictions(1.0).assign(visit="2").to_csv(tmp_path / "a.csv", index=False)
    both = [f"{name}={tmp_path / 'a.csv'}" for name in ("one", "two")]
    with pytest.raises(InputError, match=r"no such column|no row has that value") as caught:
        compare_files(both, tmp_path / "out", only=[only])
    assert "9000001" not in str(caught.value)
    with pytest.raises(InputError, match="got: split=tset"):
        compare_files(both, tmp_path / "out", only=["split=tset"])


def test_numbers_and_times_are_compared_too(tmp_path: Path) -> None:
    frame = predictions(1.0)
    value = frame.assign(label=50 + 10 * frame["label"], score=50 + 10 * frame["score"], kind="regression", task="lvef")
    time = frame.assign(kind="survival", task="incident_mi", time_days=np.arange(1.0, 121.0))
    both = pd.concat([value, time])
    both.to_csv(tmp_path / "a.csv", index=False)
    both.assign(score=both["score"] * 0.9).to_csv(tmp_path / "b.csv", index=False)
    with unpainted():
        found = compare_files([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")], tmp_path / "out", resamples=10)
    assert {"results_regression.tex", "results_survival.tex"} <= {path.name for path in found.tables}


def test_whole_numbers_that_became_floats_are_the_same_subjects() -> None:
    whole = predictions(1.0).assign(subject=range(120))
    a = read_model(whole, "a", "a")
    b = read_model(whole.assign(subject=whole["subject"].astype(float)), "b", "b")
    assert len(match([a, b])[0]) == 240
