"""Losses over the modalities that subjects share, so that nobody who has two of them is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from cardiobind.errors import InputError
from cardiobind.objectives.contrastive import info_nce

PairLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Loss of the embeddings (n, d) of two modalities, given who of the batch they are of, (B,) bool."""

AnchoredLoss = Callable[[tuple[Tensor, ...], Tensor, Tensor | None], Tensor]
"""Loss of the embeddings (n, d) of some modalities, given who they are of and which of these rows (n,) search."""


@dataclass(frozen=True)
class PairLosses:
    """The result of `all_pairs` and its like.

    Attributes:
        loss: weighted mean over the groups that had at least two subjects; 0 (with zero gradients) if none had.
        parts: loss of each such group, named ``"ecg~cmr"``.
        subjects: how many subjects of the batch are in each group.
        skipped: the groups that had too few.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    subjects: dict[str, int]
    skipped: tuple[str, ...]


def all_pairs(
    embeddings: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    temperature: float | Tensor = 0.1,
    weights: Mapping[str, float] | None = None,
) -> PairLosses:
    """Align every two modalities on the subjects of the batch that have both, by `info_nce`.

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
    return each_pair(embeddings, present, lambda a, b, _: info_nce(a, b, temperature), weights)


def each_pair(
    embeddings: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    loss: PairLoss,
    weights: Mapping[str, float] | None = None,
) -> PairLosses:
    """Return the weighted mean of a loss over every two modalities; arguments and errors as `all_pairs`."""
    _check_modalities(embeddings, present)
    chosen = pair_weights(tuple(embeddings), weights or {})
    parts: dict[str, Tensor] = {}
    subjects: dict[str, int] = {}
    for pair in chosen:
        names = tuple(pair.split("~"))
        both = shared(present, names)
        subjects[pair] = int(both.sum())
        if subjects[pair] >= 2:
            a, b = rows_of(embeddings, present, names, both)
            parts[pair] = loss(a, b, both)
    return _result(parts, chosen, subjects, embeddings)


def whole_or_pairs(
    embeddings: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    loss: AnchoredLoss,
    weights: Mapping[str, float] | None = None,
) -> PairLosses:
    """Return a loss of all modalities over those who have all, and of two over those who lack another.

    A subject who lacks a modality searches among all who have the same two, one who has all among the complete. Every
    subject counts alike: a group weighs as many as search in it.

    Args:
        embeddings: per modality (P, d) of the subjects that have it, in batch order.
        present: per modality (B,) bool with P true entries.
        loss: of two modalities or more.
        weights: of pairs, as in `all_pairs`; the group of all modalities has 1.

    Raises:
        InputError: as `all_pairs`.
    """
    _check_modalities(embeddings, present)
    names = tuple(embeddings)
    chosen = pair_weights(names, weights or {})
    parts: dict[str, Tensor] = {}
    subjects: dict[str, int] = {}
    complete = shared(present, names)
    if len(names) > 2:
        subjects[title := "~".join(names)] = int(complete.sum())
        if subjects[title] >= 2:
            parts[title] = loss(rows_of(embeddings, present, names, complete), complete, None)
        chosen = {title: 1.0} | chosen
    for pair in [p for p in chosen if p.count("~") == 1]:
        both = shared(present, tuple(pair.split("~")))
        searching = both & ~complete if len(names) > 2 and int(complete.sum()) >= 2 else both
        subjects[pair] = int(searching.sum())
        if int(both.sum()) >= 2 and subjects[pair] >= 1:
            parts[pair] = loss(rows_of(embeddings, present, tuple(pair.split("~")), both), both, searching[both])
    counted = {group: weight * subjects[group] for group, weight in chosen.items()}
    return _result(parts, counted, subjects, embeddings)


def shared(present: Mapping[str, Tensor], names: tuple[str, ...]) -> Tensor:
    """Return (B,) bool, who has all of these modalities."""
    return torch.stack([present[name] for name in names]).all(dim=0)


def rows_of(
    embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], names: tuple[str, ...], who: Tensor
) -> tuple[Tensor, ...]:
    """Return the embeddings (n, d) by each of these modalities of the n subjects `who` (B,), who all have it."""
    return tuple(embeddings[name][who[present[name]]] for name in names)


def pair_weights(names: tuple[str, ...], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of each pair of modalities that has one above 0.

    Args:
        names: of the modalities.
        weights: of pairs, named ``"ecg~cmr"`` in either order; 1 where absent.

    Raises:
        InputError: a pair is unknown or a weight negative or not finite.
    """
    pairs = {frozenset(pair): "~".join(pair) for pair in combinations(names, 2)}
    given = {frozenset(pair.split("~")): weight for pair, weight in weights.items()}
    if not set(given) <= set(pairs) or any(not 0.0 <= w < float("inf") for w in given.values()):
        expected = "finite weights >= 0 of " + " | ".join(pairs.values())
        raise InputError("weights of unknown pairs, or out of range", expected=expected, got=dict(weights))
    weighted = {title: given.get(key, 1.0) for key, title in pairs.items()}
    return {title: weight for title, weight in weighted.items() if weight > 0.0}


def _result(
    parts: dict[str, Tensor], weights: Mapping[str, float], subjects: dict[str, int], embeddings: Mapping[str, Tensor]
) -> PairLosses:
    skipped = tuple(group for group in weights if group not in parts)
    return PairLosses(_weighted_mean(parts, weights, embeddings), parts, subjects, skipped)


def _weighted_mean(
    parts: Mapping[str, Tensor], weights: Mapping[str, float], embeddings: Mapping[str, Tensor]
) -> Tensor:
    if not parts:
        return torch.stack([0.0 * e.sum() for e in embeddings.values()]).sum()
    total = sum(weights[pair] for pair in parts)
    return torch.stack([weights[pair] / total * part for pair, part in parts.items()]).sum()


def _check_modalities(embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> None:
    if len(embeddings) < 2:
        raise InputError("a pair needs two modalities", got=tuple(embeddings))
    for name, rows in embeddings.items():
        if name not in present or int(present[name].sum()) != len(rows):
            held = int(present[name].sum()) if name in present else "no mask"
            raise InputError(f"embeddings of {name!r} do not match their mask", expected=held, got=len(rows))
