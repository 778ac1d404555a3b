"""The works that `gpu.py` times: the package's own methods on the paper's shapes, with their random views."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cardiobind.data import Batch
from cardiobind.methods import METHODS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import AttentionPool, MeanPool, Tower, build_encoder

Run = Callable[[], Any]


@dataclass(frozen=True)
class Shapes:
    """Sizes of inputs and networks."""

    ecg: InputSpec
    cmr: InputSpec
    table: InputSpec
    vit: dict[str, Any]
    resnet: dict[str, Any]

    @classmethod
    def of(cls, *, tiny: bool) -> Shapes:
        """Return the paper's sizes, or small ones."""
        samples, size, fields = (1000, 32, 5) if tiny else (5000, 210, 33)
        return cls(
            InputSpec("ecg", (12, samples), rate_hz=100.0 if tiny else 500.0),
            InputSpec("cmr", (3, size, size)),
            InputSpec("tabular", (fields, 2), cardinalities=(0,) * fields),
            {"width": 32, "depth": 1, "heads": 2} if tiny else {},
            {"depth": 10, "base_width": 4} if tiny else {"depth": 50},
        )

    def towers(self) -> dict[str, Tower]:
        """Return a tower for each modality."""
        ecg = build_encoder("vit", self.ecg, **self.vit)
        cmr = build_encoder("resnet", self.cmr, **self.resnet)
        table = build_encoder("tabular_mlp", self.table)
        pools: list[nn.Module] = [AttentionPool(ecg.width, heads=2), MeanPool(), MeanPool()]
        encoders = {"ecg": ecg, "cmr": cmr, "tabular": table}
        return {name: Tower(e, pool) for (name, e), pool in zip(encoders.items(), pools, strict=True)}

    def batch(self, size: int, device: torch.device, *modalities: str) -> Batch:
        """Return random subjects who have these modalities, half of them labelled 1."""
        specs = {"ecg": self.ecg, "cmr": self.cmr, "tabular": self.table}
        signals = {name: torch.randn(size, *specs[name].shape) for name in modalities}
        if "tabular" in signals:
            signals["tabular"][..., 1] = 1.0
        present = {name: torch.ones(size, dtype=torch.bool) for name in modalities}
        labels = (torch.arange(size) % 2).float()
        return Batch(torch.arange(size), signals, present, labels).to(device)


def _step(method: Any, batch: Batch, device: torch.device, half: bool) -> Run:
    method.to(device).train()
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        optimiser.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = method.training_step(batch).loss
        loss.backward()
        optimiser.step()

    return run


def ecg_mae(shapes: Shapes, size: int, device: torch.device, half: bool, **options: Any) -> Run:
    options = {"similarity_weight": 0.1} | options
    method = METHODS.get("masked")(build_encoder("vit", shapes.ecg, **shapes.vit), **options)
    return _step(method, shapes.batch(size, device, "ecg"), device, half)


def ecg_mae_fast(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    return ecg_mae(shapes, size, device, half, similarity_weight=0.0, decode_ratio=1 / 3)


def simclr(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    method = METHODS.get("simclr")(build_encoder("resnet", shapes.cmr, **shapes.resnet))
    return _step(method, shapes.batch(size, device, "cmr"), device, half)


def align(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    method = METHODS.get("align_joint")(shapes.towers(), crop_s=5.0)
    return _step(method, shapes.batch(size, device, "ecg", "cmr", "tabular"), device, half)


def finetune(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    method = METHODS.get("finetune")(shapes.towers(), crop_s=5.0)
    return _step(method, shapes.batch(size, device, "ecg", "cmr", "tabular"), device, half)


def _embedding(tower: Tower, x: torch.Tensor, device: torch.device, half: bool) -> Run:
    tower.to(device).eval()

    def run() -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            tower(x)

    return run


def ecg_embedding(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    x = shapes.batch(size, device, "ecg").signals["ecg"][:, :, : shapes.ecg.shape[1] // 2]
    return _embedding(shapes.towers()["ecg"], x, device, half)


def cmr_embedding(shapes: Shapes, size: int, device: torch.device, half: bool) -> Run:
    return _embedding(shapes.towers()["cmr"], shapes.batch(size, device, "cmr").signals["cmr"], device, half)


WORKS: dict[str, Callable[[Shapes, int, torch.device, bool], Run]] = {
    "ecg_mae": ecg_mae, "ecg_mae_fast": ecg_mae_fast, "simclr": simclr, "align": align, "finetune": finetune,
    "ecg_embedding": ecg_embedding, "cmr_embedding": cmr_embedding,
}  # fmt: skip
