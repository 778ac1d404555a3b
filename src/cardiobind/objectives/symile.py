"""The multilinear inner product of all modalities at once: it sees what no two of them show."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32
from cardiobind.objectives.shapes import check_rows


@in_float32
def symile(
    embeddings: Sequence[Tensor], temperature: float | Tensor = 0.1, *, orders: Tensor | None = None,
    alike: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return Symile's loss: row i of each modality must find the other modalities of its subject.

    With `orders` the n - 1 negatives of a row are combinations of the other modalities, each shuffled by its own order;
    without, they are all n^(M-1) - 1 combinations of rows, which only small batches allow. A combination is a negative
    as soon as one of its rows is a stranger's; that which is the subject's own throughout never is, also where shuffles
    happen to make it.

    Args:
        embeddings: (n, d) of each of M modalities; row i is the same subject; they are normalised here.
        temperature: above 0; a tensor where it is learnt.
        orders: (M, n), a permutation of the rows of each modality, or None for all combinations.
        alike: (n, n) bool: a combination whose rows are all alike with the row that searches is no negative.

    Raises:
        InputError: fewer than two modalities or subjects, shapes that differ, or a temperature that is not positive.

    Source: Saporta et al. 2024 (arXiv 2411.01053), the multilinear inner product and its loss over all anchors;
        O(n) and O(n^2) sampling of negatives. Shuffled negatives there come from the product of the marginals, so that
        about one row in n^(M-2) meets its own positive among them; here it is left out.
    """
    if len(embeddings) < 2:
        raise InputError("a product needs two modalities", got=len(embeddings))
    check_rows(tuple(embeddings), temperature)
    units = [F.normalize(z, dim=1) for z in embeddings]
    losses = []
    for m, anchor in enumerate(units):
        rest = [k for k in range(len(units)) if k != m]
        losses.append(_one_anchor(anchor, [units[k] for k in rest], temperature, _order(orders, rest), alike))
    return torch.stack(losses).mean()


def _order(orders: Tensor | None, rest: list[int]) -> list[Tensor] | None:
    return None if orders is None else [orders[k] for k in rest]


def _one_anchor(
    anchor: Tensor, others: list[Tensor], temperature: float | Tensor, orders: list[Tensor] | None,
    alike: Tensor | None,
) -> Tensor:  # fmt: skip
    own = torch.arange(len(anchor), device=anchor.device)
    rows = _combinations(own, len(others)) if orders is None else torch.stack(orders)
    target = own if orders is not None else reduce(lambda place, _: place * len(own) + own, others, 0 * own)
    negatives = anchor @ reduce(mul, [z[row] for z, row in zip(others, rows, strict=True)]).T / temperature
    positive = reduce(mul, [anchor, *others]).sum(dim=1) / temperature
    is_own = torch.arange(negatives.shape[1], device=anchor.device) == target[:, None]
    itself = own[:, None] == own
    same = itself if alike is None else alike | itself
    no_negative = torch.stack([same[:, row] for row in rows]).all(dim=0)
    negatives = negatives.masked_fill(no_negative & ~is_own, -torch.inf)
    return F.cross_entropy(torch.where(is_own, positive[:, None], negatives), target)


def _combinations(own: Tensor, count: int) -> Tensor:
    return torch.stack([grid.flatten() for grid in torch.meshgrid(*[own] * count, indexing="ij")])
