"""Encoders that start from a file of weights: loaded whole, part of the identity, refused before any work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cardiobind import pipeline
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import Experiment
from cardiobind.config.parts import EncoderConfig, WeightsConfig
from cardiobind.errors import ConfigError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder
from cardiobind.pipeline.components import Study, build_towers
from cardiobind.pipeline.finetune import cells
from cardiobind.pipeline.first_weights import encoder_facts, first_encoder
from cardiobind.pipeline.pretrain import build_encoder_of
from cardiobind.pipeline.workspace import Workspace

Make = Callable[..., Experiment]
ECG = InputSpec("ecg", (12, 1000), rate_hz=100.0)
OPTIONS = {"patch": (12, 50), "width": 16, "depth": 1, "heads": 2}


def state(seed: int = 5, **options: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return build_encoder("vit", ECG, **{**OPTIONS, **options}).state_dict()


def encoder(file: Path, **weights: object) -> EncoderConfig:
    return EncoderConfig(kind="vit", options=OPTIONS, weights=WeightsConfig(file=str(file), **weights))


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(state(), tmp_path / "ecg.safetensors")
    return tmp_path / "ecg.safetensors"


def test_each_way_of_keeping_weights_is_read(tmp_path: Path, file: Path) -> None:
    wrapped = {f"module.{name}": value for name, value in state().items()} | {"head.weight": torch.ones(2)}
    torch.save(state(), tmp_path / "plain.pth")
    torch.save({"epoch": 3, "model": state()}, tmp_path / "mae.pth")
    torch.save({"state_dict": wrapped}, tmp_path / "wrapped.ckpt")
    for chosen in (
        encoder(file), encoder(tmp_path / "plain.pth"), encoder(tmp_path / "mae.pth"),
        encoder(tmp_path / "wrapped.ckpt", prefix="module.", ignore=("head.",)),
    ):  # fmt: skip
        assert equal(first_encoder(chosen, ECG).state_dict(), state())


def test_kernels_of_three_colours_and_parts_of_an_encoder(tmp_path: Path) -> None:
    spec = InputSpec("cmr", (9, 32, 32), names=tuple(f"{p}.{m}" for p in ("basal", "mid", "apical") for m in "abc"))
    small = {"depth": 10, "base_width": 4}
    colours = build_encoder("resnet", InputSpec("cmr", (3, 32, 32)), **small).state_dict()
    torch.save(colours | {"fc.weight": torch.ones(2)}, tmp_path / "r.pth")
    whole = WeightsConfig(file=str(tmp_path / "r.pth"), ignore=("fc.",), spread="conv1.weight")
    filled = first_encoder(EncoderConfig(kind="resnet", options=small, weights=whole), spec)
    torch.testing.assert_close(filled.state_dict()["conv1.weight"][:, 3:6], colours["conv1.weight"] / 3)
    part = WeightsConfig(file=str(tmp_path / "r.pth"), ignore=("fc.",), into="network")
    layout = InputSpec("cmr", (9, 32, 32), names=CMR_NAMES)
    places = first_encoder(EncoderConfig(kind="resnet_places", options=small, weights=part), layout)
    assert equal(places.get_submodule("network").state_dict(), colours)
    nowhere, nothing = part.model_copy(update={"into": "nett"}), whole.model_copy(update={"spread": "conv9.weight"})
    with pytest.raises(ConfigError, match="no such part"):
        first_encoder(EncoderConfig(kind="resnet_places", options=small, weights=nowhere), layout)
    with pytest.raises(ConfigError, match="no such kernel"):
        first_encoder(EncoderConfig(kind="resnet", options=small, weights=nothing), spec)


CMR_NAMES = tuple(
    f"{place}.{moment}"
    for place in ("basal", "mid", "apical")
    for moment in ("end_diastole", "mid_beat", "end_systole")
)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: {n: v for n, v in s.items() if not n.startswith("norm")}, r"2 missing: norm\.weight, norm\.bias"),
        (lambda s: {**s, "head.bias": torch.ones(2)}, r"1 unexpected: head\.bias"),
        (lambda _: state(width=32), "mismatched"),
        (lambda s: {f"module.{n}": v for n, v in s.items()}, "prefix='module.'"),
    ],
)
def test_what_does_not_fit_is_named_before_any_work(make: Make, tmp_path: Path, spoil: Callable, said: str) -> None:
    save_file(spoil(state()), tmp_path / "bad.safetensors")
    with pytest.raises(ConfigError, match=said) as caught:
        make(f"ecg.encoder.weights={{file='{tmp_path / 'bad.safetensors'}'}}")
    assert caught.match("ecg.encoder.weights")


def test_no_file_and_no_weights(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file of weights there"):
        make(f"ecg.encoder.weights={{file='{tmp_path / 'none.pth'}'}}")
    for name, content in (("a.safetensors", b"torn"), ("a.pth", b"torn")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match="cannot be read"):
            make(f"ecg.encoder.weights={{file='{tmp_path / name}'}}")
    torch.save({"weight": [1.0]}, tmp_path / "list.pth")
    with pytest.raises(ConfigError, match="more than named tensors"):
        make(f"ecg.encoder.weights={{file='{tmp_path / 'list.pth'}'}}")


def test_the_identity_holds_the_hash_and_not_the_place(file: Path, tmp_path: Path) -> None:
    first = encoder_facts(encoder(file))
    assert set(first["weights"]) == {"sha256"}
    shutil.copy(file, tmp_path / "copy.safetensors")
    assert encoder_facts(encoder(tmp_path / "copy.safetensors")) == first
    save_file(state(6), file)
    assert encoder_facts(encoder(file)) != first
    assert encoder_facts(EncoderConfig(kind="vit", options=OPTIONS)) == {
        "kind": "vit", "options": {**OPTIONS, "patch": [12, 50]},
    }  # fmt: skip


def test_pre_training_alignment_and_scratch_begin_with_them(make: Make, prepared: Path, file: Path) -> None:
    cohort = Cohort.open(next(prepared.glob("cohort-*")))
    protocol = Protocol.open(next(prepared.glob("protocol-*")), cohort)
    study = Study(make(), Workspace(prepared), cohort, protocol)
    given = replace(study, experiment=make(f"ecg.encoder.weights={{file='{file}'}}"))
    assert equal(build_encoder_of(given, "ecg").state_dict(), state())
    towers, random = (build_towers(s.experiment, protocol.specs, 0) for s in (given, study))
    assert equal(towers["ecg"].encoder.state_dict(), state())
    assert equal(towers["tabular"].state_dict(), random["tabular"].state_dict())
    assert equal(towers["ecg"].pool.state_dict(), random["ecg"].pool.state_dict())
    first, second = (next(cells(s, {}, None)).description()["encoders"] for s in (given, study))
    assert first["tabular"] == second["tabular"]
    assert first["ecg"]["weights"]["sha256"]
    assert "weights" not in second["ecg"]


def test_it_goes_the_whole_way(make: Make, prepared: Path, tmp_path: Path, file: Path) -> None:
    folder = shutil.copytree(prepared, tmp_path / "run")
    experiment = make(f"ecg.encoder.weights={{file='{file}'}}", "ecg.pool={kind='attention',options={heads=8}}",
                      "arms.0.start=scratch", "finetune.epochs=1")  # fmt: skip
    only = experiment.model_copy(update={"arms": experiment.arms[:1]})
    (predictor,) = pipeline.run_until("finetune", only, folder)
    model = predictor.json("model.json")
    assert model["pool"] == {"ecg": {"kind": "attention", "options": {"heads": 8}}, "tabular": "attention"}
    bundle = pipeline.export_predictor(predictor.path, tmp_path / "bundle")
    fusion = pipeline_bundle(bundle.path)
    assert (fusion.towers["ecg"].pool.heads, fusion.towers["tabular"].pool.heads) == (8, 4)


def pipeline_bundle(path: Path) -> torch.nn.Module:
    from cardiobind.inference import load

    return load(path).fusion


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pool={kind='attention',options={head=8}}", "did you mean 'heads'"),
        ("ecg.pool={kind='mean',options={heads=8}}", "unknown option 'heads'"),
        ("ecg.pool={kind='attentoin'}", "did you mean 'attention'"),
    ],
)
def test_an_option_that_a_pool_does_not_take_is_refused(make: Make, word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(word)


def test_a_pool_of_all_has_options_too(make: Make) -> None:
    assert make().pools == "attention"
    assert make("pool={kind='mean'}").pools == "mean"
    assert make("ecg.pool=mean").pools == {"ecg": "mean", "tabular": "attention"}
    heads = {"kind": "attention", "options": {"heads": 2}}
    assert make("pool={kind='attention',options={heads=2}}").pools == {"ecg": heads, "tabular": heads}
