"""Losses that pull the embeddings of one subject together and push those of others away."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.shapes import check_rows


@in_float32
def info_nce(
    a: Tensor, b: Tensor, temperature: float | Tensor = 0.1, weight: float = 0.5, *, alike: Tensor | None = None,
    anchors: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return CLIP's loss: each row of `a` must find its row of `b` among all, and the other way round.

    Args:
        a: embeddings (n, d) of one modality; they are normalised here.
        b: embeddings (n, d) of the other; row i is the same subject.
        temperature: above 0; a tensor where it is learnt.
        weight: of the direction a to b; the other has ``1 - weight``.
        alike: (n, n) bool, subjects that are no negatives of one another; None if all are.
        anchors: (n,) bool, the rows that search; the others are only searched among. None for all.

    Raises:
        InputError: shapes differ, fewer than 2 subjects, or a value out of range.

    Source: Radford et al. 2021; arXiv 2411.05900, equation of section 3.2 (lambda = weight).
    """
    check_rows((a, b), temperature)
    similarity = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    return both_directions(similarity, weight, alike=alike, anchors=anchors)


@in_float32
def both_directions(
    similarity: Tensor, weight: float = 0.5, *, alike: Tensor | None = None, anchors: Tensor | None = None
) -> Tensor:
    """Return the cross entropy of finding the diagonal in each row and in each column.

    Args:
        similarity: (n, n), divided by the temperature.
        weight: of the rows; the columns have ``1 - weight``.
        alike: (n, n) bool, as in `info_nce`.
        anchors: (n,) bool, as in `info_nce`.

    Raises:
        InputError: the weight is out of range.

    Source: negatives that are left out: Huynh et al. 2022 (arXiv 2011.11765, false negative elimination).
    """
    if not 0.0 <= weight <= 1.0:
        raise InputError("the weight is out of range", expected="[0, 1]", got=weight)
    own = torch.arange(len(similarity), device=similarity.device)
    if alike is not None:
        similarity = similarity.masked_fill(alike & (own[:, None] != own), -torch.inf)
    rows, columns = similarity, similarity.T
    if anchors is not None:
        rows, columns, own = rows[anchors], columns[anchors], own[anchors]
    return weight * F.cross_entropy(rows, own) + (1.0 - weight) * F.cross_entropy(columns, own)


@in_float32
def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.1) -> Tensor:
    """Return SimCLR's loss: each view must find the other view of its subject among all other 2n - 1 views.

    Args:
        z1: embeddings (n, d) of the first views; they are normalised here.
        z2: embeddings (n, d) of the second views.
        temperature: above 0.

    Raises:
        InputError: shapes differ, fewer than 2 subjects, or a temperature that is not positive.

    Source: Chen et al. 2020, equation 1.
    """
    check_rows((z1, z2), temperature)
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    other_view = torch.arange(len(z), device=z.device).roll(len(z1))
    return F.cross_entropy(similarity, other_view)
