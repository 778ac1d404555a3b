"""ONNX files compute what torch does, for every encoder, every subset of the modalities and every batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from cardiobind import inference, sharing
from cardiobind.errors import ArtifactError, ArtifactExistsError, ConfigError, InputError
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.cmr import CmrPreparation, cmr_spec
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import ENCODERS, FUSIONS, MeanPool, build_encoder
from cardiobind.models.encoder import refuse_missing_extra
from cardiobind.sharing import TowerGraph
from cardiobind.sharing.onnx_file import OPSET, TOLERANCE, example_inputs
from cardiobind.testing import example_spec

SMALL: dict[str, dict[str, Any]] = {
    "vit": {"patch": (2, 50), "width": 16, "depth": 1, "heads": 2},
    "lead_vit": {"width": 24, "depth": 1, "heads": 3, "separators": True},
    "s4": {"width": 16, "depth": 2},
    "xresnet1d": {"blocks": (1, 1), "widths": (8, 8), "stem": (8, 8, 8), "squeeze_excite": True},
    "resnet": {"depth": 50, "base_width": 4},
    "resnet_places": {"depth": 10, "base_width": 4},
    "vit_video": {"width": 16, "depth": 1, "heads": 2, "patch": 50},
    "tabular_transformer": {"width": 16, "depth": 1, "heads": 2},
}
VIEWS = cmr_spec(CmrPreparation(size_px=100, long_axis=("lax_4ch", "lax_2ch")))
CASES = [(name, example_spec(m)) for name in ENCODERS for m in ENCODERS.get(name).modalities]
CASES += [(name, VIEWS) for name in ENCODERS if ENCODERS.get(name).takes_absent_places]


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def settled(network: nn.Module) -> nn.Module:
    """Give norms over batches statistics that a wrong one would show."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return network


@pytest.mark.parametrize(("name", "spec"), CASES, ids=[f"{name}-{s.modality}{s.shape[0]}" for name, s in CASES])
def test_every_registered_encoder_can_be_exported(tmp_path: Path, name: str, spec: InputSpec) -> None:
    try:
        refuse_missing_extra(name)
    except ConfigError as error:
        pytest.skip(error.what)
    torch.manual_seed(0)
    encoder = settled(build_encoder(name, spec, **SMALL.get(name, {})))
    written = sharing.export_tower_onnx(TowerGraph(encoder, MeanPool()), tmp_path / "e.onnx")
    assert written.difference <= TOLERANCE
    assert written.inputs == {spec.modality: ("batch", *spec.shape)}
    for subjects in (1, 6):
        x = example_inputs({spec.modality: spec}, subjects, seed=77)[spec.modality]
        with torch.no_grad():
            tokens = encoder.eval()(x)
        embedding, found = session(written.path).run(None, {spec.modality: x.numpy()})
        np.testing.assert_allclose(found, tokens.numpy(), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(embedding, tokens.mean(dim=1).numpy(), rtol=1e-3, atol=1e-4)


@pytest.fixture
def predictor(make: Any) -> Predictor:
    return inference.load(make())


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_score_is_that_of_the_bundle_for_every_input_set(tmp_path: Path, make: Any, fusion: str) -> None:
    predictor = inference.load(make(fusion={"fusion": fusion, "hidden": 4}))
    settled(predictor.fusion)
    written = sharing.export_onnx(predictor, tmp_path / "score.onnx")
    specs = predictor.contract.inputs
    given = example_inputs(specs, 7, seed=5)
    for i in range(7):  # all subsets but the empty one
        for place, modality in enumerate(specs):
            given[f"{modality}_present"][i] = bool((i + 1) >> place & 1)
    (found,) = session(written.path).run(None, {name: x.numpy() for name, x in given.items()})
    for i in range(7):
        have = {m: given[f"{m}_present"][i : i + 1] for m in specs}
        signals = {m: given[m][i : i + 1] for m in specs if bool(have[m])}
        np.testing.assert_allclose(found[i], predictor.logits(signals, have)[0], atol=1e-5, rtol=1e-4)


def test_what_a_subject_lacks_may_be_anything_and_nobody_is_nan(tmp_path: Path, predictor: Predictor) -> None:
    run = session(sharing.export_onnx(predictor, tmp_path / "score.onnx").path)
    given = {name: x.numpy() for name, x in example_inputs(predictor.contract.inputs, 4).items()}
    given["ecg_present"][:] = [True, False, True, False]
    given["cmr_present"][:] = False
    given["tabular_present"][:] = [True, True, False, False]
    (clean,) = run.run(None, given)
    for name in predictor.contract.inputs:
        given[name][~given[f"{name}_present"]] = np.nan if name != "tabular" else 1e9
    (dirty,) = run.run(None, given)
    assert np.array_equal(clean[:3], dirty[:3])
    assert np.isnan(clean[3]).all()
    assert np.isnan(dirty[3]).all()


def test_a_graph_of_fewer_inputs(tmp_path: Path, predictor: Predictor) -> None:
    written = sharing.export_onnx(predictor, tmp_path / "ecg.onnx", inputs=["ecg"])
    assert written.inputs == {"ecg": ("batch", 12, 400)}
    x = example_inputs({"ecg": predictor.contract.inputs["ecg"]}, 3)["ecg"]
    (found,) = session(written.path).run(None, {"ecg": x.numpy()})
    wanted = predictor.logits({"ecg": x}, {m: torch.full((3,), m == "ecg") for m in predictor.contract.inputs})
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    two = sharing.export_onnx(predictor, tmp_path / "two.onnx", inputs=["tabular", "ecg"])
    assert list(two.inputs) == ["ecg", "tabular", "ecg_present", "tabular_present"]
    with pytest.raises(InputError, match="no such inputs"):
        sharing.export_onnx(predictor, tmp_path / "none.onnx", inputs=["mri"])


def test_the_file_carries_contract_digest_notice_and_opset(tmp_path: Path, predictor: Predictor) -> None:
    written = sharing.export_onnx(predictor, tmp_path / "score.onnx")
    model = onnx.load(written.path)
    said = json.loads({p.key: p.value for p in model.metadata_props}["cardiobind"])
    assert said["contract"] == json.loads(json.dumps(predictor.contract.to_json()))
    assert (said["bundle"], said["notice"]) == (predictor.artifact.digest, inference.NOTICE)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert said["difference"] <= said["tolerance"] == TOLERANCE
    assert str(tmp_path).encode() not in written.path.read_bytes()
    assert b"/src/cardiobind" not in written.path.read_bytes()


def test_a_file_that_differs_is_not_written(tmp_path: Path, predictor: Predictor) -> None:
    with pytest.raises(ArtifactError, match="does not compute what torch does"):
        sharing.export_onnx(predictor, tmp_path / "score.onnx", tolerance=0.0)
    assert not (tmp_path / "score.onnx").exists()
    assert not list(tmp_path.glob(".*partial*"))


class Unsaid(nn.Module):
    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(tokens, dim=1).abs().mean(dim=1)


def test_what_onnx_cannot_say_is_told(tmp_path: Path) -> None:
    encoder = build_encoder("s4", example_spec("ecg"), **SMALL["s4"])
    with pytest.raises(ArtifactError, match="ONNX has no operator"):
        sharing.export_tower_onnx(TowerGraph(encoder, Unsaid()), tmp_path / "e.onnx")
    assert type(encoder.blocks[0].space.forward).__name__ == "method"


def test_nothing_is_overwritten(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "score.onnx").write_text("mine")
    with pytest.raises(ArtifactExistsError):
        sharing.export_onnx(predictor, tmp_path / "score.onnx")
    assert (tmp_path / "score.onnx").read_text() == "mine"
