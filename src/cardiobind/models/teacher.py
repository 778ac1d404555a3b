"""A teacher whose weights are the moving average of a student's."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError


class Teacher(nn.Module):
    """Copy of a network that follows it slowly and is never trained.

    Its weights are buffers: no optimiser sees them and checkpoints hold them. So is the number of updates, on which
    alone the momentum depends: a resumed run goes on with the same bits. Running statistics of the student are averages
    already, and are copied.

    Args:
        student: the network.
        momentum: share of itself that the teacher keeps at an update: at the first, and from `steps` updates on.
        steps: over which the momentum grows linearly.

    Raises:
        ConfigError: a momentum is not in [0, 1], or there is no step.

    Source: Grill et al. 2020 (BYOL); linear growth as Assran et al. 2023 (I-JEPA), section 4.
    """

    def __init__(self, student: nn.Module, *, momentum: tuple[float, float], steps: int) -> None:
        super().__init__()
        if not all(0.0 <= m <= 1.0 for m in momentum) or steps < 1:
            raise ConfigError(
                "momentum is out of range", expected="[0, 1], at least 1 step", got=f"{momentum}, {steps}"
            )
        self.momentum, self.steps = momentum, steps
        self.network = frozen_copy(student)
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.eval()

    def train(self, mode: bool = True) -> Teacher:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move the weights towards those of the student."""
        first, last = self.momentum
        share = 1.0 - (first + (last - first) * (self.updates / self.steps).clamp(max=1.0))
        own = dict(self.network.named_buffers())
        for name, parameter in student.named_parameters():
            own[name].lerp_(parameter, share.to(parameter.dtype))
        for name, buffer in student.named_buffers():
            own[name].copy_(buffer)
        self.updates.add_(1)


def frozen_copy(module: nn.Module) -> Any:
    """Return a copy of a module that computes the same, its parameters as buffers."""
    twin = copy.deepcopy(module)
    for part in twin.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach().clone())
    return twin
