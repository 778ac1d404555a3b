"""Losses that pull the embeddings of one subject together and push those of others away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32


@in_float32
def info_nce(a: Tensor, b: Tensor, temperature: float = 0.1, weight: float = 0.5) -> Tensor:
    """Return CLIP's loss: each row of `a` must find its row of `b` among all, and the other way round.

    Args:
        a: embeddings (n, d) of one modality; they are normalised here.
        b: embeddings (n, d) of the other; row i is the same subject.
        temperature: above 0.
        weight: of the direction a to b; the other has ``1 - weight``.

    Raises:
        InputError: shapes differ, fewer than 2 subjects, or a value out of range.

    Source: Radford et al. 2021; arXiv 2411.05900, equation of section 3.2 (lambda = weight).
    """
    _check_pair(a, b, temperature)
    if not 0.0 <= weight <= 1.0:
        raise InputError("the weight is out of range", expected="[0, 1]", got=weight)
    similarity = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    own = torch.arange(len(a), device=a.device)
    return weight * F.cross_entropy(similarity, own) + (1.0 - weight) * F.cross_entropy(similarity.T, own)


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
    _check_pair(z1, z2, temperature)
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    other_view = torch.arange(len(z), device=z.device).roll(len(z1))
    return F.cross_entropy(similarity, other_view)


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


@dataclass(frozen=True)
class PairLosses:
    """The result of `all_pairs`.

    Attributes:
        loss: weighted mean over the pairs that had at least two subjects; 0 (with zero gradients) if none had.
        parts: loss of each such pair, named ``"ecg~cmr"``.
        subjects: how many subjects of the batch had both, for every pair.
        skipped: the pairs that had fewer than two.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    subjects: dict[str, int]
    skipped: tuple[str, ...]


@in_float32
def all_pairs(
    embeddings: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    temperature: float = 0.1,
    weights: Mapping[str, float] | None = None,
) -> PairLosses:
    """Align every two modalities on the subjects of the batch that have both.

    Args:
        embeddings: per modality (P, d) of the subjects that have it, in batch order.
        present: per modality (B,) bool with P true entries.
        temperature: of every pair.
        weights: of pairs, named ``"ecg~cmr"`` in either order; 1 where absent, 0 to leave a pair out.

    Returns:
        The loss and what it is made of; a pair with 0 or 1 subjects is skipped, never NaN.

    Raises:
        InputError: fewer than two modalities, masks that do not match, or weights that are unknown or negative.
    """
    _check_modalities(embeddings, present)
    chosen = _pair_weights(tuple(embeddings), weights or {})
    parts: dict[str, Tensor] = {}
    subjects: dict[str, int] = {}
    for pair in chosen:
        first, second = pair.split("~")
        both = present[first] & present[second]
        subjects[pair] = int(both.sum())
        if subjects[pair] >= 2:
            a, b = (embeddings[name][both[present[name]]] for name in (first, second))
            parts[pair] = info_nce(a, b, temperature)
    skipped = tuple(pair for pair in chosen if pair not in parts)
    return PairLosses(_weighted_mean(parts, chosen, embeddings), parts, subjects, skipped)


def _weighted_mean(
    parts: Mapping[str, Tensor], weights: Mapping[str, float], embeddings: Mapping[str, Tensor]
) -> Tensor:
    if not parts:
        return torch.stack([0.0 * e.sum() for e in embeddings.values()]).sum()
    total = sum(weights[pair] for pair in parts)
    return torch.stack([weights[pair] / total * part for pair, part in parts.items()]).sum()


def _pair_weights(names: tuple[str, ...], weights: Mapping[str, float]) -> dict[str, float]:
    pairs = {frozenset(pair): "~".join(pair) for pair in combinations(names, 2)}
    given = {frozenset(pair.split("~")): weight for pair, weight in weights.items()}
    if not set(given) <= set(pairs) or any(not 0.0 <= w < float("inf") for w in given.values()):
        expected = "finite weights >= 0 of " + " | ".join(pairs.values())
        raise InputError("weights of unknown pairs, or out of range", expected=expected, got=dict(weights))
    weighted = {title: given.get(key, 1.0) for key, title in pairs.items()}
    return {title: weight for title, weight in weighted.items() if weight > 0.0}


def _check_pair(a: Tensor, b: Tensor, temperature: float) -> None:
    if a.shape != b.shape or a.ndim != 2 or len(a) < 2:
        got = f"{tuple(a.shape)} and {tuple(b.shape)}"
        raise InputError("the embeddings do not match", expected="(n, d) both, n >= 2", got=got)
    if not temperature > 0.0:
        raise InputError("the temperature must be positive", got=temperature)


def _check_modalities(embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> None:
    if len(embeddings) < 2:
        raise InputError("a pair needs two modalities", got=tuple(embeddings))
    for name, rows in embeddings.items():
        if name not in present or int(present[name].sum()) != len(rows):
            held = int(present[name].sum()) if name in present else "no mask"
            raise InputError(f"embeddings of {name!r} do not match their mask", expected=held, got=len(rows))
