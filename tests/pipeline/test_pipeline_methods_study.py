"""The study of methods: equal budgets, one cohort, every job an experiment that is right; and its results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from cardiobind.config import parse_experiment
from cardiobind.errors import UnknownNameError
from cardiobind.pipeline.prepare import preparation
from cardiobind.pipeline.rehearsal import check_words

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PLAN = BENCHMARKS / "methods_study.toml"
sys.path.insert(0, str(BENCHMARKS))

import methods_study  # noqa: E402
import study_plan  # noqa: E402
import study_results  # noqa: E402

STUDIES = ("ecg", "multimodal", "presets")
ON_PURPOSE = {"half the rate": "rate_hz", "250 Hz": "rate_hz", "MRI, 112 px": "size_px"}


def trainings(tree: dict[str, Any]) -> dict[str, tuple[int, int]]:
    found = {m: tree[m]["pretrain"]["training"] for m in ("ecg", "cmr", "tabular") if "pretrain" in tree.get(m, {})}
    found |= {"align": tree["align"]["training"]} if "align" in tree else {}
    return {name: (t["steps"], t["batch_size"]) for name, t in (found | {"finetune": tree["finetune"]}).items()}


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("tiny", [False, True])
def test_every_job_is_an_experiment_on_the_same_signals_with_one_budget(study: str, tiny: bool) -> None:
    plan = study_plan.read_plan(PLAN, study, tiny=tiny)
    budgets: dict[str, set[tuple[int, int]]] = {}
    signals: dict[str, dict[str, Any]] = {}
    for job in plan.jobs:
        experiment = parse_experiment(job.tree)
        try:
            check_words(experiment)
        except UnknownNameError:
            continue
        changed = {option for word, option in ON_PURPOSE.items() if word in job.name}
        for modality, settings in preparation(experiment).items():
            usual = signals.setdefault(modality, settings) if settings else settings
            different = {k for k in settings or {} if settings[k] != usual[k]}
            assert different == (changed & set(settings or {})), job.name
        assert job.tree["protocol"] == plan.experiment["protocol"]
        assert all("training" not in arm for arm in job.tree["arms"])
        for name, budget in trainings(job.tree).items():
            budgets.setdefault(name, set()).add(budget)
    assert all(len(different) == 1 for different in budgets.values()), budgets
    assert len({job.folder for job in plan.jobs}) == len(plan.jobs)
    arms = [arm["name"] for job in plan.jobs for arm in job.tree["arms"]]
    assert set(plan.baselines) <= set(arms)
    assert tiny or len(plan.experiment["seeds"]) >= 3


def test_a_cohort_that_is_given_is_for_the_jobs_with_its_signals_and_others_make_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = study_plan.read_plan(PLAN, "ecg")
    made = []

    def run_until(stage: str, experiment: Any, out: Path) -> tuple[Any, None]:
        made.append((stage, experiment.ecg.rate_hz))
        return SimpleNamespace(path=out / f"cohort-{experiment.ecg.rate_hz}"), None

    monkeypatch.setattr(methods_study.pipeline, "run_until", run_until)
    found = methods_study.prepared(plan, plan.jobs, tmp_path, tmp_path / "given")
    assert made == [("prepare", 50)]
    assert len(found) == len(plan.jobs)
    assert {name for name, path in found.items() if path != tmp_path / "given"} == {
        "vit, half the rate", "masked, vit, half the rate",
    }  # fmt: skip
    assert len(set(methods_study.prepared(plan, plan.jobs, tmp_path, None).values())) == 2


def test_numbers_of_the_budget_can_be_given() -> None:
    plan = study_plan.read_plan(PLAN, "multimodal", budget={"align_steps": 7, "subjects": 99, "pretrain_steps": None})
    (joint,) = [job for job in plan.jobs if job.name == "joint tower"]
    assert joint.tree["align"]["training"]["steps"] == 7
    assert joint.tree["source"]["options"]["subjects"] == 99
    assert joint.tree["ecg"]["pretrain"]["training"]["steps"] == plan.budget["pretrain_steps"] > 7


def test_a_component_is_replaced_as_a_whole() -> None:
    tree = {"ecg": {"rate_hz": 100, "encoder": {"kind": "vit", "options": {"depth": 2}}}}
    change = {"ecg": {"encoder": {"kind": "resnet1d"}}}
    assert study_plan.merged(tree, change) == {"ecg": {"rate_hz": 100, "encoder": {"kind": "resnet1d"}}}
    assert tree["ecg"]["encoder"]["kind"] == "vit"


def predictions() -> pd.DataFrame:
    random, frames = np.random.default_rng(0), []
    label = (np.arange(60) % 3 == 0).astype(float)
    for arm, noise in {"good": 0.5, "from scratch": 1.5}.items():
        for seed in (0, 1):
            score = 1 / (1 + np.exp(-(label + noise * random.standard_normal(60))))
            split = np.where(np.arange(60) < 30, "validation", "test")
            frames.append(pd.DataFrame({
                "arm": arm, "inputs": "ecg", "fraction": 1.0, "seed": seed, "task": "mi", "split": split,
                "subject": [f"SIM-{i:06d}" for i in range(60)], "visit": "1", "label": label, "score": score,
            }))  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def test_the_table_says_what_scikit_learn_says() -> None:
    frame = predictions()
    table = study_results.measure(frame, ["from scratch", "not there"], resamples=100, processes=1)
    table = table.set_index("arm")
    for arm, rows in frame.groupby("arm"):
        for split, column in {"validation": "validation_auroc", "test": "auroc_value"}.items():
            each = [roc_auc_score(r["label"], r["score"]) for _, r in rows[rows["split"] == split].groupby("seed")]
            assert table.loc[arm, column] == pytest.approx(np.mean(each))
    difference = table["auroc_value"]["good"] - table["auroc_value"]["from scratch"]
    assert table.loc["good", "auroc_difference_to_from scratch"] == pytest.approx(difference)
    assert "auroc_difference_to_not there" not in table or table["auroc_difference_to_not there"].isna().all()


def test_of_several_labels_the_table_holds_the_means() -> None:
    frame = pd.concat([predictions().assign(kind="multilabel", output=name) for name in ("a", "b")], ignore_index=True)
    other = frame["output"] == "b"
    frame.loc[other, "label"] = (frame.loc[other, "subject"].str[-2:].astype(int) % 2 == 0).astype(float)
    table = study_results.measure(frame, ["from scratch"], resamples=300, processes=1).set_index("arm")
    for arm, rows in frame.groupby("arm"):
        for split, column in {"validation": "validation_auroc", "test": "auroc_value"}.items():
            chosen = rows[rows["split"] == split]
            each = [roc_auc_score(r["label"], r["score"]) for _, r in chosen.groupby(["seed", "output"])]
            assert table.loc[arm, column] == pytest.approx(np.mean(each))
    assert len(table) == 2
    assert np.isfinite(table.loc["good", "auroc_low_to_from scratch"])


def test_the_page_shows_all_arms_and_chooses_on_validation(tmp_path: Path) -> None:
    plan = study_plan.Plan("Title", ("from scratch",), {}, {}, (study_plan.Job("a job", {}),))
    (tmp_path / "jobs" / "a-job").mkdir(parents=True)
    predictions().to_parquet(tmp_path / "jobs" / "a-job" / "predictions.parquet")
    study_results.write(plan, tmp_path / "jobs", tmp_path / "out", notes=["How."], resamples=100, processes=1)
    page = (tmp_path / "out" / "methods.md").read_text()
    table = pd.read_csv(tmp_path / "out" / "methods.csv").set_index("arm")
    assert f"Best on validation: {table['validation_auroc'].idxmax()} (100 %)." in page
    assert "| good |" in page
    assert "How." in page
    assert not list((tmp_path / "out").glob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("cohort", ["ptbxl", "simulated", "presets"])
def test_a_tiny_study_runs_and_is_found_again(tmp_path: Path, cohort: str) -> None:
    command = [
        sys.executable,
        str(BENCHMARKS / "methods_study.py"),
        "--cohort",
        cohort,
        "--out",
        str(tmp_path),
        "--tiny",
    ]
    for _ in range(2):
        subprocess.run([*command, "--tiny", "--resamples", "100"], check=True)
    assert (tmp_path / "results" / "methods.md").is_file()


def test_the_momentum_of_a_teacher_lasts_as_long_as_its_training() -> None:
    plan = study_plan.read_plan(PLAN, "ecg", budget={"pretrain_steps": 777})
    jepa = [job.tree["ecg"]["pretrain"] for job in plan.jobs if job.name.startswith("jepa")]
    assert jepa
    assert all(p["method"]["options"]["momentum_steps"] == p["training"]["steps"] == 777 for p in jepa)
