"""The ways of making a predictor, on a cohort that lacks things."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cardiobind import pipeline
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.errors import ArtifactError
from cardiobind.methods.probe import REGULARISATIONS, USUAL_C, fit_logistic_probe
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.workspace import Workspace

Make = Callable[..., Experiment]


@pytest.fixture(scope="module")
def finetuned(make: Make, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("arms") / "run")
    return {p.config["arm"]["name"]: p for p in pipeline.run_until("finetune", make(), folder)}


def scores(predictor: Artifact) -> pd.DataFrame:
    return pd.read_parquet(predictor.file("predictions.parquet"))


def test_every_kind_of_arm_scores_the_same_subjects(finetuned: dict[str, Artifact]) -> None:
    frames = {name: scores(found) for name, found in finetuned.items()}
    keys = ["subject", "visit", "inputs", "split", "label"]
    first = frames["fine-tuned"][keys]
    for frame in frames.values():
        pd.testing.assert_frame_equal(frame[keys], first)
        assert frame["score"].between(0, 1).all()
        assert frame["score"].nunique() > 5


def test_a_linear_arm_uses_its_inputs_alone(finetuned: dict[str, Artifact]) -> None:
    facts = finetuned["linear probe"].json("probe.json")
    assert facts["regularisation_c"] in REGULARISATIONS
    assert facts["inputs"] == ["ecg"]
    assert set(facts["encoders"]) == {"ecg", "tabular"}


def test_a_linear_arm_cannot_be_exported(finetuned: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="only a network can be exported"):
        pipeline.export_predictor(finetuned["kernels"].path, tmp_path / "bundle")


def test_the_options_of_an_arm_reach_the_bundle(make: Make, prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    experiment = make(
        "arms.0.start=scratch", "finetune.epochs=1",
        "arms.0.options={fit='probe',hidden=4,dropout=0.1,crop_s=4.0,monitor='loss'}",
    )  # fmt: skip
    only = experiment.model_copy(update={"arms": experiment.arms[:1]})
    (predictor,) = pipeline.run_until("finetune", only, folder)
    contract = pipeline.export_predictor(predictor.path, tmp_path / "bundle").json("contract.json")
    assert contract["fusion"] == {"hidden": 4, "dropout": 0.1}
    assert (contract["crop_s"], contract["crops"]) == (4.0, 3)


@pytest.fixture
def study(make: Make, prepared: Path, tmp_path: Path) -> Study:
    folder = shutil.copytree(prepared, tmp_path / "run")
    cohort = Cohort.open(next(folder.glob("cohort-*")))
    protocol = Protocol.open(next(folder.glob("protocol-*")), cohort)
    return Study(make("finetune.epochs=1"), Workspace(folder), cohort, protocol)


@pytest.mark.parametrize("split", ["one class", "no label"])
@pytest.mark.parametrize("arm", ["fine-tuned", "linear probe", "kernels"])
def test_a_validation_split_that_decides_nothing(
    study: Study, monkeypatch: pytest.MonkeyPatch, arm: str, split: str
) -> None:
    labels = study.protocol.labels.copy()
    labels[study.protocol.rows("validation")] = 0.0 if split == "one class" else np.nan
    monkeypatch.setattr(Protocol, "labels", property(lambda self: labels))
    experiment = study.experiment
    chosen = next(a for a in experiment.arms if a.name == arm).model_copy(update={"start": "scratch"})
    only = experiment.model_copy(update={"arms": (chosen,)})
    (predictor,) = pipeline.finetune(Study(only, study.workspace, study.cohort, study.protocol), {}, None)
    frame = scores(predictor)
    assert set(frame["split"]) == ({"validation", "test"} if split == "one class" else {"test"})
    if "model.json" in predictor.manifest["files"]:
        assert predictor.json("model.json")["selection"]["weights"] == "last"
    metrics = pipeline.evaluate_cells(study, [predictor]).json("metrics.json")
    (cell,) = metrics["cells"]
    assert cell["metrics"]["auroc"]["value"] is not None
    assert cell["metrics"]["balanced_accuracy"]["value"] is None
    assert "validation" in cell["metrics"]["balanced_accuracy"]["undefined"]
    json.dumps(metrics, allow_nan=False)


def reference(features: np.ndarray, labels: np.ndarray, shown: np.ndarray, c: float) -> np.ndarray:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=2000))
    return np.asarray(model.fit(features, labels).predict_proba(shown)[:, 1])


def test_the_probe_is_chosen_by_validation() -> None:
    generator = np.random.default_rng(0)
    signal = generator.standard_normal((400, 1))
    features = np.hstack([signal, generator.standard_normal((400, 60))]).astype(np.float32)
    labels = (signal[:, 0] + 0.5 * generator.standard_normal(400) > 0.8).astype(float)
    train, held_out = slice(0, 60), slice(60, 400)
    probe = fit_logistic_probe(features[train], labels[train], features[held_out], labels[held_out], seed=0)
    best = max(
        REGULARISATIONS,
        key=lambda c: roc_auc_score(labels[held_out], reference(features[train], labels[train], features[held_out], c)),
    )
    assert probe.c == best
    assert probe.probabilities(features[held_out]).shape == (340,)
    unsettled = fit_logistic_probe(features[train], labels[train], features[held_out], np.zeros(340), seed=0)
    assert unsettled.c == USUAL_C
