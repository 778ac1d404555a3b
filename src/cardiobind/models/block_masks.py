"""Masks that hide whole stretches of time, so that a neighbour cannot give the answer away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cardiobind.errors import ConfigError


def block_count(columns: int, ratio: float, block: int) -> int:
    """Return how many blocks hide that part of the columns, at least one, with at least one column left.

    Raises:
        ConfigError: the ratio is not in (0, 1), or not even one block fits.
    """
    if not 0.0 < ratio < 1.0 or not 0 < block < columns:
        expected = f"a ratio in (0, 1) and blocks of 1 to {columns - 1} tokens in time"
        raise ConfigError("the mask does not fit the ECG", expected=expected, got=f"{ratio}, {block}")
    return min(max(1, round(ratio * columns / block)), (columns - 1) // block)


def block_mask(batch: int, columns: int, count: int, block: int, device: torch.device) -> Tensor:
    """Hide blocks that do not overlap, every arrangement alike, by torch's global generator.

    Args:
        batch: subjects, each with blocks of its own.
        columns: tokens in time.
        count: of the blocks; together they are shorter than `columns`.
        block: tokens in time of a block; two may touch.
        device: of the result.

    Returns:
        (batch, columns) bool, True in exactly ``count * block`` places of each row.
    """
    slots = columns - count * (block - 1)
    chosen = torch.rand(batch, slots, device=device).argsort(dim=1)[:, :count].sort(dim=1).values
    starts = chosen + (block - 1) * torch.arange(count, device=device)
    places = (starts[..., None] + torch.arange(block, device=device)).flatten(1)
    return torch.zeros(batch, columns, dtype=torch.bool, device=device).scatter_(1, places, True)


@dataclass(frozen=True)
class TimeSplit:
    """Places of tokens on a (rows, columns) grid, by what is seen and what is to be predicted.

    Attributes:
        visible: (B, n).
        hidden: (B, h).
    """

    visible: Tensor
    hidden: Tensor

    @classmethod
    def of(cls, mask: Tensor, rows: int) -> TimeSplit:
        """Return the tokens of all rows in the columns that a mask (B, columns) shows and hides."""
        columns, shown = mask.shape[1], int((~mask[0]).sum())
        order = mask.to(torch.uint8).argsort(dim=1, stable=True)
        row = columns * torch.arange(rows, device=mask.device)[:, None]
        visible, hidden = ((row + part[:, None]).flatten(1) for part in (order[:, :shown], order[:, shown:]))
        return cls(visible, hidden)
