"""The temperature of a contrastive loss: a number, or learnt within bounds."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError

LOWEST, HIGHEST = 0.01, 1.0


class Temperature(nn.Module):
    """A temperature that is fixed, or learnt as the logarithm of its inverse and kept in [0.01, 1].

    Args:
        start: where it begins, or stays.
        learnable: whether it is learnt.

    Raises:
        ConfigError: it is not positive, or is to be learnt and out of range.

    Source: Radford et al. 2021 (CLIP), section 2.5: logits scaled by at most 100.
    """

    def __init__(self, start: float, *, learnable: bool) -> None:
        super().__init__()
        if not 0.0 < start < math.inf or (learnable and not LOWEST <= start <= HIGHEST):
            expected = f"{LOWEST} to {HIGHEST} where it is learnt, else above 0"
            raise ConfigError("the temperature is out of range", where="temperature", expected=expected, got=start)
        self.start = start
        self.log_inverse = nn.Parameter(torch.tensor(-math.log(start))) if learnable else None

    @torch.no_grad()
    def keep_within(self) -> None:
        """Take back what the last step of the optimiser went beyond the bounds; beyond them there is no gradient."""
        if self.log_inverse is not None:
            self.log_inverse.clamp_(-math.log(HIGHEST), -math.log(LOWEST))

    def forward(self) -> float | Tensor:
        """Return the temperature."""
        if self.log_inverse is None:
            return self.start
        return (-self.log_inverse.clamp(-math.log(HIGHEST), -math.log(LOWEST))).exp()
