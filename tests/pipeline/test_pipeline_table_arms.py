"""Baselines on the table: the risk score and boosted trees, on a cohort that lacks things."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from cardiobind import pipeline
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.errors import ArtifactError, ConfigError
from cardiobind.modalities.ecg.measurements import MEASUREMENTS
from cardiobind.modalities.features.presets import RISK_FACTORS
from cardiobind.modalities.tabular.design import Design
from cardiobind.pipeline.arms.risk_score import risk_factors
from cardiobind.pipeline.report import _training_labels

Make = Callable[..., Experiment]
SETS = '["tabular","ecg+tabular"]'
ARMS = (
    f'arms.0={{name="risk score",kind="risk_score",inputs={SETS}}}',
    f'arms.1={{name="boosted table",kind="boosted_table",inputs={SETS}}}',
    'arms.2={name="boosted both",kind="boosted_ecg_table",inputs=["ecg+tabular"]}',
)


def only_tables(make: Make, *words: str) -> Experiment:
    experiment = make(*ARMS, "ecg.pretrain=none", *words)
    return experiment.model_copy(update={"arms": experiment.arms[:3]})


@pytest.fixture(scope="module")
def fitted(make: Make, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("table") / "run")
    return {p.config["arm"]["name"]: p for p in pipeline.run_until("finetune", only_tables(make), folder)}


def scores(predictor: Artifact) -> pd.DataFrame:
    return pd.read_parquet(predictor.file("predictions.parquet"))


def test_both_score_the_same_subjects_and_smaller_sets_alike(fitted: dict[str, Artifact]) -> None:
    keys = ["subject", "visit", "inputs", "split", "label"]
    first, second, _ = (scores(found) for found in fitted.values())
    pd.testing.assert_frame_equal(first[keys], second[keys])
    for frame in (first, second):
        wide = frame.pivot(index=["subject", "visit"], columns="inputs", values="score")
        both = wide.dropna()
        assert 0 < len(both) < len(wide)
        np.testing.assert_array_equal(both["tabular"], both["ecg+tabular"])
        assert frame["score"].between(0, 1).all()


def test_the_report_knows_with_how_many_labels_each_was_fitted(fitted: dict[str, Artifact]) -> None:
    known = {arm: json.loads(found.file("probe.json").read_text())["training_labels"] for arm, found in fitted.items()}
    assert {arm: n for (arm, _), n in _training_labels(fitted.values()).items()} == known
    assert known["risk score"] > 0


def trained_with(labels: int, seed: int, arm: str = "one") -> SimpleNamespace:
    config = {"arm": {"name": arm}, "fraction": 0.1, "seed": seed}
    facts = {"training_labels": labels}
    return SimpleNamespace(
        kind="predictor", manifest={"files": {"model.json": ""}}, config=config, json=lambda name: facts
    )  # fmt: skip


def test_numbers_of_labels_that_differ_between_endpoints_are_not_averaged() -> None:
    alike = [trained_with(10, 0), trained_with(12, 1)]
    assert _training_labels(alike) == {("one", 0.1): 11}  # type: ignore[arg-type]
    other = [*alike, trained_with(5, 0), trained_with(7, 0, "two")]
    assert _training_labels(other) == {("two", 0.1): 7}  # type: ignore[arg-type]


def test_the_risk_score_is_the_line_that_it_writes_down(fitted: dict[str, Artifact], prepared: Path) -> None:
    facts = fitted["risk score"].json("probe.json")
    cohort = Cohort.open(next(prepared.glob("cohort-*")))
    protocol = Protocol.open(next(prepared.glob("protocol-*")), cohort)
    contract = risk_factors(protocol.contract)  # type: ignore[arg-type]
    assert contract.names == tuple(n for n in RISK_FACTORS if n in protocol.contract.names)  # type: ignore[union-attr]
    rows = cohort.rows_with(protocol.rows("train"), ["tabular"])
    design = Design.fit(contract.columns, contract.encode(cohort.table.iloc[rows]))
    weights, bias = facts["coefficients"][0], facts["intercepts"][0]
    frame = scores(fitted["risk score"]).query("inputs == 'tabular' and split == 'test'")
    place = {s: i for i, s in enumerate(cohort.samples["subject"])}
    shown = design.matrix(contract.encode(cohort.table.iloc[[place[s] for s in frame["subject"]]]))
    said = shown @ np.array([weights[name] for name in design.names]) + bias
    np.testing.assert_allclose(said, logit(frame["score"]), atol=1e-4)


def test_the_trees_that_were_chosen_are_written_down(fitted: dict[str, Artifact]) -> None:
    (chosen,) = fitted["boosted table"].json("probe.json")["trees"]
    assert 1 <= chosen["rounds"] <= 100
    assert {"leaves", "subjects"} <= set(chosen)


def test_what_is_measured_is_measured_once_for_all_ecgs(fitted: dict[str, Artifact]) -> None:
    folder = fitted["boosted both"].path.parent
    (found,) = folder.glob("ecg-measurements-*")
    measured = pd.read_parquet(found / "measurements.parquet")
    assert tuple(measured) == MEASUREMENTS
    cohort = Cohort.open(next(folder.glob("cohort-*")))
    assert len(measured) == cohort.has("ecg").sum()
    assert measured["heart_rate_bpm"].between(30, 150).all()
    both, table = scores(fitted["boosted both"]), scores(fitted["boosted table"]).query("inputs == 'ecg+tabular'")
    assert both["subject"].tolist() == table["subject"].tolist()


def test_a_table_model_cannot_be_exported(fitted: dict[str, Artifact], tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="only a network can be exported"):
        pipeline.export_predictor(fitted["boosted table"].path, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (('arms.0={name="risk score",kind="risk_score"}',), "not in the inputs"),
        (('arms.1={name="b",kind="boosted_table",inputs=["ecg"]}',), "not in the inputs"),
        (('arms.2={name="b",kind="boosted_ecg_table",inputs=["ecg"]}',), "not in the inputs"),
        (('arms.2={name="b",kind="boosted_cmr",inputs=["ecg+tabular"]}',), "experiment lacks"),
        (('arms.0={name="r",kind="risk_score",inputs=["tabular"],options={columns=["age"]}}',), "no such column"),
        (("tabular.features=['height_cm']",), "none of the risk factors"),
        (('arms.0={name="r",kind="risk_score",inputs=["tabular"],options={column=["age"]}}',), "unknown option"),
    ],
)
def test_what_does_not_fit_is_said_before_any_training(
    make: Make, prepared: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    with pytest.raises(ConfigError, match=message):
        pipeline.run_until("finetune", only_tables(make, *words), folder)
    assert not list(folder.glob("predictor-*"))


def test_an_ecg_that_is_too_slow_to_be_measured_is_refused_before_any_training(
    make: Make, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    monkeypatch.setattr("cardiobind.modalities.measurable.SLOWEST_RATE_HZ", 1e4)
    with pytest.raises(ConfigError, match="cannot measure an ECG of that rate"):
        pipeline.run_until("finetune", only_tables(make), folder)
    assert not list(folder.glob("predictor-*"))
