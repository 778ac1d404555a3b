"""The ways of making a predictor, on a cohort that lacks things."""

from __future__ import annotations

import ast
import functools
import importlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cardiobind
from cardiobind import pipeline
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.errors import ArtifactError, InputError
from cardiobind.inference import load as load_predictor
from cardiobind.methods.probe import REGULARISATIONS, USUAL_C, fit_logistic_probe
from cardiobind.pipeline.ceiling import CEILING_ROOMS
from cardiobind.pipeline.components import ARM_ROOMS, COHORT_ROOMS, NETWORK_ROOMS, Study
from cardiobind.pipeline.export import BUNDLE_ROOMS
from cardiobind.pipeline.finetune import cells
from cardiobind.pipeline.semi_supervised import labelled_and_other
from cardiobind.pipeline.workspace import Workspace
from cardiobind.training import computing_device

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
        "arms.0.options={fit='probe',hidden=4,dropout=0.1,crop_s=4.0,monitor='loss',fusion='token',fusion_width=8}",
    )  # fmt: skip
    only = experiment.model_copy(update={"arms": experiment.arms[:1]})
    (predictor,) = pipeline.run_until("finetune", only, folder)
    contract = pipeline.export_predictor(predictor.path, tmp_path / "bundle").json("contract.json")
    assert contract["fusion"] == {"fusion": "token", "hidden": 4, "dropout": 0.1, "fusion_width": 8}
    assert set(load_predictor(tmp_path / "bundle").fusion.enter) == {"ecg", "tabular"}
    assert (contract["crop_s"], contract["crops"]) == (4.0, 3)


def test_without_weight_all_subjects_add_nothing(make: Make, prepared: Path, tmp_path: Path) -> None:
    """The arm that sees every training subject is, at weight 0, the one that sees the labelled alone, bit for bit."""
    folder = shutil.copytree(prepared, tmp_path / "run")
    words = ("label_fractions=[0.3]", "arms.0.start=scratch", "finetune.epochs=2", "finetune.batch_size=4")
    weights = []
    for kind, options in (("network", "{hidden=4}"), ("semi_supervised", "{hidden=4,unlabelled_weight=0.0}")):
        experiment = make(*words, f"arms.0.kind={kind}", f"arms.0.options={options}")
        only = experiment.model_copy(update={"arms": experiment.arms[:1]})
        (predictor,) = pipeline.run_until("finetune", only, folder)
        weights.append(predictor.file("weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_labels_that_may_not_be_learnt_from_are_hidden(make: Make, prepared: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    words = ("label_fractions=[0.3]", "arms.0.start=scratch", "arms.0.kind=semi_supervised", "finetune.epochs=2")
    experiment = make(*words, "finetune.batch_size=4", "arms.0.options={hidden=4,fusion='dropout',threshold=0.0}")
    only = experiment.model_copy(update={"arms": experiment.arms[:1]})
    (predictor,) = pipeline.run_until("finetune", only, folder)
    assert (pd.read_csv(predictor.file("history.csv"))["train_agreement"] > 0).all()
    cohort = Cohort.open(next(folder.glob("cohort-*")))
    study = Study(only, Workspace(folder), cohort, Protocol.open(next(folder.glob("protocol-*")), cohort))
    (cell,) = cells(study, {}, None)
    shown, rows = labelled_and_other(cell), cell.training_rows()
    assert set(shown.rows) == set(study.cohort.rows_with(study.protocol.rows("train"), study.modalities))
    assert len(shown.rows) > 2 * len(rows)
    np.testing.assert_array_equal(shown.rows[: len(rows)], rows)
    labels = shown.batch(range(len(shown))).labels.numpy()
    np.testing.assert_array_equal(np.isfinite(labels), np.arange(len(shown)) < len(rows))
    assert pipeline.export_predictor(predictor.path, tmp_path / "bundle").json("contract.json")["fusion"] == {
        "fusion": "dropout", "hidden": 4,
    }  # fmt: skip


def test_another_seed_of_the_experiment_is_not_answered_by_old_predictors(make: Make, prepared: Path) -> None:
    cohort = Cohort.open(next(prepared.glob("cohort-*")))
    protocol = Protocol.open(next(prepared.glob("protocol-*")), cohort)
    described = []
    for seed in (0, 1):
        study = Study(make(f"seed={seed}"), Workspace(prepared), cohort, protocol)
        described.append([cell.description() for cell in cells(study, {}, None) if cell.arm.name == "kernels"])
    assert described[0] != described[1]


def test_embeddings_of_the_report_are_of_the_crops_that_were_aligned(
    make: Make, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[float | None] = []
    module = importlib.import_module("cardiobind.pipeline.pretrain")
    embed = module.embed
    monkeypatch.setattr(module, "embed", lambda *a, crop_s=None: shown.append(crop_s) or embed(*a, crop_s=crop_s))
    words = ("align.method={kind='align_all_pairs',options={crop_s=4.0}}", "align.training={epochs=1}")
    pipeline.run_until("align", make(*words), shutil.copytree(prepared, tmp_path / "run"))
    assert shown == [4.0]


@pytest.mark.parametrize("accelerator", ["cpu", "mps"])
def test_what_is_computed_outside_of_training_is_computed_where_the_experiment_says(
    make: Make, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str
) -> None:
    found: list[str] = []
    module = importlib.import_module("cardiobind.pipeline.run")
    monkeypatch.setattr(module, "learn_without_labels", lambda *_, **__: found.append(computing_device().type) or {})
    monkeypatch.setattr(module, "rehearse", lambda _: None)
    folder = shutil.copytree(prepared, tmp_path / "run")
    pipeline.run_until("align", make(f"training.accelerator={accelerator}"), folder)
    assert found == [accelerator]


PLUMBING = {"errors", "registry", "config", "artifact", "pipeline/workspace", "pipeline/progress"}
EVERY_ARM = {*ARM_ROOMS, *COHORT_ROOMS}


@pytest.mark.parametrize(
    ("rooms", "elsewhere"),
    [
        (NETWORK_ROOMS, COHORT_ROOMS),  # every cohort is a parent
        (ARM_ROOMS, COHORT_ROOMS),
        (CEILING_ROOMS, {"pipeline/results"}),  # the arm's name is all it takes from there
        (BUNDLE_ROOMS, EVERY_ARM),  # every predictor is a parent
    ],
)
def test_the_code_that_a_stage_runs_decides_its_fingerprint(rooms: Iterable[str], elsewhere: Iterable[str]) -> None:
    known = {*rooms, *elsewhere, *PLUMBING}
    used = {module for room in rooms for module in imports(room)}
    assert {m for m in used if not any(m == k or m.startswith(f"{k}/") for k in known)} == set()


@functools.cache
def imports(room: str) -> set[str]:
    """Return the modules of the package that the files of a room import, as rooms are written."""
    root = Path(cardiobind.__file__).parent
    files = sorted((root / room).rglob("*.py")) or [root / f"{room}.py"]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    found = {name.removeprefix("cardiobind.").replace(".", "/") for name in names if name.startswith("cardiobind.")}
    return found | {
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "cardiobind"
        for alias in node.names
    }  # fmt: skip


@pytest.fixture
def study(make: Make, prepared: Path, tmp_path: Path) -> Study:
    folder = shutil.copytree(prepared, tmp_path / "run")
    cohort = Cohort.open(next(folder.glob("cohort-*")))
    protocol = Protocol.open(next(folder.glob("protocol-*")), cohort)
    return Study(make("finetune.epochs=1"), Workspace(folder), cohort, protocol)


def test_a_report_without_a_validation_ecg_shows_no_reconstruction(study: Study) -> None:
    splits = np.where(study.protocol.splits == "validation", "test", study.protocol.splits)
    nobody = replace(study, protocol=replace(study.protocol, splits=splits))
    found = pipeline.pretrain(nobody, "ecg")
    assert found is not None
    assert found.json("model.json")["selection"]["weights"] == "last"
    assert importlib.import_module("cardiobind.pipeline.report")._reconstruction(nobody) is None


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


def test_a_classifier_starts_from_a_probe_without_a_validation_label(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = study.protocol.labels.copy()
    labels[study.protocol.rows("validation")] = np.nan
    monkeypatch.setattr(Protocol, "labels", property(lambda self: labels))
    (arm,) = (a for a in study.experiment.arms if a.name == "fine-tuned")
    changes = {"start": "scratch", "classifier": "probe", "options": {"hidden": 0}}
    only = study.experiment.model_copy(update={"arms": (arm.model_copy(update=changes),)})
    (predictor,) = pipeline.finetune(replace(study, experiment=only), {}, None)
    started = predictor.json("model.json")["classifier_start"]
    assert started == {"regularisation_c": USUAL_C, "validation_labels": 0}


def test_a_probe_needs_both_classes() -> None:
    with pytest.raises(InputError, match="one class"):
        fit_logistic_probe(np.ones((4, 2), np.float32), np.ones(4), np.ones((2, 2), np.float32), np.zeros(2), seed=0)


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
