"""A bundle in the layout of hubs is the same bundle; what was altered is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import cardiobind
from cardiobind import artifact, inference, sharing
from cardiobind.artifact import Artifact
from cardiobind.cli import app
from cardiobind.errors import ArtifactError, ArtifactExistsError, CorruptArtifactError
from cardiobind.inference.bundle import Calibration
from cardiobind.inference.prepared import PreparedSubject
from cardiobind.inference.trust.intervals import Certainty

METRICS = {
    "cells": [
        {
            "task": "mi", "arm": "a", "inputs": "ecg", "fraction": fraction,
            "metrics": {"auroc": {"value": 0.7 + fraction / 10, "low": 0.6, "high": 0.8}, "ece": {"value": 0.1}},
        }
        for fraction in (0.1, 1.0)
    ]
}  # fmt: skip

SUMMARY = {"splits": {}, "training_labels": 450, "arm": "a"}


def subject() -> PreparedSubject:
    torch.manual_seed(3)
    table = torch.tensor([[[0.3, 1.0], [1.0, 1.0], [0.0, 0.0]]])
    return PreparedSubject({"ecg": torch.randn(1, 12, 400), "cmr": torch.randn(1, 3, 32, 32), "tabular": table}, {})


def test_scores_are_the_same_to_the_bit(make: Any, tmp_path: Path) -> None:
    bundle = make()
    written = sharing.export_hub(bundle, tmp_path / "hub")
    assert written.files == ("README.md", "config.json", "model.safetensors", "preprocessor_config.json")
    first, second = (inference.load(path).score(subject()) for path in (bundle, tmp_path / "hub"))
    assert first == second
    assert first.bundle == written.bundle
    contract = json.loads((tmp_path / "hub" / "preprocessor_config.json").read_text())
    assert contract == json.loads((bundle / "contract.json").read_text())
    again = sharing.export_hub(tmp_path / "hub", tmp_path / "again")
    for name in again.files:
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "hub" / name).read_bytes()


def test_files_of_a_repository_beside_it_do_not_matter(make: Any, tmp_path: Path) -> None:
    sharing.export_hub(make(), tmp_path / "hub")
    (tmp_path / "hub" / ".gitattributes").write_text("*.safetensors filter=lfs")
    (tmp_path / "hub" / ".git").mkdir()
    (tmp_path / "hub" / "README.md").write_text("my own words")
    assert cardiobind.load(tmp_path / "hub").contract.task == "mi"


def test_the_card_has_a_header_that_hubs_read(make: Any, tmp_path: Path) -> None:
    sharing.export_hub(make(), tmp_path / "hub", licence="cc-by-nc-4.0", metrics=METRICS)
    text = (tmp_path / "hub" / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    said = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in header.splitlines())}
    assert said["license"] == "cc-by-nc-4.0"
    assert said["library_name"] == "cardiobind"
    assert {"electrocardiogram", "cardiac-mri"} <= set(said["tags"])
    assert said["metrics"] == ["roc_auc"]
    (result,) = said["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "roc_auc", "name": "auroc", "value": 0.8}]
    assert inference.NOTICE in body
    assert "| ecg | auroc | 0.800 | 0.600 to 0.800 |" in body
    assert "metrics" not in sharing_header(make, tmp_path)


def card_of(bundle: Path, out: Path) -> str:
    sharing.export_hub(bundle, out, metrics=METRICS)
    return (out / "README.md").read_text()


def test_results_are_those_of_the_bundle_s_share_of_labels(make: Any, tmp_path: Path) -> None:
    few = card_of(make(summary={**SUMMARY, "label_fraction": 0.1}), tmp_path / "few")
    assert "| ecg | auroc | 0.710 |" in few
    assert "0.800 |" not in few.replace("0.600 to 0.800 |", "")
    assert "this bundle is one of them." in few
    assert "Measured on test" not in card_of(make("unknown", summary=SUMMARY), tmp_path / "none")
    assert "this bundle is 2 of them together" in card_of(make("two", members=2), tmp_path / "two_hub")


def test_a_card_calls_nothing_fitted_that_was_not(make: Any, tmp_path: Path) -> None:
    calibration = {"ecg": Calibration(None, None, None), "cmr": Calibration(None, None, None, "too few")}
    objective = {"loss": "mse", "mean": 60.0, "sd": 8.0, "delta": 1.0}
    card = card_of(
        make(kind="regression", objective=objective, calibration=calibration, certainty={"ecg": Certainty(140)}),
        tmp_path / "hub",
    )
    assert "- ecg: validated on 140 validation subjects" in card
    assert "- cmr: too few" in card
    assert "Fitted on" not in card
    assert "| - |" not in card


def sharing_header(make: Any, tmp_path: Path) -> str:
    sharing.export_hub(make("other"), tmp_path / "plain")
    return (tmp_path / "plain" / "README.md").read_text().split("---\n")[1]


def reconfigure(folder: Path, change: Callable[[dict[str, Any]], object], *, digest: bool) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    if digest:
        config["digest"] = inference.hub.config_digest(config)
    (folder / "config.json").write_text(json.dumps(config))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


BROKEN: dict[str, tuple[Callable[[Path], object], type[ArtifactError], str]] = {
    "weights": (lambda d: flip(d / "model.safetensors"), CorruptArtifactError, "altered"),
    "contract": (lambda d: flip(d / "preprocessor_config.json"), CorruptArtifactError, "altered"),
    "gone": (lambda d: (d / "model.safetensors").unlink(), CorruptArtifactError, "missing"),
    "torn": (lambda d: (d / "config.json").write_text("{"), CorruptArtifactError, "cannot be read"),
    "edited": (lambda d: reconfigure(d, lambda c: c.update(task="x"), digest=False), CorruptArtifactError, "altered"),
    "other": (lambda d: reconfigure(d, lambda c: c.update(model_type="x"), digest=True), ArtifactError, "no cardio"),
    "newer": (lambda d: reconfigure(d, lambda c: c.update(hub_version=9), digest=True), ArtifactError, "newer"),
    "outside": (
        lambda d: reconfigure(d, lambda c: c["files"].update({"../x": {"bytes": 1, "sha256": ""}}), digest=True),
        CorruptArtifactError, "altered",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_was_altered_is_refused(make: Any, tmp_path: Path, what: str) -> None:
    damage, error, said = BROKEN[what]
    sharing.export_hub(make(), tmp_path / "hub")
    damage(tmp_path / "hub")
    with pytest.raises(error, match=said):
        inference.load(tmp_path / "hub")


def test_a_release_knows_no_places(make: Any, tmp_path: Path, run_predictor: Artifact) -> None:
    bundle = make(parents=(run_predictor,))
    assert len(artifact.verify(bundle)) == 2
    released = sharing.export_release(bundle, tmp_path / "release")
    (parent,) = released.manifest["parents"]
    assert parent == {"kind": "predictor", "digest": run_predictor.digest, "path": ""}
    assert inference.load(tmp_path / "release").score(subject()).logit == inference.load(bundle).score(subject()).logit
    with pytest.raises(ArtifactError, match="left out on purpose"):
        artifact.verify(tmp_path / "release")


def test_the_command_writes_all_forms(make: Any, tmp_path: Path) -> None:
    bundle, runner = make(), CliRunner()
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    places = {"--onnx": "m.onnx", "--hub": "hub", "--metrics": "metrics.json", "--release": "r"}
    given = [word for option, name in places.items() for word in (option, str(tmp_path / name))]
    words = ["export", str(bundle), "--inputs", "ecg+tabular", *given]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "ecg_present (batch)" in done.output
    assert "differs from torch by" in done.output
    assert {"m.onnx", "hub", "r"} <= {path.name for path in tmp_path.iterdir()}
    tower = runner.invoke(app, ["export", str(bundle), "--onnx", str(tmp_path / "t.onnx"), "--tower", "ecg"])
    assert "-> embedding, tokens" in tower.output
    assert runner.invoke(app, ["export", str(bundle)]).exit_code == 2
    again = runner.invoke(app, words)
    assert isinstance(again.exception, ArtifactExistsError)
