"""What neighbours tell of a phenotype, held back towards the mean as far as leaving one out shows that they mislead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Unit = NDArray[np.float32]

NEIGHBOURS = (5, 10, 25, 50, 100, 200)
"""Numbers of neighbours that are tried."""
USUAL = 25
FEWEST_LEFT_OUT = 20
"""With fewer subjects to leave out neighbours tell nothing beyond the mean."""


@dataclass(frozen=True)
class Telling:
    """How a phenotype is told: mean + `weight` x (mean of the nearest - mean).

    Attributes:
        neighbours: how many are the nearest.
        weight: 0, the mean of all in the index, to 1, the mean of the nearest.
    """

    neighbours: int = USUAL
    weight: float = 1.0


def infer(embeddings: Unit, values: Floats, queries: Unit, how: Sequence[Telling]) -> tuple[Floats, Floats]:
    """Return what is told of each phenotype (m, K), and the standard deviation (m, K) among the nearest who have it.

    Args:
        embeddings: (n, d) of length 1.
        values: (n, K), NaN where unknown.
        queries: (m, d) of length 1.
        how: each phenotype is told; of all who have it where they are fewer, NaN where nobody has.
    """
    similarities = queries @ embeddings.T
    told = np.full((len(queries), values.shape[1]), np.nan)
    spreads = told.copy()
    for column, (known, own) in enumerate(zip(np.isfinite(values).T, how, strict=True)):
        if known.any():
            there = values[known, column]
            found = there[_nearest(similarities[:, known], own.neighbours)]
            told[:, column] = there.mean() + own.weight * (found.mean(axis=1) - there.mean())
            spreads[:, column] = found.std(axis=1)
    return told, spreads


def choose(
    embeddings: Unit, values: Floats, rows: NDArray[np.int64], queries: Unit, whose: NDArray[np.int64],
    neighbours: int | None = None,
) -> list[Telling]:  # fmt: skip
    """Return how each phenotype is to be told: with the smallest squared error of subjects of the index left out.

    For each number of neighbours the weight is that of least squares, kept between 0 and 1, so that on those subjects
    nothing is told worse than by the mean.

    Args:
        embeddings: (n, d) of the index.
        values: (n, K) its phenotypes.
        rows: (n,) of whom they are.
        queries: (m, d) of subjects who are searched with; those who are not in the index do not count.
        whose: (m,) they are.
        neighbours: the number to use; None to try `NEIGHBOURS`.

    Source: Stone 1974 (JRSS B 36:111), example 3: shrinkage to the mean chosen by leaving one out.
    """
    place = {row: at for at, row in enumerate(rows.tolist())}
    asked = np.array([row in place for row in whose.tolist()], dtype=bool)
    own = np.array([place[row] for row in whose[asked].tolist()], dtype=np.int64)
    similarities = queries[asked] @ embeddings.T
    similarities[np.arange(len(own)), own] = -np.inf
    tried = NEIGHBOURS if neighbours is None else (neighbours,)
    return [_best(similarities, own, column, tried) for column in values.T]


def _best(similarities: Unit, own: NDArray[np.int64], values: Floats, tried: Sequence[int]) -> Telling:
    known = np.isfinite(values)
    asked = known[own]
    if asked.sum() < FEWEST_LEFT_OUT:
        return Telling(tried[-1] if len(tried) == 1 else USUAL, 0.0)
    there, truth = values[known], values[own[asked]]
    others = (there.sum() - truth) / (len(there) - 1)
    near, errors = similarities[asked][:, known], []
    for k in (k for k in tried if k < len(there) or k == tried[0]):
        step = there[_nearest(near, min(k, len(there) - 1))].mean(axis=1) - others
        weight = _weight(step, truth - others)
        errors.append((float(((truth - others - weight * step) ** 2).mean()), Telling(k, weight)))
    return min(errors, key=lambda one: one[0])[1]


def _weight(step: Floats, wanted: Floats) -> float:
    size = float(step @ step)
    return float(np.clip(step @ wanted / size, 0.0, 1.0)) if size > 0 else 0.0


def _nearest(similarities: Unit, k: int) -> NDArray[np.intp]:
    return np.argsort(-similarities, axis=1, kind="stable")[:, :k]
