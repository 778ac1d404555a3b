"""What a method is, and the registry of them; the machine that runs one is `cardiobind.training`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.errors import ConfigError, TrainingError
from cardiobind.objectives import embedding_spread
from cardiobind.registry import Registry
from cardiobind.training import Method, Step

__all__ = ["METHODS", "Method", "Step", "embedding_spread", "having"]

METHODS: Registry[Callable[..., Method]] = Registry("method")

Present = Mapping[str, NDArray[np.bool_]]


def having(present: Present, modalities: tuple[str, ...], at_least: int) -> NDArray[np.bool_]:
    """Return which subjects have at least that many of the modalities.

    Args:
        present: per modality (n,) bool.
        modalities: those that count.
        at_least: how many of them a subject needs.
    """
    count: NDArray[Any] = np.sum([present[name] for name in modalities], axis=0)
    return count >= at_least


def finite(values: Tensor, what: str) -> Tensor:
    """Return values computed by a network, in which NaN would be taken for something absent.

    Raises:
        TrainingError: one is not finite.
    """
    if not bool(values.isfinite().all()):
        broken = int((~values.isfinite()).reshape(len(values), -1).any(dim=1).sum())
        raise TrainingError(
            f"{what} are not finite", expected="finite numbers", got=f"{broken} of {len(values)} rows with NaN or inf",
            hint="look at the data, or lower the learning rate or clip the gradient of the training",
        )  # fmt: skip
    return values


def zero_loss(tensors: Mapping[str, Tensor] | list[Tensor]) -> Tensor:
    """Return a loss of 0 with zero gradients, for a batch from which nothing can be learnt."""
    held = list(tensors.values()) if isinstance(tensors, Mapping) else tensors
    return torch.stack([0.0 * tensor.sum() for tensor in held]).sum()


def require_modality(modality: str, allowed: tuple[str, ...], method: str) -> None:
    """Check that a method is defined for a modality.

    Raises:
        ConfigError: it is not.
    """
    if modality not in allowed:
        raise ConfigError(f"{method} is not defined for {modality!r}", expected=" | ".join(allowed), got=modality)
