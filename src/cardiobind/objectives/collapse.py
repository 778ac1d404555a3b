"""Scores of embeddings: whether partners find each other, and whether the embeddings have collapsed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32

JUDGED_ROWS, JUDGED_WIDTH = 16, 8
"""Fewer embeddings, or narrower ones, cannot be told from collapsed ones."""

COLLAPSED_SPREAD, COLLAPSED_RANK = 0.05, 1.5


@in_float32
def retrieval_recall(a: Tensor, b: Tensor, k: int = 1) -> Tensor:
    """Return the part of the rows of `a` whose row of `b` is among the `k` most similar; a tie counts against it.

    Args:
        a: embeddings (n, d), the queries.
        b: embeddings (n, d), the gallery; row i is the same subject.
        k: at least 1.

    Raises:
        InputError: shapes differ, no row or k below 1.
    """
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0 or k < 1:
        got = f"{tuple(a.shape)}, {tuple(b.shape)}, k = {k}"
        raise InputError("queries and gallery do not match", expected="(n, d) both, k >= 1", got=got)
    similarity = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T
    rank = (similarity >= similarity.diagonal()[:, None]).sum(dim=1)
    return (rank <= k).to(a.dtype).mean()


@in_float32
def embedding_spread(embeddings: Tensor) -> Tensor:
    """Return how far normalised embeddings spread: 1 where they fill the sphere evenly, 0 where they have collapsed.

    Args:
        embeddings: (n, d), n at least 2.

    Source: Chen and He 2021 (SimSiam), section 4.1: the standard deviation of each channel times the root of d.
    """
    spread: Tensor = F.normalize(embeddings.detach(), dim=1).std(dim=0).mean() * embeddings.shape[1] ** 0.5
    return spread


@in_float32
def effective_rank(embeddings: Tensor) -> Tensor:
    """Return how many directions the normalised embeddings use: the exponential of the entropy of the singular values.

    Args:
        embeddings: (n, d).

    Returns:
        1 where all lie on one line (constant embeddings among them), at most min(n, d); 0 without a row that differs
        from 0.

    Source: Garrido et al. 2023 (RankMe, arXiv 2210.02885), equation 1, on normalised embeddings.
    """
    values = torch.linalg.svdvals(F.normalize(embeddings.detach(), dim=1))
    total = values.sum()
    if not bool(total > 0):
        return torch.zeros_like(total)
    share = values / total
    entropy: Tensor = -torch.special.xlogy(share, share).sum()
    return entropy.exp()


@in_float32
def alignment_distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean squared distance of the normalised embeddings of one subject: 0 (equal) to 4 (opposite).

    Args:
        a: embeddings (n, d) of one modality.
        b: embeddings (n, d) of the other; row i is the same subject.

    Source: Wang and Isola 2020 (arXiv 2005.10242), alignment with exponent 2.
    """
    return (F.normalize(a.detach(), dim=1) - F.normalize(b.detach(), dim=1)).square().sum(dim=1).mean()


@in_float32
def uniformity(embeddings: Tensor) -> Tensor:
    """Return the logarithm of the mean of exp(-2 squared distance) over pairs of subjects: 0 collapsed, below 0 spread.

    Args:
        embeddings: (n, d), n at least 2.

    Source: Wang and Isola 2020 (arXiv 2005.10242), uniformity with t = 2.
    """
    z = F.normalize(embeddings.detach(), dim=1)
    squared = (2.0 - 2.0 * z @ z.T).clamp(min=0.0)
    others = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    return torch.logsumexp(-2.0 * squared[others], dim=0) - torch.log(others.sum())


def collapsed(embeddings: Tensor) -> bool:
    """Return whether embeddings (n, d) are nearly constant or on a line; False where there are too few to say."""
    if len(embeddings) < JUDGED_ROWS or embeddings.shape[1] < JUDGED_WIDTH:
        return False
    spread, rank = embedding_spread(embeddings), effective_rank(embeddings)
    return bool(spread < COLLAPSED_SPREAD) or bool(rank < COLLAPSED_RANK)
