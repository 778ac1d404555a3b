"""What a timed work is, and what all of them share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.modalities.spec import InputSpec
from cardiobind.training.memory import freed_memory_kept

Run = Callable[[], Any]
KEPT = ExitStack()
"""Holds on to freed memory until the process ends."""
ECG = InputSpec("ecg", (12, 2500), rate_hz=500.0)


@dataclass(frozen=True)
class Work:
    """One line of the table: the same mathematics built twice.

    Attributes:
        title: for a person.
        batch: samples of one repetition.
        quick: samples of one repetition where time is short.
        reference: builds the plain float32 repetition from a batch size.
        ours: builds the package's from a batch size and a precision.
        goal: ratio asked for.
        products: whether it multiplies matrices, so that a share of the matmul peak makes sense.
    """

    title: str
    batch: int
    quick: int
    reference: Callable[[int], Run]
    ours: Callable[[int, str], Run]
    goal: float
    products: bool = True


def autocast(precision: str, device: str = "cpu") -> torch.autocast:
    """Return the context in which the trainer runs a step of that precision."""
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bf16-mixed")


def training(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], precision: str = "32-true") -> Run:
    """Return forward, backward and AdamW."""
    optimiser = torch.optim.AdamW(list(parameters), lr=1e-4, fused=True)

    def run() -> float:
        optimiser.zero_grad()
        with autocast(precision):
            value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    return run


def our_training(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], precision: str) -> Run:
    """Return a step as the package's trainer makes it: in a process that keeps the memory it has freed."""
    step = training(parameters, loss, precision)
    KEPT.enter_context(freed_memory_kept())
    return step


def inference(network: nn.Module, x: Tensor, precision: str = "32-true") -> Run:
    """Return the embedding of a batch."""
    network.eval()

    def run() -> Tensor:
        with torch.inference_mode(), autocast(precision):
            return network(x)

    return run


def ecgs(batch: int, samples: int = 2500) -> Tensor:
    """Return random walks (batch, 12, samples) of mean 0 and standard deviation 1."""
    x = torch.randn(batch, 12, samples).cumsum(dim=2)
    return (x - x.mean(dim=2, keepdim=True)) / x.std(dim=2, keepdim=True)


def batch_of(**signals: Tensor) -> Batch:
    """Return a batch of subjects who have all of the signals."""
    size = len(next(iter(signals.values())))
    return Batch(torch.arange(size), signals, {name: torch.ones(size, dtype=torch.bool) for name in signals}, None)
