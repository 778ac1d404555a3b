"""Arms with encoders, stages and inputs of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cardiobind import pipeline
from cardiobind.artifact import Artifact, open_artifact
from cardiobind.config import Experiment, digest, resolved
from cardiobind.errors import ConfigError, UnknownNameError
from cardiobind.pipeline.networks import load_state
from walking import Recorder

Make = Callable[..., Experiment]

ALIGN = ("align.method={kind='align_all_pairs'}", "align.training={epochs=1}")
NARROW = "variants.narrow.ecg.encoder={kind='vit',options={patch=[12,50],width=8,depth=1,heads=2}}"
SAME = "variants.same.ecg.encoder={kind='vit',options={patch=[12,50],width=8,depth=1,heads=2}}"


def arms(*words: str) -> str:
    return f"arms=[{', '.join('{' + word + '}' for word in words)}]"


USUAL = ("name='fine-tuned',start='pretrained'", "name='both',start='aligned',inputs=['ecg+tabular','ecg']")
VARIED = ("name='narrow',start='pretrained',variant='narrow'", "name='same',start='aligned',variant='same'")


def walk(experiment: Experiment, folder: Path) -> tuple[Recorder, dict[str, pd.DataFrame]]:
    recorder = Recorder()
    found = pipeline.run_until("finetune", experiment, folder, reporter=recorder)
    return recorder, {p.config["arm"]["name"]: pd.read_parquet(p.file("predictions.parquet")) for p in found}


def test_variants_share_what_is_the_same_and_leave_the_others_alone(make: Make, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    first, alone = walk(make(*ALIGN, "finetune.epochs=1", arms(*USUAL)), tmp_path)
    second, together = walk(make(*ALIGN, NARROW, SAME, "finetune.epochs=1", arms(*USUAL, *VARIED)), tmp_path)
    assert {"pretrain-ecg", "align"} <= first.computed
    assert second.computed == {
        "pretrain-ecg-narrow", "align-same", "predictor-narrow-100pct-seed0", "predictor-same-100pct-seed0",
    }  # fmt: skip
    for name, frame in alone.items():
        pd.testing.assert_frame_equal(frame, together[name])
    assert not together["narrow"]["score"].equals(together["fine-tuned"]["score"])
    widths = {p.config["arm"]["name"]: p.config["encoders"]["ecg"]["options"]["width"] for p in predictors(tmp_path)}
    assert widths == {"fine-tuned": 16, "both": 16, "narrow": 8, "same": 8}


def predictors(folder: Path) -> list[Artifact]:
    return [open_artifact(path, "predictor") for path in sorted(folder.glob("predictor-*"))]


def test_an_arm_with_inputs_of_its_own_has_a_network_for_them_alone(make: Make, prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    kernels = "name='kernels',kind='random_kernels',inputs=['ecg'],options={features=1008}"
    one = ("name='table',inputs=['tabular']", kernels)
    words = (arms(*one), "finetune.epochs=1", "evaluation.inputs=['ecg+tabular']", "pool='attention'")
    pools = ("tabular.pool='mean'",)
    _, scores = walk(make(*words, *pools), tmp_path)
    assert {name: set(frame["inputs"]) for name, frame in scores.items()} == {"table": {"tabular"}, "kernels": {"ecg"}}
    (network,) = [p for p in predictors(tmp_path) if p.config["arm"]["name"] == "table"]
    model = network.json("model.json")
    assert list(model["encoders"]) == ["tabular"]
    assert model["pool"] == {"ecg": "attention", "tabular": "mean"}
    assert not any(".pool." in name for name in load_state(network))
    bundle = pipeline.export_predictor(network.path, tmp_path / "bundle")
    assert list(bundle.json("contract.json")["encoders"]) == ["tabular"]


def test_what_is_not_used_leaves_no_trace_in_the_digest(make: Make) -> None:
    plain = make()
    assert not {"variants"} & set(resolved(plain))
    assert not {"inputs", "variant"} & set(resolved(plain.arms[0]))
    assert "pool" not in resolved(plain)["ecg"]
    assert digest(make("ecg.pool='mean'")) != digest(plain)
    assert digest(make(NARROW)) != digest(plain)


def test_a_stage_of_a_variant_takes_the_rest_from_the_experiment(make: Make) -> None:
    experiment = make("variants.longer.ecg.pretrain.training={epochs=2}", "variants.longer.ecg.pool='mean'")
    ecg = experiment.varied("longer").ecg
    assert ecg is not None
    assert ecg.pretrain is not None
    assert (ecg.pretrain.training.epochs, ecg.pretrain.method.kind, ecg.pool) == (2, "masked", "mean")
    assert experiment.varied(None) is experiment


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((NARROW, arms("name='a',variant='narow'")), "did you mean 'narrow'"),
        (("variants.x.cmr.pool='mean'", arms("name='a',variant='x'")), "does not have"),
        (("variants.x.align.method={kind='align_joint'}", arms("name='a',variant='x'")), "half of a stage"),
        ((NARROW, arms("name='a',variant='narrow',start='aligned'")), r"no \[align\]"),
        ((arms("name='a',inputs=['tabular+ecg']"),), "alphabetical"),
        (("variants.x.ecg.encodre={kind='vit'}",), "did you mean 'encoder'"),
    ],
)
def test_a_variant_that_cannot_be(make: Make, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(*words)


def test_names_within_a_variant_are_looked_up(make: Make) -> None:
    with pytest.raises(UnknownNameError, match="unknown encoder"):
        make("variants.x.ecg.encoder={kind='vti'}")


def test_a_variant_that_only_starts_from_scratch_need_not_suit_the_pretraining(
    make: Make, prepared: Path, tmp_path: Path
) -> None:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    other = "variants.other.ecg.encoder={kind='resnet1d'}"
    arm = "name='other',variant='other',inputs=['ecg']"
    told, found = walk(make(other, "finetune.epochs=1", arms(arm)), tmp_path)
    assert set(found) == {"other"}
    with pytest.raises(ConfigError, match="masked"):
        walk(make(other, "finetune.epochs=1", arms(f"{arm},start='pretrained'")), tmp_path)
    assert not any("other" in name for name in told.computed if name.startswith("pretrain"))
