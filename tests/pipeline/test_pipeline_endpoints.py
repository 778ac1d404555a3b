"""One experiment, several endpoints; some of its cells alone; several processes in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pandas as pd
import pytest

from cardiobind import pipeline
from cardiobind.artifact import open_artifact
from cardiobind.cohort import tables
from cardiobind.config import Experiment
from cardiobind.errors import ArtifactError, ConfigError
from cardiobind.pipeline import Selection, run_until
from cardiobind.pipeline.selection import WORDS
from cardiobind.pipeline.workspace import Stage, Workspace
from cardiobind.simulate import draw_hearts, oracle
from cardiobind.sources import SimulatedSource
from cardiobind.sources.base import TruthfulSource
from cardiobind.tasks import TASKS
from unpainted import unpainted
from walking import Recorder

Make = Callable[..., Experiment]
SEVERAL = (
    "source.options={subjects=90,mi_prevalence=0.4,ecg_fraction=0.9,cmr_fraction=0.9,phenotypes=true}",
    'endpoints=[{task="cad",inputs=["ecg"]},{task="lvef_percent",inputs=["ecg"]}]',
    'arms.1={name="risk",kind="risk_score",inputs=["ecg+tabular","tabular"]}',
    'arms.2={name="random",kind="linear_probe",inputs=["ecg"]}',
    'evaluation.inputs=["ecg","ecg+tabular"]', "tabular.features=['age_years','sex','sbp_mmhg']",
    "finetune.epochs=1", "evaluation.comparisons=[['fine-tuned','risk']]",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def endpoints() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "TASKS", {n: TASKS.get(n) for n in ("mi", "cad", "lvef_percent", "mi_survival")})
        yield


@pytest.fixture(scope="module")
def walked(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorder]:
    folder, told = tmp_path_factory.mktemp("several"), Recorder()
    with unpainted():
        pipeline.run(make(*SEVERAL), folder, reporter=told)
    return folder, told


def test_what_is_learnt_without_labels_is_learnt_once(walked: tuple[Path, Recorder]) -> None:
    folder, _ = walked
    assert len(list(folder.glob("pretrain-ecg-*"))) == 1
    assert len(list(folder.glob("cohort-*"))) == 1
    (encoder,) = folder.glob("pretrain-ecg-*")
    assert [p["kind"] for p in open_artifact(encoder).manifest["parents"]] == ["cohort", "division"]


def test_an_endpoint_has_the_arms_that_have_its_inputs(walked: tuple[Path, Recorder]) -> None:
    folder, _ = walked
    (metrics,) = folder.glob("evaluation-*")
    frame = pd.read_parquet(metrics / "predictions.parquet")
    cells = set(frame[["task", "arm", "inputs"]].itertuples(index=False, name=None))
    assert {c for c in cells if c[0] != "mi"} == {
        (task, arm, "ecg") for task in ("cad", "lvef_percent") for arm in ("fine-tuned", "random")
    }
    assert ("mi", "risk", "tabular") in cells
    assert ("mi", "fine-tuned", "ecg+tabular") in cells


def test_every_endpoint_tests_the_same_split(walked: tuple[Path, Recorder]) -> None:
    folder, _ = walked
    splits = [pd.read_parquet(found / "splits.parquet") for found in folder.glob("protocol-*")]
    assert len(splits) == 3
    for other in splits[1:]:
        pd.testing.assert_frame_equal(splits[0], other)
    page = (folder / "report.html").read_text()
    assert "Left ventricular ejection fraction" in page
    assert "Coronary artery disease" in page


def test_all_is_found_again_and_an_endpoint_can_be_run_as_the_only_one(
    walked: tuple[Path, Recorder], make: Make
) -> None:
    folder, _ = walked
    again, alone = Recorder(), Recorder()
    with unpainted():
        pipeline.run(make(*SEVERAL), folder, reporter=again)
    assert again.computed == set()
    words = [w for w in SEVERAL if not w.startswith("endpoints")]
    run_until("pretrain", make(*words, "protocol.task=cad"), folder, reporter=alone)
    assert alone.finished["pretrain-ecg"]
    assert alone.computed <= {"protocol"}


def test_one_cell_is_fitted_again_with_the_same_bits(walked: tuple[Path, Recorder], make: Make) -> None:
    folder, _ = walked
    (before,) = folder.glob("predictor-cad-fine-tuned-*")
    digest, told = open_artifact(before).digest, Recorder()
    chosen = Selection.parse("task=cad, arm=fine-tuned,fraction=1.0,seed=0", again=True)
    (found,) = run_until("finetune", make(*SEVERAL), folder, reporter=told, selection=chosen)
    assert found.path == before
    assert found.digest == digest
    assert told.computed == {"predictor-cad-fine-tuned-100pct-seed0"}


def test_shards_of_the_cells_are_all_cells_once(make: Make, walked: tuple[Path, Recorder]) -> None:
    folder, _ = walked
    experiment = make(*SEVERAL)
    parts = [run_until("finetune", experiment, folder, selection=Selection.parse(shard=f"{i}/3")) for i in (1, 2, 3)]
    names = [found.path.name for part in parts for found in part]
    assert len(names) == len(set(names)) == 3 + 2 + 2
    assert all(parts)


@pytest.mark.parametrize(
    ("only", "message"),
    [("arms=x", "chosen by other words"), ("arm", "chosen by other words"), ("arm=fine tuned", "no cell has this arm"),
     ("seed=7", "no cell has this seed"), ("fraction=half", "no cell has this fraction")],
)  # fmt: skip
def test_a_choice_of_nothing_is_refused(make: Make, walked: tuple[Path, Recorder], only: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_until("finetune", make(*SEVERAL), walked[0], selection=Selection.parse(only))


def test_a_name_with_a_comma_is_one_value() -> None:
    chosen = Selection.parse("arm=masked, fine-tuned,seed=1")
    assert chosen.only == {"arm": "masked, fine-tuned", "seed": "1"}
    assert set(chosen.only) <= set(WORDS)
    assert Selection.parse().everything


def test_two_processes_compute_a_stage_once(tmp_path: Path) -> None:
    began, done, count = Event(), Event(), []

    def build(stage: Stage) -> None:
        began.set()
        assert done.wait(20)
        count.append(1)
        with stage.commit() as folder:
            (folder / "x").write_text("x")

    def obtain() -> str:
        return Workspace(tmp_path).obtain("slow", "thing", build, config={}, rooms=("rng",)).digest

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(obtain)
        assert began.wait(20)
        second = pool.submit(obtain)
        done.set()
        assert first.result(20) == second.result(20)
    assert count == [1]
    assert not [left for left in tmp_path.glob(".work/*") if left.is_dir()]


def test_shards_do_not_work_beside_a_whole_run(make: Make, prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    with Workspace(folder).locked(), pytest.raises(ArtifactError, match="another run"):
        run_until("finetune", make(), folder, selection=Selection.parse(shard="1/2"))


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [('[{task="mi"}]', "each task once"), ('[{task="af",inputs=["cmr"]}]', "cmr"),
     ('[{task="af",input=["ecg"]}]', "input"), ('[{task="lvef"}]', "lvef")],
)  # fmt: skip
def test_endpoints_that_cannot_be_are_refused(make: Make, endpoints: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(f"endpoints={endpoints}")


def test_a_ceiling_needs_a_source_that_knows_the_truth() -> None:
    with pytest.raises(ConfigError, match="ceiling"):
        pipeline.load("ptbxl_mi", ["evaluation.ceiling=true"])


def test_the_simulated_source_knows_the_best_scores_of_some_tasks() -> None:
    source = SimulatedSource(subjects=30)
    assert isinstance(source, TruthfulSource)
    assert {"mi", "mi_survival", "lvef_percent"} <= set(source.ceilings) <= set(TASKS.names())
    best = oracle(source.settings, "lvef_percent", 300)
    truth = draw_hearts(source.settings)["lvef_percent"].to_numpy()
    errors = {str(k): float(np.abs(rows["score"].to_numpy() - truth).mean()) for k, rows in best.groupby("inputs")}
    assert errors["cmr"] < errors["ecg"] < np.abs(truth - truth.mean()).mean() + 1
