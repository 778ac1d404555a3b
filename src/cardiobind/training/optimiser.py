"""Parameter groups and the optimiser made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from cardiobind.errors import TrainingError
from cardiobind.training.settings import TrainingSettings


def decay_groups(
    parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return up to two optimiser groups: matrices and kernels decay, vectors (biases, norms) do not.

    Args:
        parameters: weights; those that need no gradient are left out.
        learning_rate: of both groups.
        weight_decay: of the first group.

    Source: the habit of facebookresearch/mae and of timm.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.squeeze().ndim > 1], "lr": learning_rate, "weight_decay": weight_decay},
        {"params": [p for p in trained if p.squeeze().ndim <= 1], "lr": learning_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimiser(groups: list[dict[str, Any]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return AdamW over the groups; each keeps its top learning rate as ``base_lr``.

    Raises:
        TrainingError: there is nothing to train.
    """
    if not any(group["params"] for group in groups):
        raise TrainingError("the method has no weights to train", hint="choose another fit than the one that freezes")
    for group in groups:
        group["base_lr"] = group.get("lr", settings.learning_rate)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's learning rate to `factor` times its top one."""
    for group in optimiser.param_groups:
        group["lr"] = factor * group["base_lr"]


def clip_gradient(parameters: Iterable[nn.Parameter], clip_norm: float | None) -> torch.Tensor:
    """Scale the gradient down to `clip_norm` if it is longer; return its norm before that."""
    held = [p for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in held if p.grad is not None])
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(held, clip_norm, norm)
    return norm
