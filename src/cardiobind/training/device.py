"""Where networks are computed outside of training: on the accelerator, if there is one, as the trainer does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from cardiobind.training.determinism import deterministic


def computing_device() -> torch.device:
    """Return the device that the trainer's ``auto`` would choose: CUDA, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


@contextmanager
def computing(*modules: nn.Module) -> Iterator[torch.device]:
    """Hold modules on the computing device within the block, deterministic there; afterwards they are where they were.

    Enter it before ``torch.inference_mode``, not within: weights that are moved within cannot be trained any more.
    """
    device, before = computing_device(), [(module, _place(module)) for module in modules]
    if device.type == "cpu":
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
