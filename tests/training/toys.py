"""A toy method and toy data, in a module of a name of their own so that other processes find them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cardiobind import rng
from cardiobind.training import Step, decay_groups


@dataclass(frozen=True)
class ToyBatch:
    x: torch.Tensor
    y: torch.Tensor

    @property
    def size(self):
        return len(self.x)

    def to(self, device):
        return ToyBatch(self.x.to(device), self.y.to(device))


class ToyData:
    def __init__(self, size, seed=0):
        generator = rng.generator(seed, "toy")
        self.x = torch.from_numpy(generator.standard_normal((size, 6)).astype(np.float32))
        self.y = self.x[:, :2].sum(1) + 0.1 * torch.from_numpy(generator.standard_normal(size).astype(np.float32))
        self.seen = []

    def __len__(self):
        return len(self.x)

    def batch(self, indices):
        self.seen.append(list(indices))
        return ToyBatch(self.x[list(indices)], self.y[list(indices)])


class Toy(nn.Module):
    modalities = ("ecg",)
    monitor = "error"
    higher_is_better = False

    def __init__(self, dropout=0.3, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1))
        self.values = None
        self.noises = []
        self.poison_at = None
        self.steps = 0

    def training_step(self, batch):
        noise = 0.1 * torch.randn(batch.size)
        self.noises.append(noise)
        self.steps += 1
        if self.poison_at == ("input", self.steps):
            noise = noise / 0.0
        error = (self.net(batch.x + noise[:, None])[:, 0] - batch.y).square().mean()
        if self.poison_at == ("loss", self.steps):
            error = error * float("nan")
        if self.poison_at == ("gradient", self.steps):
            error = error + Poison.apply(self.net[0].bias).sum()
        return Step(error, logs={"noise": noise.mean()})

    def evaluate_batch(self, batch):
        return {"error": (self.net(batch.x)[:, 0] - batch.y).square(), "noise": torch.randn(batch.size)}

    def summarise(self, outputs):
        noise = float(outputs["noise"].sum())
        value = float(outputs["error"].mean()) if self.values is None else self.values.pop(0)
        return {"error": value, "noise": noise}

    def parameter_groups(self, settings):
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present):
        return present["ecg"]


class Poison(torch.autograd.Function):
    """Zero forwards, infinite gradient backwards."""

    @staticmethod
    def forward(ctx, x):
        return torch.zeros_like(x)

    @staticmethod
    def backward(ctx, gradient):
        return torch.full_like(gradient, float("inf"))
