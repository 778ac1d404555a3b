"""The ECG's masked autoencoder and its embedding, of the paper's sizes (arXiv 2411.05900)."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch

from cardiobind.methods import METHODS
from cardiobind.models import MeanPool, Tower, build_encoder
from reference.vit import EcgMae, EcgViT
from works.work import ECG, Run, batch_of, ecgs, inference, our_training, training


def method(*, samples: int = 2500, rate_hz: float = 500.0, **options: Any) -> Any:
    """Return the package's masked autoencoder, without augmentation: in the public codes the data set augments."""
    torch.manual_seed(0)
    chosen = {"crop_s": None, "augment_probability": 0.0, "similarity_weight": 0.1} | options
    seen = round(samples * rate_hz / 500.0)
    spec = replace(ECG, shape=(12, seen), rate_hz=rate_hz)
    encoder = build_encoder("vit", spec, patch=(1, 100), drop_path=0.0)
    return METHODS.get("masked")(encoder, **chosen)


def plain(found: Any) -> EcgMae:
    """Return the reference with the weights of the package's."""
    network = EcgMae(EcgViT(2500), copy.deepcopy(found.siamese))
    network.load_state_dict({name.removeprefix("mae."): value for name, value in found.state_dict().items()})
    network.encoder.pos_embed.copy_(found.mae.encoder.pos_embed)
    network.decoder_pos_embed.copy_(found.mae.decoder_pos_embed)
    return network


def mae_reference(batch: int) -> Run:
    network, x = plain(method()), ecgs(batch)
    return training(network.parameters(), lambda: network((x, x), torch.rand(2 * batch, 300).chunk(2)))


def mae_ours(batch: int, precision: str, **options: Any) -> Run:
    found = method(**options)
    held = batch_of(ecg=ecgs(batch, found.mae.encoder.inputs.shape[1]))
    return our_training(found.parameters(), lambda: found.training_step(held).loss, precision)


class _Step(torch.nn.Module):
    """A training step as a network whose output is the loss, as distributed training takes it."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.method = found

    def forward(self, held: Any) -> torch.Tensor:
        return self.method.training_step(held).loss  # type: ignore[no-any-return]


def mae_shared(batch: int, precision: str, *, rank: int, count: int, store: str) -> Run:
    """Return a step of one of `count` processes that share their gradients through gloo."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    found = method()
    shared = torch.nn.parallel.DistributedDataParallel(_Step(found))
    held = batch_of(ecg=ecgs(batch))
    return our_training(found.parameters(), lambda: shared(held), precision)


def embedding_reference(batch: int) -> Run:
    network = plain(method()).encoder
    return inference(torch.nn.Sequential(network, MeanPool()), ecgs(batch))


def embedding_ours(batch: int, precision: str) -> Run:
    return inference(Tower(build_encoder("vit", ECG), MeanPool()), ecgs(batch), precision)
