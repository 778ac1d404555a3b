"""Determinism that is really set: the flags are read back, so a misspelt one cannot pass."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from cardiobind.errors import TrainingError

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def deterministic() -> Iterator[None]:
    """Make torch deterministic within the block, check that it is, and put the caller's flags and generator back.

    Torch would then also fill all memory it allocates, to show reads of memory never written; that costs 5 % of a step
    and is left out.

    Raises:
        TrainingError: a flag did not take.
    """
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    devices = range(torch.cuda.device_count()) if _cuda_in_use() else ()
    with torch.random.fork_rng(devices=devices):
        os.environ.setdefault(_CUBLAS, ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        memory.fill_uninitialized_memory = False
        try:
            check_deterministic()
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[2:]
            memory.fill_uninitialized_memory = filled


def seed_torch(seed: int) -> None:
    """Seed torch's generators of the CPU and of the accelerators in use.

    `torch.manual_seed` does that too, but formats a stack trace for each accelerator that is not in use: 1 ms a call.
    """
    torch.default_generator.manual_seed(seed)
    if _cuda_in_use():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def _cuda_in_use() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def check_deterministic() -> None:
    """Check that torch's own getters report determinism.

    Raises:
        TrainingError: naming the first flag that is not as it must be.
    """
    flags = {
        "torch.use_deterministic_algorithms": torch.are_deterministic_algorithms_enabled()
        and not torch.is_deterministic_algorithms_warn_only_enabled(),
        "torch.backends.cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch.backends.cudnn.benchmark off": not torch.backends.cudnn.benchmark,
        f"{_CUBLAS} of a deterministic kind": os.environ.get(_CUBLAS) in (":4096:8", ":16:8"),
    }
    for name, is_set in flags.items():
        if not is_set:
            raise TrainingError("training would not be deterministic", where=name, expected="set")
