"""Every registered encoder keeps its interface, whether or not anybody remembered to test it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import pytest
import torch
from torch import nn

import cardiobind.models
from cardiobind.data import Batch
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import METHODS
from cardiobind.modalities.cmr import ABSENT_VALUE, LAYOUTS, CmrPreparation, cmr_spec
from cardiobind.modalities.records import LEADS
from cardiobind.modalities.spec import MODALITIES, InputSpec
from cardiobind.models import ENCODERS, Encoder, build_encoder, encoder_options
from cardiobind.models.encoder import refuse_missing_extra
from cardiobind.testing import ContractViolation, check_encoder, example_batch, example_spec

CASES = [(name, modality) for name in ENCODERS.names() for modality in ENCODERS.get(name).modalities]


def skip_without(name: str) -> None:
    try:
        refuse_missing_extra(name)
    except ConfigError as error:
        pytest.skip(error.what)


@pytest.mark.parametrize(("name", "modality"), CASES)
def test_encoder_keeps_the_interface(name: str, modality: str) -> None:
    skip_without(name)
    torch.manual_seed(0)
    check_encoder(lambda inputs: build_encoder(name, inputs), example_spec(modality))


@pytest.mark.parametrize("rate_hz", [100, 250, 500])
@pytest.mark.parametrize("name", [name for name, modality in CASES if modality == "ecg"])
def test_every_encoder_of_ecgs_takes_every_rate(name: str, rate_hz: int) -> None:
    torch.manual_seed(0)
    spec = InputSpec("ecg", (12, 4 * rate_hz), rate_hz=float(rate_hz), names=LEADS)
    encoder = build_encoder(name, spec)
    tokens = encoder(example_batch(spec, 2))
    assert tokens.shape[::2] == (2, encoder.width)
    assert bool(tokens.isfinite().all())
    assert tokens.shape[1] > 1


@pytest.mark.parametrize("rate_hz", [100, 250, 500])
@pytest.mark.parametrize(
    ("method", "encoder", "options"),
    [
        ("masked", "vit", {}), ("masked", "lead_vit", {}), ("simclr", "xresnet1d", {}), ("jepa", "vit", {}),
        ("cpc", "s4", {"bidirectional": False}),
    ],
)  # fmt: skip
def test_every_method_of_ecgs_learns_at_every_rate(
    method: str, encoder: str, options: dict[str, Any], rate_hz: int
) -> None:
    torch.manual_seed(0)
    spec = InputSpec("ecg", (12, 6 * rate_hz), rate_hz=float(rate_hz), names=LEADS)
    learner = METHODS.get(method)(build_encoder(encoder, spec, **options), crop_s=4.0)
    present = {"ecg": torch.ones(3, dtype=torch.bool)}
    loss = learner.training_step(Batch(torch.arange(3), {"ecg": example_batch(spec, 3)}, present, None)).loss
    loss.backward()
    gradients = [w.grad for w in learner.parameters() if w.grad is not None]
    assert bool(loss.isfinite())
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("name", [name for name in ENCODERS.names() if "cmr" in ENCODERS.get(name).modalities])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_encoder_of_images_takes_every_layout(name: str, layout: str) -> None:
    skip_without(name)
    torch.manual_seed(0)
    spec = cmr_spec(CmrPreparation(size_px=100, layout=layout))
    tokens = build_encoder(name, spec).eval()(example_batch(spec, 1))
    assert bool(tokens.isfinite().all())
    views = cmr_spec(CmrPreparation(size_px=100, layout=layout, long_axis=("lax_4ch",)))
    if ENCODERS.get(name).takes_absent_places:
        absent = example_batch(views, 1)
        absent[:, spec.shape[0] :] = ABSENT_VALUE
        assert build_encoder(name, views).eval()(absent).shape == tokens.shape
    else:
        with pytest.raises(ConfigError, match="long_axis"):
            build_encoder(name, views)


@pytest.mark.parametrize("name", ENCODERS.names())
def test_options_are_keyword_only_with_defaults(name: str) -> None:
    resolved = encoder_options(name, {})
    first, *options = inspect.signature(ENCODERS.get(name)).parameters.values()
    assert first.name == "inputs"
    assert {p.name for p in options} == set(resolved)


@pytest.mark.parametrize("name", ENCODERS.names())
def test_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no_such_option"):
        encoder_options(name, {"no_such_option": 1})


@pytest.mark.parametrize(("name", "modality"), CASES)
def test_wrong_batch_is_refused(name: str, modality: str) -> None:
    skip_without(name)
    spec = example_spec(modality)
    encoder = build_encoder(name, spec)
    with pytest.raises(InputError):
        encoder(torch.zeros(2, spec.shape[0] + 1, *spec.shape[1:]))


def test_every_encoder_class_is_registered() -> None:
    found = set()
    for module in pkgutil.iter_modules(cardiobind.models.__path__, "cardiobind.models."):
        classes = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
        found |= {c for _, c in classes if issubclass(c, Encoder) and c is not Encoder}
    assert found == {ENCODERS.get(name) for name in ENCODERS}
    assert len(CASES) >= 4


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_modality_has_an_encoder(modality: str) -> None:
    assert any(modality in ENCODERS.get(name).modalities for name in ENCODERS)


class Broken(Encoder):
    modalities = ("ecg",)

    def __init__(self, inputs: InputSpec, *, fault: str) -> None:
        super().__init__()
        self.inputs, self.width, self.fault = inputs, 6, fault
        self.proj = nn.Linear(inputs.shape[0], 6)
        self.norm = nn.BatchNorm1d(6, track_running_stats=False) if fault == "others" else nn.Identity()
        self.unused = nn.Linear(2, 2) if fault == "parameter" else nn.Identity()
        self.secret = torch.randn(6) if fault == "weights" else torch.zeros(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.proj(x.transpose(1, 2)) + self.secret
        if self.fault == "deterministic":
            tokens = tokens + torch.rand_like(tokens)
        if self.fault == "constant":
            tokens = tokens / x.std()
        if self.fault == "order":
            tokens = tokens + torch.arange(len(x))[:, None, None]
        tokens = self.norm(tokens.transpose(1, 2)).transpose(1, 2)
        return tokens[0] if self.fault == "tokens are" else tokens


@pytest.mark.parametrize(
    "fault", ["tokens are", "deterministic", "constant", "order", "others", "parameter", "weights"]
)
def test_check_encoder_catches_a_broken_one(fault: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(ContractViolation, match=fault):
        check_encoder(lambda inputs: Broken(inputs, fault=fault), example_spec("ecg"))


def test_check_encoder_accepts_a_sound_one() -> None:
    check_encoder(lambda inputs: Broken(inputs, fault="none"), example_spec("ecg"))


def test_example_batch_keeps_the_rules_of_a_table() -> None:
    spec = example_spec("tabular")
    value, observed = example_batch(spec, 50).unbind(2)
    assert set(observed.unique().tolist()) == {0.0, 1.0}
    assert bool((value[observed == 0] == 0).all())
    assert set(value[:, 3].unique().tolist()) == {0.0, 1.0, 2.0}
    with pytest.raises(InputError, match="no such modality"):
        example_spec("eeg")
