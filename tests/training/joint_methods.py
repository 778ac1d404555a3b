"""Every method by two processes. Usage: ``python joint_methods.py WORK``; the leader writes ``WORK/found.pt``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from kill_server import tiny_methods

from cardiobind.data import Batch
from cardiobind.methods import METHODS, learn
from cardiobind.training import TrainingSettings, engine, processes, weights_digest

SETTINGS = TrainingSettings(steps=3, batch_size=12, round_steps=2, accelerator="cpu", precision="32-true")
EXACT: dict[str, dict[str, Any]] = {
    "simclr": {"projection": 8, "augment_probability": 0.0},
    "align_all_pairs": {"projection": 8, "augment_probability": 0.0, "corruption": 0.0},
    "align_sigmoid": {"projection": 8, "augment_probability": 0.0, "corruption": 0.0},
    "finetune": {"hidden": 8, "modality_dropout": 0.0},
    "semi_supervised": {"hidden": 8, "modality_dropout": 0.0, "strong_probability": 0.0, "strong_corruption": 0.0},
}
"""Methods whose views can be fixed, so that a step is a function of the joint batch; computed in float64.

In float32 another order of sums makes 5e-6 of the gradient of a residual network, in float64 3e-14."""


class Doubled:
    """Subjects in float64."""

    def __init__(self, subjects: Any) -> None:
        self.subjects = subjects

    def __len__(self) -> int:
        return len(self.subjects)

    def batch(self, indices: Any) -> Batch:
        batch = self.subjects.batch(indices)
        return replace(batch, signals={name: x.double() for name, x in batch.signals.items()})


def without_chance(network: torch.nn.Module) -> None:
    """Take away dropped paths, and batch norm, which several processes do not share where there are modalities."""
    for module in list(network.modules()):
        for child_name, child in module.named_children():
            if type(child).__name__ in ("DropPath", "BatchNorm1d"):
                setattr(module, child_name, torch.nn.Identity())


def exact_method(name: str) -> torch.nn.Module:
    """Return a method without randomness in float64, without batch norm in encoders where it has several modalities."""
    tiny = tiny_methods()
    torch.manual_seed(0)
    if name == "simclr":
        return METHODS.get(name)(tiny.make_encoder("cmr"), **EXACT[name]).double()
    towers = tiny.make_towers(("ecg", "tabular"))
    for tower in towers.values():
        without_chance(tower)
    return METHODS.get(name)(towers, **EXACT[name]).double()


def train(name: str, method: Any, work: Path, modalities: tuple[str, ...]) -> dict[str, Any]:
    """Train a method on subjects with gaps; return its gradients, losses and weights."""
    data: Any = tiny_methods().TinyCohort(48, modalities)
    data = Doubled(data) if next(method.parameters()).dtype == torch.float64 else data
    gradients: list[list[torch.Tensor | None]] = []
    clip = engine.clip_gradient

    def recording(parameters: Any, clip_norm: float | None) -> torch.Tensor:
        parameters = list(parameters)
        gradients.append([None if p.grad is None else p.grad.clone() for p in parameters])
        return clip(parameters, clip_norm)

    engine.clip_gradient = recording
    try:
        history = learn(method, data, data, SETTINGS, seed=0, work=work / name, title=name)
    finally:
        engine.clip_gradient = clip
    return {"gradients": gradients, "rows": history.rows, "digest": weights_digest(method.state_dict())}


def main(work: Path) -> None:
    torch.set_num_threads(1)
    exact = {name: train(f"exact-{name}", m := exact_method(name), work, m.modalities) for name in EXACT}
    found = {}
    for name in METHODS.names():
        method = tiny_methods().make_method(name)
        found[name] = train(name, method, work, tuple(method.modalities))["digest"]
    everybody = processes.current().gather(found)
    if processes.current().leads:
        torch.save({"exact": exact, "everybody": everybody}, work / "found.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
