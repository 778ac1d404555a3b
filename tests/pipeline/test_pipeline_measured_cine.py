"""Cines are measured once, for the encoder that learns to measure and for the trees that are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from cardiobind import pipeline
from cardiobind.artifact import open_artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.modalities.cmr.layouts import Planes
from cardiobind.modalities.cmr.measurements import measurements_of
from cardiobind.pipeline import measured
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.workspace import Workspace

Make = Callable[..., Experiment]
NETWORK = '{kind="resnet",options={depth=10,base_width=4,stem="small"}}'
CINES = (
    "source.options={subjects=80,mi_prevalence=0.4,ecg_fraction=0.9,cmr_fraction=0.8,"
    "slices=1,phases=10,image_px=64,pixel_spacing_mm=3.6}",
    f'cmr={{size_px=48,encoder={NETWORK},pretrain={{method={{kind="measured"}},training={{epochs=1}}}}}}',
    "ecg.pretrain=none",
    'align={method={kind="align_to_measured",options={crop_s=2.0}},training={epochs=1}}',
    'arms.0={name="learnt",start="pretrained",inputs=["cmr"]}',
    'arms.1={name="boosted cine",kind="boosted_cmr",inputs=["cmr","cmr+ecg+tabular"]}',
    'arms.2={name="boosted all",kind="boosted_all",inputs=["cmr+ecg+tabular"]}',
)


@pytest.fixture(scope="module")
def folder(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cines") / "run"
    pipeline.run_until("finetune", make(*CINES), out)
    return out


@pytest.fixture(scope="module")
def cohort(folder: Path) -> Cohort:
    return Cohort.open(next(folder.glob("cohort-*")))


def predictions(folder: Path, arm: str) -> pd.DataFrame:
    (found,) = folder.glob(f"predictor-{arm}-*")
    return pd.read_parquet(found / "predictions.parquet")


def test_what_is_measured_is_a_parent_of_the_encoder_and_has_a_row_for_each_cine(folder: Path, cohort: Cohort) -> None:
    (found,) = folder.glob("cmr-measurements-*")
    values = pd.read_parquet(found / "measurements.parquet")
    assert tuple(values) == measurements_of(Planes.of_names(cohort.spec("cmr").names))
    assert len(values) == cohort.has("cmr").sum()
    assert values["mid_pool_ed_mm2"].between(300, 5000).mean() > 0.9
    lvef = cohort.labels("lvef_percent")[cohort.has("cmr")] if "lvef_percent" in cohort.tasks else None
    assert lvef is None or np.corrcoef(values["mid_ejection_percent"], lvef)[0, 1] > 0.7
    (encoder,) = folder.glob("pretrain-cmr-*")
    assert open_artifact(encoder).config["stage"]["method"]["kind"] == "measured"
    assert "features" in {parent["kind"] for parent in open_artifact(encoder).manifest["parents"]}


def test_the_alignment_is_told_what_was_measured_and_leaves_the_cine_as_it_was(folder: Path) -> None:
    (aligned,), (encoder,) = folder.glob("align-*"), folder.glob("pretrain-cmr-*")
    assert {"features", "encoder"} <= {parent["kind"] for parent in open_artifact(aligned).manifest["parents"]}
    assert {"validation_loss", "validation_r2_ecg", "validation_r2_tabular"} <= set(
        pd.read_csv(aligned / "history.csv")
    )
    before, after = (load_file(part / "weights.safetensors") for part in (encoder, aligned))
    kept = {name.removeprefix("cmr.encoder."): w for name, w in after.items() if name.startswith("cmr.encoder.")}
    assert kept.keys() == before.keys()
    assert all(np.array_equal(kept[name], weights) for name, weights in before.items())


def test_trees_on_the_cine_score_who_has_one(folder: Path) -> None:
    keys = ["subject", "visit", "split", "label"]
    cine, everything = predictions(folder, "boosted-cine"), predictions(folder, "boosted-all")
    both = cine.query("inputs == 'cmr+ecg+tabular'")[keys].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, everything[keys].reset_index(drop=True))
    alone = cine.query("inputs == 'cmr'")
    assert set(both["subject"]) < set(alone["subject"])
    assert set(alone["subject"]) == set(predictions(folder, "learnt")["subject"])
    assert cine["score"].between(0, 1).all()


def test_targets_are_scaled_by_training_subjects_and_unknown_for_test_subjects(
    make: Make, folder: Path, cohort: Cohort
) -> None:
    protocol = Protocol.open(next(folder.glob("protocol-*")), cohort)
    study = Study(make(*CINES), Workspace(folder), cohort, protocol)
    targets = measured.measurements_to_learn(study, "cmr", measured.measured(study, "cmr"))
    has = cohort.has("cmr")
    train, test = (np.intersect1d(protocol.rows(split), np.flatnonzero(has)) for split in ("train", "test"))
    assert np.isnan(targets[~has]).all()
    assert np.isnan(targets[test]).all()
    inside = np.abs(targets[train]).max(axis=0) < 4
    np.testing.assert_allclose(targets[train][:, inside].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(targets[train][:, inside].std(axis=0), 1, atol=1e-6)
