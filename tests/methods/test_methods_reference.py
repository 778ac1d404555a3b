"""The plain steps that the speed table compares with compute the same mathematics as the package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from cardiobind.methods import METHODS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from reference.contrast import TwoTowers
from reference.resnet import ResNet50
from reference.views import image_view, one_hot
from reference.vit import EcgViT
from works import ecg, views
from works.contrast import frames, plain_table, towers
from works.work import batch_of, ecgs


def test_the_masked_autoencoder():
    ours = ecg.method()
    plain, x = ecg.plain(ours), ecgs(2)
    torch.manual_seed(3)
    expected = plain((x, x), torch.rand(4, 300).chunk(2))
    torch.manual_seed(3)
    found = ours.training_step(batch_of(ecg=x)).loss
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)
    expected.backward()
    found.backward()
    theirs, own = plain.decoder_pred.weight.grad, ours.mae.decoder_pred.weight.grad
    assert torch.allclose(own, theirs, atol=1e-5)


@pytest.mark.parametrize("other", ["ecg", "tabular"])
def test_the_contrast_of_an_image(other):
    torch.manual_seed(0)
    ours = METHODS.get("align_all_pairs")(towers(other, 64), augment_probability=0.0, corruption=0.0)
    plain = TwoTowers(ResNet50(), EcgViT(2500) if other == "ecg" else plain_table(384), (2048, 384))
    plain.image.load_state_dict(ours.towers["cmr"].encoder.state_dict())
    plain.image_head.load_state_dict(ours.heads["cmr"].state_dict())
    plain.other_head.load_state_dict(ours.heads[other].state_dict())
    state = list(ours.towers[other].encoder.state_dict().values())
    plain.other.load_state_dict(dict(zip(plain.other.state_dict(), state, strict=True)))
    image = frames(4, 64)
    if other == "ecg":
        plain.other.pos_embed.copy_(ours.towers["ecg"].encoder.pos_embed)
        shown = signal = ecgs(4)
    else:
        value = torch.randn(4, 120)
        shown, signal = torch.stack([value, torch.ones_like(value)], dim=2), torch.cat([value, 0 * value], dim=1)
    found = ours.training_step(batch_of(**{other: shown, "cmr": image})).loss
    assert found.item() == pytest.approx(plain(image, signal).item(), abs=1e-4)


def test_the_encoding_of_a_table():
    spec = InputSpec("tabular", (len(views.CARDINALITIES), 2), cardinalities=views.CARDINALITIES)
    encoder = build_encoder("tabular_mlp", spec, width=8)
    values = views.table()[:3]
    ours = encoder.one_hot(torch.stack([values, torch.ones_like(values)], dim=2))
    for row, found in zip(values.tolist(), ours, strict=True):
        plain = one_hot(row, views.CARDINALITIES)
        assert plain.sum() == pytest.approx(found.sum().item(), abs=1e-4)
        assert plain.square().sum() == pytest.approx(found.square().sum().item(), abs=1e-4)


def test_an_image_view_without_any_change_is_the_image():
    image = torch.rand(3, 20, 20)
    view = image_view(image, degrees=0.0, smallest_area=1.0, jitter=0.0, flip=0.0)
    assert view.shape == image.shape
    assert torch.isfinite(view).all()
