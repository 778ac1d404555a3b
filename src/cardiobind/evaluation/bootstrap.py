"""Resampling of subjects, by class: all rows of a subject are drawn together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

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


def smallest_class(strata: Ints) -> int:
    """Return how many subjects the smaller of the classes drawn from has; 0 without subjects."""
    return int(np.unique(strata, return_counts=True)[1].min()) if len(strata) else 0


def tail_share(subjects: int | None) -> float:
    """Return the share of resamples to leave out below and above for an interval of 95 %.

    The bootstrap's spread is too narrow by sqrt((n - 1) / n) and knows nothing of Student's t; the share makes up for
    both, so that it is 2.5 % for many subjects and 0.9 % for ten.

    Args:
        subjects: n of the smaller class, at least 2; None for the plain percentiles.

    Source: the expanded percentile interval, Hesterberg 2015, The American Statistician 69:371-386, section 5.2.
    """
    if subjects is None:
        return (1 - CONFIDENCE) / 2
    reach = np.sqrt(subjects / (subjects - 1)) * student.ppf(0.5 + CONFIDENCE / 2, subjects - 1)
    return float(norm.sf(reach))


def interval(values: Floats, subjects: int | None = None) -> tuple[float, float] | None:
    """Return the expanded percentile interval (95 %), or None where it has no meaning.

    That is where over 5 % of the resamples are undefined, or a class has one subject, which is drawn each time.

    Args:
        values: (resamples,) metric of each resample, NaN where undefined.
        subjects: of the smaller class, see `tail_share`; None for the plain percentiles.
    """
    finite = values[np.isfinite(values)]
    if not len(finite) or len(finite) < (1 - _UNDEFINED_ALLOWED) * len(values) or _too_few(subjects):
        return None
    tail = tail_share(subjects)
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def two_sided_p(differences: Floats, subjects: int | None = None) -> float | None:
    """Return the p value that is below 5 % where the interval of the same arguments leaves zero out.

    For many subjects it is twice the share of resamples on the lesser side of zero, never below 2 / (resamples + 1)
    nor above 1; few subjects have a higher least value, by the tails of Student's t.

    Args:
        differences: (resamples,) paired differences, NaN where undefined.
        subjects: of the smaller class, see `tail_share`; None for the plain share.
    """
    finite = differences[np.isfinite(differences)]
    if not len(finite) or _too_few(subjects):
        return None
    lesser = min(np.sum(finite <= 0), np.sum(finite >= 0))
    share = float(min(0.5, (lesser + 1) / (len(finite) + 1)))
    if subjects is None:
        return 2 * share
    return float(2 * student.sf(norm.isf(share) * np.sqrt((subjects - 1) / subjects), subjects - 1))


def _too_few(subjects: int | None) -> bool:
    return subjects is not None and subjects < 2


def _draw(size: int, resamples: int, generator: np.random.Generator) -> Ints:
    drawn = generator.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
