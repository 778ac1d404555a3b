"""Networks as one graph of tensors that takes every subject, whatever modalities it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.data.crops import spaced_crops
from cardiobind.errors import InputError
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.members import mean_logits, members_of
from cardiobind.inference.predictor import Predictor
from cardiobind.models import Encoder, Fusion, Tower
from cardiobind.models.s4 import DiagonalStateSpace

PRESENT = "_present"
"""Ending of the name of the input that says who has a modality."""


class ScoreGraph(nn.Module):
    """The score of a bundle from signals as prepared: mean over crops and members, as `Predictor.logits`.

    Rows of a modality that a subject has not got may hold anything. A subject without any modality gets NaN.

    Args:
        predictor: the bundle.
        modalities: inputs of the graph, a part of those the bundle knows.

    Raises:
        InputError: no modality, or one that the bundle does not know.
    """

    def __init__(self, predictor: Predictor, modalities: Sequence[str]) -> None:
        super().__init__()
        known = tuple(predictor.contract.inputs)
        if not modalities or not set(modalities) <= set(known):
            raise InputError("no such inputs", where="inputs", expected=" | ".join(known), got="+".join(modalities))
        self.modalities = tuple(m for m in known if m in modalities)
        self.members = nn.ModuleList(members_of(predictor.fusion))
        self.stretches = _stretches(predictor.contract)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs: the signals, and behind them, where there are several, who has each."""
        masks = tuple(f"{m}{PRESENT}" for m in self.modalities) if len(self.modalities) > 1 else ()
        return (*self.modalities, *masks)

    def forward(self, *given: Tensor) -> Tensor:
        """Return logits (B, outputs) of signals (B, ...) and masks (B,) bool in the order of `names`."""
        signals, shown = self._given(given)
        members = [self._member(cast(Fusion, member), signals, shown) for member in self.members]
        logits = mean_logits(torch.stack(members))
        return torch.where(shown.any(dim=1, keepdim=True), logits, torch.nan)

    def _given(self, given: Sequence[Tensor]) -> tuple[dict[str, Tensor], Tensor]:
        count = len(self.modalities)
        if count == 1:
            everybody = torch.ones_like(given[0].flatten(1)[:, :1], dtype=torch.bool)
            return {self.modalities[0]: given[0]}, everybody
        signals = {}
        for name, x, mask in zip(self.modalities, given[:count], given[count:], strict=True):
            signals[name] = torch.where(mask.reshape(-1, *[1] * (x.ndim - 1)), x, 0.0)
        return signals, torch.stack(list(given[count:]), dim=1)

    def _member(self, fusion: Fusion, signals: Mapping[str, Tensor], shown: Tensor) -> Tensor:
        """Return the mean logits of the crops, as if all had everything and what they lack were hidden.

        That a modality is hidden is the same as that it is not there, by `cardiobind.testing.check_fusion`.
        """
        rest = {name: fusion.encode(name, x) for name, x in signals.items() if name != "ecg"}
        absent = torch.zeros_like(shown[:, 0])
        place = {name: shown[:, i] for i, name in enumerate(self.modalities)}
        hidden = torch.stack([place.get(name, absent) for name in fusion.towers], dim=1)
        have = torch.stack([torch.ones_like(absent) if m in signals else absent for m in fusion.towers], dim=1)
        logits = []
        for crop in self._encoded_crops(fusion, signals):
            held = {**rest, **crop}
            ordered = {name: held[name] for name in fusion.towers if name in held}
            logits.append(fusion.head(fusion.join(ordered, have, hidden)))
        return torch.stack(logits).mean(dim=0)

    def _encoded_crops(self, fusion: Fusion, signals: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """Return what enters of each crop, encoded as one batch: else a file would hold the weights once a crop."""
        if "ecg" not in signals:
            return [{}]
        crops = torch.cat([signals["ecg"][:, :, stretch] for stretch in self.stretches])
        encoded = fusion.encode("ecg", crops)
        return [{"ecg": one} for one in encoded.reshape(len(self.stretches), -1, *encoded.shape[1:]).unbind(0)]


class TowerGraph(nn.Module):
    """What the tower of one modality makes of signals as prepared: the embedding and the tokens it is pooled from.

    Args:
        encoder: of the modality.
        pool: of its tokens.
    """

    names: tuple[str, ...]

    def __init__(self, encoder: Encoder, pool: nn.Module) -> None:
        super().__init__()
        self.encoder, self.pool = encoder, pool
        self.names = (encoder.inputs.modality,)

    @classmethod
    def of(cls, tower: Tower) -> TowerGraph:
        """Return the graph of a tower."""
        return cls(tower.encoder, tower.pool)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding (B, width) and tokens (B, N, width) of signals (B, ...)."""
        tokens = self.encoder(x)
        return self.pool(tokens), tokens


def _stretches(contract: BundleContract) -> list[slice]:
    spec = contract.inputs.get("ecg")
    if contract.crop_s is None or spec is None:
        return [slice(None)]
    times = torch.arange(spec.shape[1])[None, None]
    crops = spaced_crops(times, round(contract.crop_s * float(spec.rate_hz or 0)), contract.crops)
    return [slice(int(crop[0, 0, 0]), int(crop[0, 0, -1]) + 1) for crop in crops]


@contextmanager
def expressible(network: nn.Module, run: Callable[[], object]) -> Iterator[None]:
    """Replace, as long as the block lasts, what ONNX has no operators for by what computes the same.

    Args:
        network: whose parts are replaced.
        run: runs the network once, for the lengths of what its parts are given.
    """
    spaces = [part for part in network.modules() if isinstance(part, DiagonalStateSpace)]
    lengths: dict[int, int] = {}
    hooks = [
        s.register_forward_pre_hook(lambda own, given: lengths.update({id(own): given[0].shape[2]})) for s in spaces
    ]
    run()
    for hook in hooks:
        hook.remove()
    try:
        for space in spaces:
            space.forward = _Convolved(space, lengths[id(space)])  # type: ignore[method-assign]
        yield
    finally:
        for space in spaces:
            del space.forward


class _Convolved:
    """A state space as the convolution that it is: complex numbers and Fourier transforms are gone."""

    def __init__(self, space: DiagonalStateSpace, length: int) -> None:
        with torch.no_grad():
            past, *future = space.kernel(length)
            kernel = F.pad(past.flip(1), (0, length - 1))
            if future:
                kernel = kernel + F.pad(future[0], (length - 1, 0))
            kernel[:, length - 1] += space.skip
        self.kernel, self.room = kernel[:, None].contiguous(), length - 1

    def __call__(self, u: Tensor) -> Tensor:
        return F.conv1d(u, self.kernel, padding=self.room, groups=self.kernel.shape[0])
