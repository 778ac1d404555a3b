"""The whole way for endpoints that are not binary: a number, a time, several labels; in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cardiobind import inference
from cardiobind.artifact import Artifact, open_artifact
from cardiobind.cohort import Cohort, tables
from cardiobind.config import Experiment
from cardiobind.errors import ConfigError, InputError
from cardiobind.pipeline import Result, export_predictor, run, run_until
from cardiobind.sources import SimulatedSource
from cardiobind.tasks import TASKS, Task
from unpainted import unpainted

Make = Callable[..., Experiment]
SOURCE = (
    "source.options={subjects=90,mi_prevalence=0.4,ecg_fraction=0.9,cmr_fraction=0.9,phenotypes=true}",
    "arms.0.start=scratch", "ecg.pretrain=none", "arms.1.start=scratch", "finetune.epochs=1",
    "evaluation.comparisons=[['fine-tuned','linear probe']]",
)  # fmt: skip
SIMULATED: dict[str, Any] = {"subjects": 90, "mi_prevalence": 0.4, "ecg_fraction": 0.9, "cmr_fraction": 0.9}
OBJECTIVES = {
    "lvef_percent": [{"loss": "mse"}, {"loss": "huber", "delta": 0.5}, {"loss": "gaussian"}],
    "mi_survival": [{"ties": "breslow"}, {"loss": "discrete_time", "intervals": 3}],
    "three_diseases": [{}, {"weighted": False}],
}


@pytest.fixture(autouse=True, scope="module")
def endpoints() -> Iterator[None]:
    """Label these endpoints alone, three diseases at once among them."""
    members = ("mi", "diabetes")
    TASKS.register("three_diseases")(Task("three_diseases", "multilabel", "auroc", "Diseases", members=members))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "TASKS", {n: TASKS.get(n) for n in (*members, "lvef_percent", "mi_survival")})
        yield
    TASKS.unregister("three_diseases")


@pytest.fixture(scope="module")
def walked(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Result]:
    done: dict[str, Result] = {}
    folder = tmp_path_factory.mktemp("kinds")

    def walk(task: str) -> Result:
        if task not in done:
            options = [f"{json_toml(o)}" for o in OBJECTIVES[task]]
            experiment = make(*SOURCE, f"protocol.task={task}", f"arms.0.objective={options[-1]}")
            with unpainted():
                done[task] = run(experiment, folder)
            (done[task].metrics).rename(folder / f"{task}.json")
        return done[task]

    return walk


def json_toml(value: dict[str, object]) -> str:
    return "{" + ",".join(f"{k}={json.dumps(v)}" for k, v in value.items()) + "}"


def cells_of(result: Result, task: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((result.metrics.parent / f"{task}.json").read_text())["cells"]
    return found


@pytest.mark.parametrize(("task", "metric"), [("lvef_percent", "mae"), ("mi_survival", "concordance")])
def test_every_arm_is_trained_and_measured(walked: Callable[[str], Result], task: str, metric: str) -> None:
    result = walked(task)
    cells = cells_of(result, task)
    assert [cell["arm"] for cell in cells] == ["fine-tuned", "linear probe", "kernels"]
    for cell in cells:
        assert cell["metrics"][metric]["value"] is not None  # type: ignore[index]
    assert len(result.rows) == 3
    assert "Paired differences" in result.report.read_text()


def test_several_labels_are_measured_together_and_each(walked: Callable[[str], Result]) -> None:
    cells = cells_of(walked("three_diseases"), "three_diseases")
    assert [c["task"] for c in cells if c["arm"] == "kernels"] == [
        "three_diseases", "three_diseases: mi", "three_diseases: diabetes",
    ]  # fmt: skip


def test_predictions_are_in_the_unit_of_the_task(walked: Callable[[str], Result]) -> None:
    folder = walked("lvef_percent").report.parent
    for found in map(open_artifact, folder.glob("predictor-*")):
        frame = pd.read_parquet(found.file("predictions.parquet"))
        if frame["task"].iloc[0] == "lvef_percent":
            assert frame["score"].between(20, 90).all()
            assert frame["label"].between(20, 90).all()


def test_a_risk_by_the_horizon_is_a_probability(walked: Callable[[str], Result]) -> None:
    folder = walked("mi_survival").report.parent
    frames = [pd.read_parquet(open_artifact(p).file("predictions.parquet")) for p in folder.glob("predictor-*")]
    own = [frame for frame in frames if frame["task"].iloc[0] == "mi_survival"]
    assert len(own) == 3
    for frame in own:
        assert frame["score"].between(0, 1).all()
        assert frame["time_days"].gt(0).all()
        assert frame["label"].isin([0.0, 1.0]).all()


def test_targets_have_the_shape_of_their_kind(walked: Callable[[str], Result]) -> None:
    cohort = Cohort.open(next(walked("lvef_percent").report.parent.glob("cohort-*")))
    assert cohort.targets("lvef_percent").shape == (len(cohort),)
    assert cohort.targets("mi_survival").shape == (len(cohort), 2)
    assert cohort.targets("three_diseases").shape == (len(cohort), 2)
    time, event = cohort.targets("mi_survival").T
    assert np.array_equal(np.isfinite(time), np.isfinite(event))


@pytest.mark.parametrize("task", ["lvef_percent", "mi_survival"])
def test_a_bundle_says_of_raw_files_what_the_pipeline_said(
    walked: Callable[[str], Result], tmp_path: Path, task: str
) -> None:
    predictor = network(walked(task).report.parent, task)
    bundle = inference.load(export_predictor(predictor.path, tmp_path / "bundle").path)
    row = pd.read_parquet(predictor.file("predictions.parquet")).query("split == 'test'").iloc[0]
    source = SimulatedSource(**SIMULATED)
    (ref,) = [r for r in source.records() if r.modality == "ecg" and r.subject == row["subject"]]
    said = bundle.predict(ecg=source.read(ref))  # type: ignore[arg-type]
    assert said.reason is None
    assert said.threshold is said.positive is said.logit is None
    if task == "lvef_percent":
        assert said.value == pytest.approx(row["score"], abs=1e-4)
        assert (said.risk, said.unit) == (None, "%")
        assert said.statement.endswith(f"{said.value:.4g} %")
    else:
        assert said.risk == pytest.approx(row["score"], abs=1e-5)
        assert (said.value, said.horizon_years) == (None, 5.0)
        assert said.statement.endswith("% within 5 years")
    other = bundle.predict(table={"age_years": 60.0})
    assert (other.risk, other.value) == (None, None)
    assert other.reason is not None
    json.dumps(other.to_json(), allow_nan=False)


def test_no_bundle_is_made_of_several_labels(make: Make, walked: Callable[[str], Result], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no bundle"):
        make(*SOURCE, "protocol.task=three_diseases", "export=fine-tuned")
    make(*SOURCE, "protocol.task=mi_survival", "export=fine-tuned")
    with pytest.raises(ConfigError, match="no bundle"):
        export_predictor(network(walked("three_diseases").report.parent, "three_diseases").path, tmp_path / "bundle")


def network(folder: Path, task: str) -> Artifact:
    found = [open_artifact(path) for path in folder.glob("predictor-fine-tuned-*")]
    (own,) = [f for f in found if pd.read_parquet(f.file("predictions.parquet"))["task"].iloc[0] == task]
    return own


@pytest.mark.slow
@pytest.mark.parametrize(("task", "options"), [(t, o) for t, many in OBJECTIVES.items() for o in many])
def test_every_loss_walks_the_whole_way(make: Make, tmp_path: Path, task: str, options: dict[str, object]) -> None:
    experiment = make(*SOURCE, f"protocol.task={task}", f"arms.0.objective={json_toml(options)}")
    run(experiment, tmp_path)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["protocol.task=mi_survival", "arms.0.objective.horizon_years=40"], InputError, "horizon"),
        (["protocol.task=mi_survival", "arms.0.objective.ties=exact"], ConfigError, "efron"),
        (["protocol.task=lvef_percent", "arms.0.objective.delta=0"], ConfigError, "delta"),
        (["protocol.task=lvef_percent", "arms.0.options.monitor=auroc"], ConfigError, "r2"),
        (["protocol.task=mi_survival", "arms.1.objective={loss='discrete_time'}"], ConfigError, "Cox"),
    ],
)
def test_what_does_not_fit_is_found_before_training(
    make: Make, walked: Callable[[str], Result], words: list[str], error: type[Exception], message: str
) -> None:
    folder = walked("lvef_percent").report.parent
    before = set(folder.glob("predictor-*"))
    with pytest.raises(error, match=message):
        run_until("finetune", make(*SOURCE, *words), folder)
    assert set(folder.glob("predictor-*")) == before


def test_alignment_does_not_learn_from_all_labels_of_the_endpoint_of_which_few_may_be_used(
    make: Make, tmp_path: Path
) -> None:
    words = [
        "protocol.task=lvef_percent", "label_fractions=[0.5]", "align.training.steps=1", "arms.0.start=aligned",
        "align.method={kind='align_all_pairs',options={phenotypes=['lvef_percent']}}", "ecg.pretrain=none",
        "tabular.encoder.kind=tabular_mlp",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="few may be used"):
        run(make(*SOURCE, *words), tmp_path)
