"""A bundle of several seeds says the mean of what they say; it holds nobody, and older ones still open."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.special import expit, logit
from small_bundle import small_bundle
from torch import nn
from typer.testing import CliRunner

from cardiobind import artifact, inference, pipeline
from cardiobind.artifact import Artifact, open_artifact
from cardiobind.cli import app
from cardiobind.errors import ArtifactError, CorruptArtifactError
from cardiobind.inference.bundle import LIKENESS, SCHEMA_VERSION, BundleContract, card_of, likeness_of
from cardiobind.inference.trust.likeness import Familiar, save_likeness
from cardiobind.modalities.tabular.contract import TableColumn
from cardiobind.objectives import ENDPOINTS
from cardiobind.pipeline.export.seeds import of_one_scale, rescale, same_but_seed
from cardiobind.pipeline.export.summary import _fact
from cardiobind.pipeline.export.validation import Validation
from cardiobind.sharing.release.rules import Context
from cardiobind.sharing.release.schema import facts
from walking import EID, Walk

FACTS = {"age_years": 61.0, "sex": "male", "sbp_mmhg": 150.0}


def another_seed(found: Artifact, path: Path, **config: Any) -> Artifact:
    """Return a predictor that differs from one in its seed, its weights and what it says."""
    parents = [open_artifact(found.path.resolve() / p["path"]) for p in found.manifest["parents"]]
    torch.manual_seed(1)
    with artifact.commit(path, "predictor", parents=parents, config={**found.config, "seed": 1, **config}) as folder:
        shutil.copy(found.file("model.json"), folder)
        state = load_file(found.file("weights.safetensors"))
        moved = {k: v + 0.02 * torch.randn_like(v) if v.is_floating_point() else v for k, v in state.items()}
        save_file({k: v if k.endswith("running_var") is False else state[k] for k, v in moved.items()},
                  folder / "weights.safetensors")  # fmt: skip
        frame = pd.read_parquet(found.file("predictions.parquet"))
        scores = expit(logit(frame["score"]) + np.random.default_rng(0).normal(0, 0.5, len(frame)))
        frame.assign(score=scores, seed=1).to_parquet(folder / "predictions.parquet", index=False)
    return open_artifact(path)


@pytest.fixture(scope="module")
def seeds(walked: Walk, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    first = walked.exported()
    return first, another_seed(first, tmp_path_factory.mktemp("seeds") / "second")


@pytest.fixture(scope="module")
def both(seeds: tuple[Artifact, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("both") / "bundle"
    found = CliRunner().invoke(app, ["export", str(seeds[0].path), str(out), "--also", str(seeds[1].path)])
    assert found.exit_code == 0, found.output
    return out


@pytest.mark.e2e
def test_several_seeds_say_the_mean_of_their_logits(
    seeds: tuple[Artifact, Artifact], both: Path, tmp_path: Path
) -> None:
    predictor = inference.load(both)
    assert len(predictor.members) == predictor.contract.members == 2
    assert len(open_artifact(both).manifest["parents"]) == 2
    assert predictor.contract.summary["seeds"] == [0, 1]
    alone = inference.load(pipeline.export_predictor(seeds[1].path, tmp_path / "one").path).predict(table=FACTS)
    first = inference.load(pipeline.export_predictor(seeds[0].path, tmp_path / "other").path).predict(table=FACTS)
    found = predictor.predict(table=FACTS)
    assert found.logit == pytest.approx((alone.logit + first.logit) / 2, abs=1e-5)
    assert alone.logit != first.logit


@pytest.mark.e2e
def test_calibration_is_that_of_the_mean_and_the_interval_knows_the_seeds(
    seeds: tuple[Artifact, Artifact], both: Path
) -> None:
    contract = inference.load(both).contract
    validation = Validation.of(seeds, "binary", {})
    for inputs, own in validation.scores.items():
        np.testing.assert_allclose(validation.mean(inputs), expit(logit(own).mean(axis=0)))
        known = contract.certainty[inputs]
        if known.covariance is not None:
            assert known.seed_variance == pytest.approx(logit(own).var(axis=0, ddof=1).mean(), rel=1e-6)
    assert contract.calibration == validation.calibrations()
    one = Validation.of(seeds[:1], "binary", {})
    assert all((one.mean(inputs) == own[0]).all() for inputs, own in one.scores.items())


@pytest.mark.e2e
def test_only_seeds_of_one_arm_become_one_bundle(
    walked: Walk, seeds: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    with pytest.raises(ArtifactError, match="twice"):
        same_but_seed([seeds[0], seeds[0]])
    with pytest.raises(ArtifactError, match="differ in their seed"):
        pipeline.export_predictor([seeds[0].path, another_seed(seeds[0], tmp_path / "x", fraction=0.1).path], "never")
    assert of_one_scale(seeds)


@pytest.mark.e2e
def test_a_bundle_holds_nobody_and_few_are_not_told(walked: Walk, both: Path) -> None:
    for bundle in (walked.bundle, both):
        found = open_artifact(bundle)
        for name in found.manifest["files"]:
            assert not EID.search(found.file(name).read_bytes()), name
        contract = inference.load(bundle).contract
        for known in contract.risks.values():
            assert min(known.counts) >= 10
        told = [n for counts in contract.summary["splits"].values() for n in counts.values() if n is not None]
        assert all(n == 0 or n >= 10 for n in told)
        assert all(known.events is None or known.events >= 10 for known in contract.certainty.values())
        assert all(known.subjects is None or known.subjects >= 10 for known in contract.certainty.values())
        assert contract.summary["training_labels"] is None or contract.summary["training_labels"] >= 10
        for modality, familiar in likeness_of(found).items():
            for check in familiar.checks.values():
                assert len(check.axes) <= max(familiar.training // 10, check.axes.shape[1]), modality
        assert "Research use only" in (card_of(found) or "")


@pytest.mark.e2e
def test_the_training_subjects_are_familiar_and_noise_is_not(walked: Walk) -> None:
    found = inference.load(walked.bundle)
    assert set(found.likeness) >= {"ecg", "tabular"}
    distances = []
    for subject in sorted(walked.predictions().query("split == 'test' and inputs == 'ecg'")["subject"])[:8]:
        answer = found.predict(ecg=walked.raw / "bulk" / f"{subject}_20205_2_0.xml")
        distances.append(answer.verdicts["ecg"].distance)
    assert np.median(distances) < 1
    assert found.contract.leads is not None
    assert found.contract.leads.trained is False
    assert [len(one.leads) for one in found.contract.leads.costs] == [12, 6, 2, 1]


@pytest.mark.e2e
def test_an_older_bundle_opens_and_a_newer_one_names_what_to_do(walked: Walk, tmp_path: Path) -> None:
    found = open_artifact(walked.bundle)
    written = found.json("contract.json")
    older = {k: v for k, v in written.items() if k not in ("members", "certainty", "risks", "leads")}
    for version, contract in ((1, older), (2, written), (SCHEMA_VERSION + 1, written)):
        with artifact.commit(tmp_path / str(version), "bundle", schema_version=version) as folder:
            (folder / "contract.json").write_text(json.dumps(contract))
            shutil.copy(found.file("weights.safetensors"), folder)
            if version == 2:
                save_likeness(folder / LIKENESS, {m: without_texture(one) for m, one in likeness_of(found).items()})
    predictor = inference.load(tmp_path / "1")
    answer = predictor.predict(table=FACTS)
    assert answer.logit == inference.load(walked.bundle).predict(table=FACTS).logit
    assert (answer.interval, answer.abstained, predictor.likeness) == (None, None, {})
    assert LIKENESS in found.manifest["files"]
    subject = walked.predictions().query("inputs == 'ecg'")["subject"].iloc[0]
    ecg = walked.raw / "bulk" / f"{subject}_20205_2_0.xml"
    said, today = (inference.load(path).predict(ecg=ecg) for path in (tmp_path / "2", walked.bundle))
    assert said.verdicts["ecg"].like_training is not None
    assert replace(said, verdicts={}, bundle="") == replace(today, verdicts={}, bundle="")
    with pytest.raises(ArtifactError, match="newer version"):
        inference.load(tmp_path / str(SCHEMA_VERSION + 1))


def without_texture(one: Familiar) -> Familiar:
    """Return a likeness as bundles of version 2 have it."""
    return replace(one, checks={name: check for name, check in one.checks.items() if name != "texture"})


def test_weights_that_are_no_safetensors_are_told(tmp_path: Path) -> None:
    bundle = open_artifact(small_bundle(tmp_path / "bundle"))
    with artifact.commit(tmp_path / "odd", "bundle", schema_version=SCHEMA_VERSION) as folder:
        shutil.copy(bundle.file("contract.json"), folder)
        (folder / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(CorruptArtifactError, match="weights of the bundle cannot be read"):
        inference.load(tmp_path / "odd")


@pytest.mark.parametrize(
    ("kind", "own", "wanted"),
    [
        ("regression", {"mean": 60.0, "sd": 8.0, "loss": "mse", "delta": 1.0}, {"mean": 55.0, "sd": 6.0}),
        ("regression", {"mean": 60.0, "sd": 8.0, "loss": "gaussian", "delta": 1.0}, {"mean": 55.0, "sd": 6.0}),
        ("survival", {"loss": "cox", "horizon_years": 5.0, "baseline": 0.2}, {"baseline": 0.05}),
    ],
)
def test_a_member_speaks_on_the_scale_of_the_first(kind: str, own: dict[str, Any], wanted: dict[str, Any]) -> None:
    build, wanted = ENDPOINTS.get(kind).from_json, own | wanted
    torch.manual_seed(0)
    last, seen = nn.Linear(5, build(own).outputs), torch.randn(7, 5)
    before = last(seen).detach().double().numpy()
    rescale(last, kind, own, wanted)
    after = last(seen).detach().double().numpy()
    np.testing.assert_allclose(build(wanted).predicted(after), build(own).predicted(before), rtol=1e-5)
    if after.shape[1] == 2:
        sd = [np.exp(logits[:, 1] / 2) * o["sd"] for logits, o in ((before, own), (after, wanted))]
        np.testing.assert_allclose(sd[0], sd[1], rtol=1e-5)


@dataclass
class Told:
    """A predictor of which the objective alone is asked for."""

    objective: dict[str, Any]
    config: dict[str, Any]
    path: Path = Path("predictor")
    manifest: dict[str, Any] = field(default_factory=lambda: {"parents": []})

    def json(self, name: str) -> dict[str, Any]:
        return {"objective": self.objective}


@pytest.mark.parametrize(
    ("objective", "one"),
    [
        ({}, True), ({"loss": "mse", "mean": 60.0}, True), ({"loss": "cox", "baseline": 0.1, "bounds": []}, True),
        ({"loss": "discrete_time", "bounds": [100.0, 900.0]}, False),
    ],
)  # fmt: skip
def test_seeds_whose_risk_is_not_linear_in_a_logit_become_no_bundle(objective: dict[str, Any], one: bool) -> None:
    seeds: Any = [Told(objective, {"seed": 0}), Told(objective, {"seed": 1})]
    assert of_one_scale(seeds) is one
    assert of_one_scale(seeds[:1])
    same_but_seed(seeds[:1])
    if not one:
        with pytest.raises(ArtifactError, match="intervals of time"):
            same_but_seed(seeds)


@pytest.mark.parametrize("kind", ["regression", "survival"])
@pytest.mark.parametrize("subjects", [7, 9, 10])
def test_values_of_too_few_subjects_are_not_vouched_for(kind: str, subjects: int) -> None:
    frame = pd.DataFrame({"label": np.linspace(0.1, 0.9, subjects)})
    found = Validation(kind, {"ecg": frame}, {"ecg": frame["label"].to_numpy()[None]}, None).calibrations()["ecg"]
    few = "fewer than 10 validation subjects, at least 10 are needed"
    assert found.reason == (None if subjects >= 10 else few)


def test_a_class_of_few_is_not_told_in_the_reason() -> None:
    frame = pd.DataFrame({"label": [1.0, 1.0, *[0.0] * 40]})
    scores = np.linspace(0.9, 0.1, 42)[None]
    found = Validation("binary", {"ecg": frame}, {"ecg": scores}, None).calibrations()["ecg"]
    assert found.reason == "too few validation subjects of one class; at least 3 of each are needed"


@pytest.mark.parametrize(("yes", "of", "told"), [(200, 1000, True), (9, 1000, False), (991, 1000, False),
                                                 (10, 4000, True), (3990, 4000, False), (0, 50, True)])  # fmt: skip
def test_a_share_that_rounds_to_few_is_not_told(yes: int, of: int, told: bool) -> None:
    column = TableColumn("diabetes", "flag", 0.0, 0.0, -np.inf, np.inf, ())
    fact = _fact(column, pd.Series([1.0] * yes + [0.0] * (of - yes)))
    assert ("share" in fact) is told
    assert not list(facts("facts", {"diabetes": fact}, Context()))


@pytest.mark.e2e
def test_a_contract_with_all_of_it_survives_its_file(walked: Walk) -> None:
    contract = inference.load(walked.bundle).contract
    assert contract.certainty
    assert contract.risks
    assert BundleContract.from_json(json.loads(json.dumps(contract.to_json()))) == contract
    assert replace(contract, members=2) != contract
