"""Resampling of subjects, by class: all rows of a subject are drawn together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cardiobind import rng

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONFIDENCE = 0.95
_BLOCK_ELEMENTS = 2_000_000
_UNDEFINED_ALLOWED = 0.05


def count_blocks(strata: Ints, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield blocks of stratified bootstrap resamples, (some, subjects) how often each subject was drawn.

    The same strata, number and seed give the same resamples, so two models on the same subjects are compared pairwise.

    Args:
        strata: (subjects,) class of each subject; each class keeps its size in each resample.
        resamples: number of resamples in all blocks together.
        seed: seed of the draw.
    """
    generator = rng.generator(seed, "bootstrap")
    members = [np.flatnonzero(strata == value) for value in np.unique(strata)]
    rows = max(1, _BLOCK_ELEMENTS // max(1, len(strata)))
    for first in range(0, resamples, rows):
        counts = np.zeros((min(rows, resamples - first), len(strata)))
        for group in members:
            counts[:, group] = _draw(len(group), len(counts), generator)
        yield counts


def subject_strata(labels: Floats, subject_index: Ints) -> Ints:
    """Return for each subject 1 if any of its rows is positive, else 0.

    Args:
        labels: (rows,) 0 or 1.
        subject_index: (rows,) subject of each row, 0 to subjects - 1.
    """
    strata = np.zeros(int(subject_index.max()) + 1, np.int64)
    np.maximum.at(strata, subject_index, labels.astype(np.int64))
    return strata


def interval(values: Floats) -> tuple[float, float] | None:
    """Return the percentile interval (95 %), or None where over 5 % of the resamples are undefined.

    Args:
        values: (resamples,) metric of each resample, NaN where undefined.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or len(finite) < (1 - _UNDEFINED_ALLOWED) * len(values):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def two_sided_p(differences: Floats) -> float | None:
    """Return twice the share of resamples on the lesser side of zero, never below 2 / (resamples + 1) nor above 1.

    Args:
        differences: (resamples,) paired differences, NaN where undefined.
    """
    finite = differences[np.isfinite(differences)]
    if not len(finite):
        return None
    lesser = min(np.sum(finite <= 0), np.sum(finite >= 0))
    return float(min(1.0, 2 * (lesser + 1) / (len(finite) + 1)))


def _draw(size: int, resamples: int, generator: np.random.Generator) -> Ints:
    drawn = generator.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
