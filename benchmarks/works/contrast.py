"""Contrast of CMR frames with an ECG or a table, and the embedding of frames, by a ResNet50."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardiobind.methods import METHODS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MeanPool, Tower, build_encoder
from reference.contrast import TwoTowers
from reference.resnet import ResNet50
from reference.vit import EcgViT
from works.work import ECG, Run, batch_of, ecgs, inference, our_training, training

FIELDS = 120
TABLE = InputSpec("tabular", (FIELDS, 2), cardinalities=(0,) * FIELDS)


def frames(batch: int, size: int) -> Tensor:
    """Return smooth random frames (batch, 3, size, size)."""
    return nn.functional.interpolate(torch.randn(batch, 3, 16, 16), size=size, mode="bilinear")


def plain_table(width: int) -> nn.Module:
    """Return the perceptron of a table whose entries each take two inputs."""
    return nn.Sequential(
        nn.Linear(2 * FIELDS, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width)
    )


def towers(other: str, size: int) -> dict[str, Tower]:
    """Return the package's towers: `other` first, then CMR."""
    kind, spec = {"ecg": ("vit", ECG), "tabular": ("tabular_mlp", TABLE)}[other]
    options = {"drop_path": 0.0} if other == "ecg" else {}
    image = build_encoder("resnet", InputSpec("cmr", (3, size, size)), depth=50)
    return {other: Tower(build_encoder(kind, spec, **options), MeanPool()), "cmr": Tower(image, MeanPool())}


def pair_reference(other: str, size: int, batch: int) -> Run:
    torch.manual_seed(0)
    network = TwoTowers(ResNet50(), EcgViT(2500) if other == "ecg" else plain_table(384), (2048, 384))
    signal = ecgs(batch) if other == "ecg" else torch.randn(batch, 2 * FIELDS)
    image = frames(batch, size)
    return training(network.parameters(), lambda: network(image, signal))


def pair_ours(other: str, size: int, batch: int, precision: str) -> Run:
    torch.manual_seed(0)
    method = METHODS.get("align_all_pairs")(towers(other, size), augment_probability=0.0, corruption=0.0)
    table = torch.stack([torch.randn(batch, FIELDS), torch.ones(batch, FIELDS)], dim=2)
    signal = ecgs(batch) if other == "ecg" else table
    held = batch_of(**{other: signal, "cmr": frames(batch, size)})
    return our_training(method.parameters(), lambda: method.training_step(held).loss, precision)


def embedding_reference(batch: int, size: int = 210) -> Run:
    return inference(ResNet50(), frames(batch, size))


def embedding_ours(batch: int, precision: str, size: int = 210) -> Run:
    encoder = build_encoder("resnet", InputSpec("cmr", (3, size, size)), depth=50)
    return inference(Tower(encoder, MeanPool()), frames(batch, size), precision)


def simclr_ours(batch: int, precision: str, size: int = 210) -> Run:
    encoder = build_encoder("resnet", InputSpec("cmr", (3, size, size)), depth=50)
    method, held = METHODS.get("simclr")(encoder), batch_of(cmr=frames(batch, size))
    return our_training(method.parameters(), lambda: method.training_step(held).loss, precision)
