"""A loss that is taken part by part is the loss of the whole, and so is its gradient."""

from __future__ import annotations

import pytest
import torch

from cardiobind.data import Batch
from cardiobind.methods import METHODS, in_parts, masked
from cardiobind.methods.in_parts import added_in_parts
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder

ECG = InputSpec("ecg", (12, 400), rate_hz=100.0)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_value_and_gradients_are_those_of_the_whole(size):
    torch.manual_seed(0)
    x, weight = torch.randn(8, 4, requires_grad=True), torch.randn(4, requires_grad=True)
    frozen = torch.randn(4)

    def part(own, rows):
        return (own * weight * frozen).square().sum(), own.sum()

    value, logged = added_in_parts(part, x, [weight, frozen], size)
    found = torch.autograd.grad(3.0 * value, (x, weight))
    expected = torch.autograd.grad(3.0 * (x * weight * frozen).square().sum(), (x, weight))
    assert value.item() == pytest.approx((x * weight * frozen).square().sum().item(), rel=1e-5)
    assert logged.item() == pytest.approx(x.sum().item(), abs=1e-5)
    assert not logged.requires_grad
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vit", {}),
        ("vit", {"similarity_weight": 0.1, "decode_ratio": 0.5}),
        ("vit", {"hidden_only": True, "normalised_targets": True}),
        ("lead_vit", {"correlation_weight": 0.3}),
    ],
)
def test_the_masked_autoencoder_is_the_same_in_parts(monkeypatch, kind, options):
    torch.manual_seed(0)
    patch = {"vit": {"patch": (1, 50)}, "lead_vit": {"patch_s": 0.5}}[kind]
    encoder = build_encoder(kind, ECG, **patch, width=16, depth=1, heads=2, drop_path=0.0)
    method = METHODS.get("masked")(encoder, crop_s=None, augment_probability=0.0, decoder_width=16, **options)
    signals = torch.randn(5, 12, 400)
    signals[1, 3:9] = 0.0
    batch = Batch(torch.arange(5), {"ecg": signals}, {"ecg": torch.ones(5, dtype=torch.bool)}, None)

    def step(parts):
        monkeypatch.setattr(masked, "pays", lambda latent: parts)
        method.zero_grad()
        torch.manual_seed(3)
        found = method.training_step(batch)
        found.loss.backward()
        return found, [weight.grad for weight in method.parameters()]

    monkeypatch.setattr(masked, "_TOKENS_AT_ONCE", 200)
    (whole, expected), (parted, found) = step(parts=False), step(parts=True)
    assert parted.loss.item() == pytest.approx(whole.loss.item(), abs=1e-6)
    assert parted.logs["ncc"].item() == pytest.approx(whole.logs["ncc"].item(), abs=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_only_training_in_half_precision_on_a_cpu_is_in_parts():
    x = torch.zeros(2)
    assert not in_parts.pays(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert in_parts.pays(x)
        with torch.no_grad():
            assert not in_parts.pays(x)
