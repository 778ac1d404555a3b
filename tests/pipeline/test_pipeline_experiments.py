"""Mistakes in an experiment are found before any training, and the shipped ones have none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cardiobind.config import Experiment
from cardiobind.errors import CardiobindError, ConfigError, InputError, UnknownNameError
from cardiobind.modalities.features.presets import preset
from cardiobind.models.encoder import encoder_options
from cardiobind.pipeline import load, run_until
from cardiobind.pipeline.components import feature_names
from cardiobind.pipeline.run import SHIPPED

Make = Callable[..., Experiment]


@pytest.mark.parametrize("name", sorted(p.stem for p in SHIPPED.glob("*.toml")))
def test_shipped_experiments_load(name: str, tmp_path: Path) -> None:
    experiment = load(name, [f"data_root={tmp_path}"])
    assert experiment.name == name
    assert experiment.data_root == str(tmp_path)


def test_a_named_set_of_features_is_its_columns_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    words = [f"data_root={tmp_path}", "tabular.features=minimal"]
    assert feature_names(load("demo", words)) == preset("minimal")
    assert feature_names(load("demo", [*words, 'tabular.features=["age_years"]'])) == ("age_years",)
    assert feature_names(load("demo", [*words[:1], "tabular.features=none"])) is None
    assert feature_names(load("demo", words[:1])) == preset("paper_33")
    with pytest.raises(ConfigError, match="did you mean 'minimal'"):
        load("demo", [*words, "tabular.features=minimum"])


def test_a_layout_that_the_encoder_cannot_take_is_refused(tmp_path: Path) -> None:
    words = [f"data_root={tmp_path}", "cmr.long_axis=['lax_4ch']"]
    with pytest.raises(ConfigError, match="black image"):
        load("demo", words)
    spatial = ["cmr.encoder.kind=resnet_places", "cmr.encoder.options={depth=10}", "cmr.layout=video"]
    assert load("demo", [*words, *spatial]).cmr.long_axis == ("lax_4ch",)


def test_the_full_table_has_the_encoders_of_the_paper(tmp_path: Path) -> None:
    full, paper = (load(name, [f"data_root={tmp_path}"]) for name in ("table_full", "paper"))
    for modality in ("ecg", "cmr", "tabular"):
        own, theirs = (getattr(e, modality).encoder for e in (full, paper))
        assert own.kind == theirs.kind
        assert encoder_options(own.kind, own.options) == encoder_options(theirs.kind, theirs.options)
    assert [full.cmr.size_px, full.ecg.rate_hz] == [paper.cmr.size_px, paper.ecg.rate_hz]


def test_demo_and_ptbxl_are_shipped() -> None:
    assert {"demo", "ptbxl_mi"} <= {p.stem for p in SHIPPED.glob("*.toml")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arms.0.kind=netwrk"], "did you mean 'network'"),
        (["arms.2.options.featurs=5"], "did you mean 'features'"),
        (["arms.1.options.c=5"], "unknown option 'c'"),
        (["arms.0.options.positive_weight=5"], "unknown option 'positive_weight'"),
        (["arms.0.objective.positive_weight=5"], "unknown option 'positive_weight'"),
        (["arms.0.objective.weigthed=false"], "did you mean 'weighted'"),
        (["arms.0.classifier=probe"], "probe is linear"),
        (["export=kernels"], "no network that could be exported"),
        (["ecg.pretrain=none"], "no modality has a"),
        (["source.options.subject=5", "source.kind=ptbxl"], "unknown option"),
        (["finetune.epochs=none"], "exactly one of epochs and steps"),
        (["seeds=[1, 1]"], "each once"),
        (["seeds=[]"], "at least one value"),
        (["label_fractions=[0.5, 0.5]"], "each once"),
        (["evaluation.inputs=['ecg', 'ecg']"], "each once"),
    ],
)
def test_words_are_looked_up_at_once(make: Make, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(*words)


def test_none_takes_an_option_away(make: Make) -> None:
    changed = make("finetune.epochs=none", "finetune.steps=7", "tabular=none", "seed=none")
    assert (changed.finetune.epochs, changed.finetune.steps, changed.modalities) == (None, 7, ("ecg",))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["arms.0.options={fit='all'}"], "full | partial | probe"),
        (["arms.0.options={dropout='much'}"], "does not take these options|dropout"),
        (["arms.0.options={objective=3}"], "does not take these options"),
        (["arms.2.options={features=1}"], "at least 84"),
        (["ecg.encoder={kind='resnet1d'}"], "masked|ViT"),
        (["ecg.pretrain.method.options={mask_ratio=1.5}"], "mask_ratio"),
        (["evaluation.inputs=['ecg','ecg+tabular']"], "one input set"),
        (["evaluation.inputs=['tabular']"], "an ECG and nothing else"),
        (["align={method={kind='align_all_pairs',options={corruption=2.0}},training={epochs=1}}"], "corruption"),
    ],
)
def test_what_does_not_fit_is_found_before_training(
    make: Make, prepared: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    with pytest.raises(ConfigError, match=message):
        run_until("finetune", make(*words), folder)
    assert not list(folder.glob("pretrain-*"))


@pytest.mark.parametrize(
    "word",
    [
        "arms.0.options={crop_s=5.1}",
        "arms.1.options={crop_s=5.1}",
        "align={method={kind='align_all_pairs',options={crop_s=5.1}},training={epochs=1}}",
    ],
)
def test_a_crop_that_cuts_a_patch_is_found_before_training(
    make: Make, prepared: Path, tmp_path: Path, word: str
) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    with pytest.raises(InputError, match="in steps of 50"):
        run_until("finetune", make(word), folder)
    assert not list(folder.glob("pretrain-*"))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["source.options.ecg_fraction=0.0"], ConfigError, "no training subject has this modality"),
        (["source.options.mi_prevalence=0.005"], InputError, "too few labelled subjects"),
        (["cmr={encoder={kind='resnet'},size_px=32}"], ConfigError, "no training subject has this modality"),
        (["source.options.subject=5"], ConfigError, "does not take these options"),
        (["source.options.subjects=1"], InputError, "no subject falls into"),
        (["protocol.split=official"], InputError, "fold"),
    ],
)
def test_what_the_data_lack_is_found_before_training(
    make: Make, tmp_path: Path, words: list[str], error: type[CardiobindError], message: str
) -> None:
    smaller = [] if any("subjects" in word for word in words) else ["source.options.subjects=24"]
    with pytest.raises(error, match=message):
        run_until("finetune", make(*smaller, *words), tmp_path)
    assert not list(tmp_path.glob("pretrain-*"))


def test_an_unknown_source_is_an_unknown_name(make: Make) -> None:
    with pytest.raises(UnknownNameError, match="simulated"):
        make("source={kind='simulate'}")


def test_an_unknown_stage(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown stage"):
        run_until("prepar", make(), tmp_path)
