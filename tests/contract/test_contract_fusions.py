"""Every registered fusion scores a subject by what it has, whoever else is in the batch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError, InputError, UnknownNameError
from cardiobind.models import FUSIONS, AttentionPool, Fusion, LateFusion, MeanPool, Tower, build_encoder, build_fusion
from cardiobind.testing import ContractViolation, check_fusion, example_batch, example_spec

MODALITIES = ("ecg", "cmr", "tabular")
SUBSETS = [s for s in product([False, True], repeat=3) if any(s)]
CHOICES = {
    "ecg": ("vit", {"patch": (12, 20), "width": 16, "depth": 1, "heads": 2, "drop_path": 0.0}),
    "cmr": ("resnet", {"depth": 10, "base_width": 4}),
    "tabular": ("tabular_transformer", {"width": 8, "depth": 1, "heads": 2}),
}


Subjects = tuple[dict[str, Tensor], dict[str, Tensor]]


def towers() -> dict[str, Tower]:
    encoders = {m: build_encoder(kind, example_spec(m), **options) for m, (kind, options) in CHOICES.items()}
    return {m: Tower(e, AttentionPool(e.width) if m == "ecg" else MeanPool()) for m, e in encoders.items()}


def make(name: str, **options: object) -> Fusion:
    torch.manual_seed(0)
    return build_fusion(towers(), fusion=name, **{"hidden": 4, "outputs": 2, **options})


def subjects(has: list[tuple[bool, ...]]) -> Subjects:
    """Return signals and masks of these subjects, always the same ones at the same places."""
    present = {m: torch.tensor([h[i] for h in has]) for i, m in enumerate(MODALITIES)}
    return {m: example_batch(example_spec(m), len(has))[present[m]] for m in MODALITIES}, present


def only(index: int, signals: dict[str, Tensor], present: dict[str, Tensor]) -> Subjects:
    chosen = {m: torch.arange(len(p)) == index for m, p in present.items()}
    rows = {m: x[chosen[m][present[m]]] for m, x in signals.items()}
    return rows, {m: p[index : index + 1] for m, p in present.items()}


@pytest.mark.parametrize("name", FUSIONS.names())
class TestEveryFusion:
    def test_a_subject_is_scored_alone_as_among_others(self, name: str) -> None:
        model = make(name).eval()
        signals, present = subjects(SUBSETS)
        logits = model(signals, present)
        assert logits.shape == (len(SUBSETS), 2)
        assert bool(logits.isfinite().all())
        for index in range(len(SUBSETS)):
            alone = model(*only(index, signals, present))
            torch.testing.assert_close(logits[index : index + 1], alone, rtol=1e-4, atol=1e-5)

    def test_it_keeps_the_interface(self, name: str) -> None:
        torch.manual_seed(0)
        check_fusion(lambda towers: build_fusion(towers, fusion=name, modality_dropout=0.0))

    def test_each_modality_counts(self, name: str) -> None:
        model = make(name).eval()
        signals, present = subjects([(True, True, True)] * 2)
        logits = model(signals, present)
        for modality in MODALITIES:
            other = {**signals, modality: signals[modality].flip(0)}
            assert not torch.allclose(model(other, present), logits, atol=1e-5)

    def test_absent_is_never_computed(self, name: str) -> None:
        """What an encoder makes of zeros, or of anything, cannot matter: it is not asked."""
        model = make(name).eval()
        signals, present = subjects([(True, False, True)] * 3)
        before = model(signals, present)

        class Refusing(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                raise AssertionError("an absent modality was computed")

        model.towers["cmr"].encoder = Refusing()
        torch.testing.assert_close(model(signals, present), before)
        unnamed = {m: x for m, x in signals.items() if m != "cmr"}
        torch.testing.assert_close(model(unnamed, {m: present[m] for m in unnamed}), before)

    def test_hiding_is_not_having(self, name: str) -> None:
        """In training what modality dropout hides gives the logits, and the gradients, of one who lacks it."""
        model = make(name, modality_dropout=0.5)
        model.towers.eval()
        signals, present = subjects([(True, True, True)] * 6)
        shown: list[Tensor] = []
        keep = model.keep
        model.keep = lambda have: shown.append(keep(have)) or shown[-1]  # type: ignore[func-returns-value, method-assign]
        torch.manual_seed(3)
        logits = model(signals, present)
        assert not bool(shown[0].all())
        model.keep = keep  # type: ignore[method-assign]
        model.eval()
        for index in range(6):
            one, _ = only(index, signals, present)
            flags = {m: shown[0][index : index + 1, i] for i, m in enumerate(MODALITIES)}
            alone = model({m: one[m][flags[m]] for m in MODALITIES}, flags)
            torch.testing.assert_close(logits[index : index + 1], alone, rtol=1e-4, atol=1e-5)
        model.train()
        model.towers.eval()
        for index in (int(i) for i in (~shown[0][:, 1]).nonzero()[:1]):
            model.keep = lambda have: shown[0]  # type: ignore[method-assign]
            cine = signals["cmr"].clone().requires_grad_()
            model({**signals, "cmr": cine}, present)[index].sum().backward()
            assert float(cine.grad.abs().sum()) == 0.0

    def test_every_weight_learns_and_gradients_are_finite(self, name: str) -> None:
        model = make(name, modality_dropout=0.0)
        signals, present = subjects(SUBSETS)
        torch.manual_seed(1)
        (model(signals, present) * torch.randn(len(SUBSETS), 2)).sum().backward()
        for parameter_name, parameter in model.named_parameters():
            assert parameter.grad is not None, parameter_name
            assert bool(parameter.grad.isfinite().all()), parameter_name

    def test_half_precision(self, name: str) -> None:
        model = make(name)
        signals, present = subjects(SUBSETS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(signals, present)
        logits.float().square().mean().backward()
        assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)

    def test_a_probe_can_start_it(self, name: str) -> None:
        """`start_from_probe` sets the last layer to a linear model of the features."""
        model = make(name, hidden=0).eval()
        signals, present = subjects(SUBSETS)
        features = model.features(signals, present)
        last = model.head[-1]
        assert isinstance(last, nn.Linear)
        torch.testing.assert_close(model(signals, present), features @ last.weight.T + last.bias)

    def test_nobody_is_scored_by_nothing(self, name: str) -> None:
        signals, present = subjects([(True, True, True), (False, False, False)])
        with pytest.raises(InputError, match="1 subjects have none"):
            make(name)(signals, present)
        with pytest.raises(ConfigError, match="modality_dropout"):
            make(name, modality_dropout=1.0)
        with pytest.raises(ConfigError, match="dropout"):
            make(name, dropout=1.0)
        with pytest.raises(ConfigError, match="tower"):
            build_fusion({}, fusion=name)


class Broken(LateFusion):
    """A fusion with a fault."""

    def __init__(self, towers: Mapping[str, Tower], fault: str) -> None:
        super().__init__(towers, modality_dropout=0.0)
        self.fault = fault
        if fault == "parameter":
            self.unused = nn.Parameter(torch.zeros(1))

    def join(self, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        features = super().join(held, have, have if self.fault == "hidden" else shown)
        if self.fault == "alone":
            return features - features.mean(dim=0)
        return features * 0.0 + 1.0 if self.fault == "counts" else features


@pytest.mark.parametrize("fault", ["parameter", "hidden", "alone", "counts"])
def test_check_fusion_catches_a_broken_one(fault: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(ContractViolation, match=fault):
        check_fusion(lambda towers: Broken(towers, fault))
    check_fusion(lambda towers: Broken(towers, "none"))


def test_names_and_options_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'token'"):
        make("tokens")
    with pytest.raises(ConfigError, match="fusion_heads"):
        make("late", fusion_heads=2)
    with pytest.raises(ConfigError, match="fusion_width"):
        make("token", fusion_width=6)
    with pytest.raises(ConfigError, match="fusion_width"):
        make("dropout", fusion_width=0)
    assert set(FUSIONS.names()) >= {"late", "token", "dropout"}


def test_the_mean_of_modalities_is_the_slow_one() -> None:
    model = make("dropout", hidden=0).eval()
    signals, present = subjects(SUBSETS)
    last = model.head[-1]
    assert isinstance(last, nn.Linear)
    logits = model(signals, present)
    for index in range(len(SUBSETS)):
        one, flags = only(index, signals, present)
        each = [model.encode(m, one[m]) @ last.weight.T + last.bias for m in MODALITIES if bool(flags[m])]
        torch.testing.assert_close(logits[index : index + 1], torch.stack(each).mean(0), rtol=1e-4, atol=1e-5)


def test_tokens_meet_as_in_the_slow_version() -> None:
    """Without a mask: the tokens of what a subject has, and no others, through the same blocks."""
    model = make("token", fusion_width=8, fusion_heads=2, fusion_depth=1).eval()
    signals, present = subjects(SUBSETS)
    features = model.features(signals, present)
    (block,) = model.blocks
    for index in range(len(SUBSETS)):
        one, flags = only(index, signals, present)
        own = [model.encode(m, one[m])[0] for m in MODALITIES if bool(flags[m])]
        x = torch.cat([model.cls[None], *own])
        y = block.norm1(x)
        q, k, v = block.attn.qkv(y).split(8, dim=1)
        heads = [slice(0, 4), slice(4, 8)]
        mixed = torch.cat([torch.softmax(q[:, h] @ k[:, h].T / 2, dim=1) @ v[:, h] for h in heads], dim=1)
        x = x + block.attn.proj(mixed)
        x = x + block.mlp(block.norm2(x))
        torch.testing.assert_close(features[index], model.norm(x[0]), rtol=1e-4, atol=1e-5)
