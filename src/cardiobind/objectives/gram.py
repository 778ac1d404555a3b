"""The volume that the embeddings of one subject span: 0 where all modalities agree, 1 where none does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.contrastive import both_directions
from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.shapes import check_rows

SQUARED_VOLUME_FLOOR = 1e-6
"""Added under the root, whose slope is infinite at 0: above the rounding of single precision, below what is learnt."""


@in_float32
def gram(
    embeddings: Sequence[Tensor], temperature: float | Tensor = 0.1, *, alike: Tensor | None = None,
    anchors: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the contrast of volumes: a subject's embeddings must span less than they do with those of others.

    Each modality is the anchor in turn: its row i against the other modalities of subject j, in both directions.

    Args:
        embeddings: (n, d) of each modality; row i is the same subject; they are normalised here.
        temperature: above 0; a tensor where it is learnt.
        alike: (n, n) bool, subjects that are no negatives of one another; None if all are.
        anchors: (n,) bool, the rows that search; None for all.

    Raises:
        InputError: fewer than two modalities or subjects, shapes that differ, or a temperature that is not positive.

    Source: Cicchetti et al. 2024 (arXiv 2412.11959), the two contrastive equations, over all choices of the anchor.
    """
    if len(embeddings) < 2:
        raise InputError("a volume needs two modalities", got=len(embeddings))
    check_rows(tuple(embeddings), temperature)
    losses = []
    for m, anchor in enumerate(embeddings):
        volumes = anchored_volumes(anchor, [z for k, z in enumerate(embeddings) if k != m])
        losses.append(both_directions(-volumes / temperature, alike=alike, anchors=anchors))
    return torch.stack(losses).mean()


@in_float32
def anchored_volumes(anchor: Tensor, others: Sequence[Tensor]) -> Tensor:
    """Return (n, n): the volume spanned by row i of the anchor and rows j of all others, normalised.

    Args:
        anchor: (n, d).
        others: (n, d) each.
    """
    first, rest = F.normalize(anchor, dim=1), [F.normalize(z, dim=1) for z in others]
    size = 1 + len(rest)
    entry = {(0, k + 1): first @ z.T for k, z in enumerate(rest)}
    entry |= {(k + 1, m + 1): (rest[k] * rest[m]).sum(dim=1) for k in range(len(rest)) for m in range(k + 1, len(rest))}
    determinant = torch.zeros_like(entry[0, 1])
    for order in permutations(range(size)):
        term = torch.full_like(determinant, _sign(order))
        for row, column in enumerate(order):
            term = term if row == column else term * entry[min(row, column), max(row, column)]
        determinant = determinant + term
    return (determinant.clamp(min=0.0) + SQUARED_VOLUME_FLOOR).sqrt()


def _sign(order: tuple[int, ...]) -> float:
    inversions = sum(order[i] > order[j] for i in range(len(order)) for j in range(i + 1, len(order)))
    return -1.0 if inversions % 2 else 1.0
