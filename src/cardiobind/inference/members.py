"""The networks of a bundle: one, or the mean of several that differ in their seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from cardiobind.models import Fusion


@dataclass(frozen=True)
class Heard:
    """What the networks of a bundle say of B subjects.

    Attributes:
        logits: (M, B, outputs), of each member.
        held: per modality (P, d), what the first member's classifier sees of those who have it.
    """

    logits: Tensor
    held: Mapping[str, Tensor]


class Members(nn.Module):
    """Several networks of one architecture as one: its logits are the mean of theirs.

    Args:
        members: at least one.
    """

    def __init__(self, members: Sequence[Fusion]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def towers(self) -> nn.ModuleDict:
        """Towers of the first member."""
        return cast(Fusion, self.members[0]).towers

    def forward(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return the mean logits (B, outputs); arguments as `cardiobind.models.Fusion.features`."""
        return mean_logits(torch.stack([member(signals, present) for member in self.members]))


def members_of(network: Fusion | Members) -> tuple[Fusion, ...]:
    """Return the networks that a bundle's network is made of."""
    return tuple(cast(Fusion, m) for m in network.members) if isinstance(network, Members) else (network,)


def mean_logits(logits: Tensor) -> Tensor:
    """Return the mean (..., outputs) of members' logits (M, ..., outputs): the one definition of a bundle's score."""
    return logits.mean(dim=0)


def hear(network: Fusion | Members, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Heard:
    """Return the logits of each member and the first one's embeddings, each computed once.

    Args:
        network: in evaluation mode.
        signals: as `cardiobind.models.Fusion.features`.
        present: likewise.

    Raises:
        InputError: a subject has none of the modalities, or signals and masks do not match.
    """
    first, *others = members_of(network)
    held = first.embed(signals, present)
    some = next(iter(present.values()))
    have = torch.stack([present[name] if name in held else torch.zeros_like(some) for name in first.towers], dim=1)
    logits = [first.head(first.join(held, have, have)), *(member(signals, present) for member in others)]
    pooled = {name: rows if rows.ndim == 2 else rows[:, 0] for name, rows in held.items()}
    return Heard(torch.stack(logits), pooled)
