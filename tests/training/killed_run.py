"""A tiny masked autoencoder, trained in a process of its own that may be killed at any instant.

Usage: ``python killed_run.py WORK``; when it ends it writes the SHA-256 of the weights to ``WORK/done``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from cardiobind import rng
from cardiobind.data import Batch
from cardiobind.methods import Masked, learn
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import ViT
from cardiobind.training import TrainingSettings, weights_digest


class Signals:
    """Noisy sines with the interface of `CohortDataset`."""

    modalities = ("ecg",)

    def __init__(self, size: int, seed: int) -> None:
        generator = rng.generator(seed, "signals")
        wave = np.sin(np.arange(200) / 9 + generator.uniform(0, 6, (size, 12, 1)))
        self.ecg = (wave + 0.3 * generator.standard_normal(wave.shape)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.ecg)

    def batch(self, indices: list[int]) -> Batch:
        rows = np.asarray(indices, dtype=np.int64)
        present = torch.ones(len(rows), dtype=torch.bool)
        return Batch(torch.from_numpy(rows), {"ecg": torch.from_numpy(self.ecg[rows])}, {"ecg": present})


def main(work: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    spec = InputSpec("ecg", (12, 200), rate_hz=100.0)
    encoder = ViT(spec, patch=(12, 20), width=16, depth=2, heads=2, drop_path=0.2)
    method = Masked(encoder, decoder_width=16, decoder_depth=1, decoder_heads=2, crop_s=1.0)
    settings = TrainingSettings(
        epochs=40, batch_size=16, round_steps=7, accelerator="cpu", checkpoint_interval_s=0.0, learning_rate=3e-3
    )
    learn(method, Signals(200, 1), Signals(40, 2), settings, seed=3, work=work, title="killed")  # type: ignore[arg-type]
    (work / "done").write_text(weights_digest(method.state_dict()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
