"""Every registered encoder can be frozen, trained in part, and trained layer by layer at its own rate."""

from __future__ import annotations

import pytest
import torch

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods import Finetune
from cardiobind.methods.stages import stages
from cardiobind.models import ENCODERS, MeanPool, Tower, build_encoder
from cardiobind.models.encoder import refuse_missing_extra
from cardiobind.testing import example_batch, example_spec
from cardiobind.training import TrainingSettings

CASES = [(name, modality) for name in ENCODERS.names() for modality in ENCODERS.get(name).modalities]
SETTINGS = TrainingSettings(steps=1, learning_rate=1.0, weight_decay=0.1)


def tower(name: str, modality: str) -> Tower:
    try:
        refuse_missing_extra(name)
    except ConfigError as error:
        pytest.skip(error.what)
    torch.manual_seed(0)
    return Tower(build_encoder(name, example_spec(modality)), MeanPool())


def one_batch(modality: str) -> Batch:
    signals = {modality: example_batch(example_spec(modality), 4)}
    flags = {modality: torch.ones(4, dtype=torch.bool)}
    return Batch(torch.arange(4), signals, flags, torch.tensor([0.0, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize(("name", "modality"), CASES)
class TestEveryEncoder:
    def test_layers_hold_every_weight_once_and_stand_in_the_order_of_computation(
        self, name: str, modality: str
    ) -> None:
        encoder, seen = tower(name, modality).encoder.eval(), []
        layers = stages(encoder)
        held = [id(p) for layer in layers for module in layer for p in module.parameters()]
        assert sorted(held) == sorted(id(p) for p in encoder.parameters())
        for place, layer in enumerate(layers):
            for module in (m for part in layer for m in part.modules()):
                module.register_forward_hook(lambda *_, place=place: seen.append(place))
        with torch.no_grad():
            encoder(one_batch(modality).signals[modality][:1])
        first = [seen.index(place) for place in range(len(layers)) if place in seen]
        assert first == sorted(first)

    @pytest.mark.parametrize("fit", ["partial", "probe"])
    def test_what_is_frozen_gets_no_gradient_and_the_rest_does(self, name: str, modality: str, fit: str) -> None:
        method = Finetune({modality: tower(name, modality)}, fit=fit, modality_dropout=0.0)  # type: ignore[arg-type]
        batch = one_batch(modality)
        method.training_step(batch).loss.backward()
        layers = stages(method.fusion.towers[modality].encoder)  # type: ignore[union-attr, arg-type]
        trained = {"partial": 1, "probe": 0}[fit]
        for place, layer in enumerate(layers):
            moved = [p.grad is not None for module in layer for p in module.parameters()]
            assert any(moved) == (place >= len(layers) - trained), (place, len(layers))
            frozen = place < len(layers) - trained
            assert all(p.requires_grad != frozen for module in layer for p in module.parameters())
            parts = [m for part in layer for m in part.modules() if not isinstance(m, torch.nn.ParameterList)]
            assert not (frozen and any(module.training for module in parts))

    def test_rates_fall_from_the_last_layer_to_the_first(self, name: str, modality: str) -> None:
        method = Finetune({modality: tower(name, modality)}, layer_decay=0.5, encoder_rate=0.1)
        groups = method.parameter_groups(SETTINGS)
        rate = {id(p): group["lr"] for group in groups for p in group["params"]}
        assert sorted(rate) == sorted(id(p) for p in method.parameters() if p.requires_grad)
        layers = stages(method.fusion.towers[modality].encoder)  # type: ignore[union-attr, arg-type]
        for above, layer in enumerate(reversed(layers)):
            own = [rate[id(p)] for module in layer for p in module.parameters() if p.requires_grad]
            assert own == pytest.approx([0.1 * 0.5**above] * len(own))
