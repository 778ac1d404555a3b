"""What several processes do together, written to files that the test reads.

Usage: ``python joint_run.py WORK``; each process writes ``WORK/order-RANK.json``, the leader ``WORK/found.pt``.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from cardiobind import rng
from cardiobind.data import KeyedBatchSampler
from cardiobind.training import Step, TrainingSettings, decay_groups, engine, fit, processes, weights_digest
from cardiobind.training.batch_norm import total_of_all

SUBJECTS, BATCH = 40, 8
SETTINGS: dict[str, Any] = {
    "batch_size": BATCH, "steps": 13, "round_steps": 5, "accelerator": "cpu", "precision": "32-true",
    "learning_rate": 1e-2, "checkpoint_interval_s": 0.0,
}  # fmt: skip


class Rows:
    """A batch: two fixed views of each subject."""

    def __init__(self, rows: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
        self.rows, self.a, self.b = rows, a, b

    @property
    def size(self) -> int:
        return len(self.rows)

    def to(self, device: Any) -> Rows:
        return self


class TwoFixedViews:
    def __init__(self, size: int, seed: int = 0) -> None:
        x = torch.from_numpy(rng.generator(seed, "joint").standard_normal((size, 2, 3, 10))).float()
        self.views = x + 2 * x.mean(dim=1, keepdim=True)
        self.seen: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.views)

    def batch(self, indices: Any) -> Rows:
        self.seen.append([int(i) for i in indices])
        return Rows(torch.tensor(indices), self.views[indices, 0], self.views[indices, 1])


def joint_rows(x: torch.Tensor) -> torch.Tensor:
    """Return the rows of all processes, by rank: each one adds its own to zeros."""
    team = processes.current()
    if team.world == 1:
        return x
    padded = x.new_zeros(team.world, *x.shape)
    padded[team.rank] = x
    return total_of_all(padded).flatten(0, 1)


class Contrast(nn.Module):
    """CLIP's loss over the joint batch, with two batch norms; no bias before them, whose gradient is rounding alone."""

    modalities = ("ecg",)
    monitor = "loss"
    higher_is_better = False

    def __init__(self, noise: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.noise, self.drawn = noise, []
        self.net = nn.Sequential(
            nn.Conv1d(3, 6, 3, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten(),
            nn.Linear(48, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 4),
        )  # fmt: skip

    def loss(self, batch: Rows) -> torch.Tensor:
        z = F.normalize(self.net(torch.cat([batch.a, batch.b])), dim=1)
        a, b = joint_rows(z[: batch.size]), joint_rows(z[batch.size :])
        return F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a)))

    def training_step(self, batch: Rows) -> Step:
        noise = torch.randn(batch.size)
        self.drawn.append(noise.tolist())
        loss = self.loss(batch) + self.noise * noise.mean() * self.net[0].weight.sum()
        return Step(loss, logs={"rows": batch.rows.float().mean()})

    def evaluate_batch(self, batch: Rows) -> dict[str, torch.Tensor]:
        return {"row": batch.rows, "value": self.net(batch.a).sum(1) + torch.randn(batch.size)}

    def summarise(self, outputs: Any) -> dict[str, float]:
        ordered = bool((outputs["row"] == range(len(outputs["row"]))).all())
        return {"loss": float(outputs["value"].mean()), "ordered": float(ordered)}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)


class Cut(Exception):
    """The run is interrupted."""


def train(work: Path, name: str, *, noise: float = 0.0, cut_after: int | None = None, **changes: Any) -> dict[str, Any]:
    """Train the toy, or only `cut_after` steps of it; return what it did."""
    method, data, gradients = Contrast(noise), TwoFixedViews(SUBJECTS), []
    clip = engine.clip_gradient

    def recording(parameters: Any, clip_norm: float | None) -> torch.Tensor:
        parameters = list(parameters)
        if len(gradients) == cut_after:
            raise Cut
        gradients.append([p.grad.clone() for p in parameters])
        return clip(parameters, clip_norm)

    engine.clip_gradient = recording
    try:
        history = fit(
            method, data, TwoFixedViews(21, seed=1), TrainingSettings(**SETTINGS | changes), order=KeyedBatchSampler,
            seed=3, work=work / name, title=name,
        )  # fmt: skip
    finally:
        engine.clip_gradient = clip
    return {
        "rows": history.rows, "gradients": gradients, "seen": data.seen, "drawn": method.drawn,
        "weights": dict(method.state_dict()), "digest": weights_digest(method.state_dict()),
    }  # fmt: skip


def main(work: Path) -> None:
    torch.set_num_threads(1)
    found = {"whole": train(work, "whole"), "noisy": train(work, "noisy", noise=0.01)}
    found["resumed"] = train(work, "begun_by_one")
    with suppress(Cut):
        train(work, "begun_by_two", cut_after=7)
    team = processes.current()
    everybody = {name: team.gather({k: v for k, v in run.items() if k != "gradients"}) for name, run in found.items()}
    if team.leads:
        torch.save({"leader": found, "everybody": everybody}, work / "found.pt")
    (work / f"team-{team.rank}.json").write_text(json.dumps([team.rank, team.world, team.launcher]))


if __name__ == "__main__":
    if "--devices" in sys.argv:
        SETTINGS["devices"] = int(sys.argv[sys.argv.index("--devices") + 1])
    main(Path(sys.argv[1]))
