"""Where networks are computed outside of training: on the accelerator that trains, if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import chain

import torch
from torch import nn

from cardiobind.training.determinism import deterministic

_ACCELERATOR: ContextVar[str] = ContextVar("accelerator", default="auto")


def device_kind(accelerator: str = "auto") -> str:
    """Return the kind of device of an accelerator: ``cpu``, ``cuda`` or ``mps``.

    Args:
        accelerator: as in `cardiobind.training.TrainingSettings`; ``auto`` is CUDA, else Apple's, else the CPU.
    """
    if accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available()):
        return "cuda"
    if accelerator == "auto":
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return accelerator


@contextmanager
def computing_on(accelerator: str) -> Iterator[None]:
    """Let `computing` use an accelerator within the block, that of an experiment's trainings."""
    before = _ACCELERATOR.set(accelerator)
    try:
        yield
    finally:
        _ACCELERATOR.reset(before)


def computing_device() -> torch.device:
    """Return the device of `computing_on`; outside of it the one that the trainer's ``auto`` would choose."""
    return torch.device(device_kind(_ACCELERATOR.get()))


@contextmanager
def computing(*modules: nn.Module) -> Iterator[torch.device]:
    """Hold modules on the computing device within the block, deterministic there; afterwards they are where they were.

    Enter it before ``torch.inference_mode``, not within: weights that are moved within cannot be trained any more.
    """
    device, before = computing_device(), [(module, _place(module)) for module in modules]
    if device.type == "cpu" and all(place.type == "cpu" for _, place in before):
        yield device
        return
    try:
        for module in modules:
            module.to(device)
        with deterministic():
            yield device
    finally:
        for module, place in before:
            module.to(place)


def _place(module: nn.Module) -> torch.device:
    held = next(chain(module.parameters(), module.buffers()), None)
    return torch.device("cpu") if held is None else held.device
