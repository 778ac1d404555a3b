"""Cost of the training machine besides the model, as a ratio to the bare loop: python benchmarks/training_overhead.py.

The bare loop makes the same number of AdamW steps on the same tiny network. Prints one JSON line.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cardiobind.data import KeyedBatchSampler
from cardiobind.training import Step, TrainingSettings, decay_groups, fit

STEPS, SUBJECTS, BATCH = 500, 640, 64


class Rows:
    """Random rows with a linear target."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.x = torch.randn(SUBJECTS, 32)

    def __len__(self) -> int:
        return SUBJECTS

    def batch(self, indices: Any) -> RowBatch:
        return RowBatch(self.x[list(indices)])


class RowBatch:
    """A batch of rows."""

    def __init__(self, x: torch.Tensor) -> None:
        self.x, self.size, self.present = x, len(x), {}

    def to(self, device: Any) -> RowBatch:
        return self


class Toy(nn.Module):
    """Learns the sum of its inputs."""

    modalities, monitor, higher_is_better = ("ecg",), "loss", False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 1)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        return (self.layer(x)[:, 0] - x.sum(dim=1)).square().mean()

    def training_step(self, batch: RowBatch) -> Step:
        return Step(self.loss(batch.x))

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        return decay_groups(self.parameters(), learning_rate=1e-3, weight_decay=0.0)


def bare(steps: int) -> float:
    """Return the CPU seconds of a plain loop."""
    rows, toy = Rows(), Toy()
    optimiser = torch.optim.AdamW(toy.parameters(), lr=1e-3)
    began = time.process_time()
    for step in range(steps):
        loss = toy.loss(rows.x[(step * BATCH) % SUBJECTS :][:BATCH])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return time.process_time() - began


def machine(steps: int) -> float:
    """Return the CPU seconds of `fit`."""
    settings = TrainingSettings(steps=steps, batch_size=BATCH, round_steps=steps, accelerator="cpu")
    with tempfile.TemporaryDirectory() as work:
        began = time.process_time()
        fit(Toy(), Rows(), None, settings, order=KeyedBatchSampler, seed=0, work=Path(work), title="toy")
        return time.process_time() - began


def main() -> None:
    """Print the cost a step and the ratio."""
    torch.set_num_threads(1)
    machine(10)
    plain, ours = bare(STEPS), machine(STEPS)
    figures = {"steps": STEPS, "bare_ms_per_step": 1e3 * plain / STEPS, "machine_ms_per_step": 1e3 * ours / STEPS}
    print(json.dumps({**figures, "ratio": ours / plain}))


if __name__ == "__main__":
    main()
