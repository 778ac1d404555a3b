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
_ROUNDING = 1e-12
ONE_SUBJECT = "no interval: a class has one subject"
TOO_OFTEN_UNDEFINED = "no interval: over 5 % of the bootstrap resamples give no finite value"
TOO_FEW_RESAMPLES = "no interval: a class has so few subjects that its ends lie beyond the bootstrap resamples"
ALIKE = "no interval: all bootstrap resamples give the same value, as where nobody was called wrongly"


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


def class_sizes(labels: Floats, subject_index: Ints) -> tuple[int, int]:
    """Return how many subjects are negative and positive, the latter in any row; without a known row it is neither.

    Args:
        labels: (rows,) 0, 1 or NaN where unknown.
        subject_index: (rows,) subject of each row.
    """
    positive = len(np.unique(subject_index[labels == 1]))
    return len(np.unique(subject_index[np.isfinite(labels)])) - positive, positive


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
    """Return the expanded percentile interval (95 %), or None where `why_no_interval` gives a reason.

    Args:
        values: (resamples,) metric of each resample, NaN where undefined.
        subjects: of the smaller class, see `tail_share`; None for the plain percentiles.
    """
    return None if why_no_interval(values, subjects) else _ends(values, subjects)


def two_sided_p(differences: Floats, subjects: int | None = None) -> float | None:
    """Return the p value that is below 5 % where the interval of the same arguments leaves zero out.

    The two agree but for one resample: the interval's ends lie between two of them. For many subjects p is twice the
    share of resamples on the lesser side of zero, never below 2 / (resamples + 1) nor above 1; few subjects have a
    higher least value, by the tails of Student's t. Where there are too few resamples for an interval, p is there and
    not below 5 %. None where `why_unusable` gives a reason.

    Args:
        differences: (resamples,) paired differences, NaN where undefined.
        subjects: of the smaller class, see `tail_share`; None for the plain share.
    """
    if why_unusable(differences, subjects):
        return None
    finite = differences[np.isfinite(differences)]
    lesser = min(np.sum(finite <= 0), np.sum(finite >= 0))
    share = float(min(0.5, (lesser + 1) / (len(finite) + 1)))
    if subjects is None:
        return 2 * share
    return float(2 * student.sf(norm.isf(share) * np.sqrt((subjects - 1) / subjects), subjects - 1))


def why_unusable(values: Floats, subjects: int | None = None) -> str | None:
    """Return why resamples give neither interval nor p: a class has one subject, or over 5 % are undefined."""
    if subjects is not None and subjects < 2:
        return ONE_SUBJECT
    return None if enough(np.isfinite(values)) else TOO_OFTEN_UNDEFINED


def why_no_interval(values: Floats, subjects: int | None = None) -> str | None:
    """Return why resamples give no interval; None where they do.

    That is why they are unusable, or that they are too few for the tail: with the share of one resample above it, the
    interval would be their least and greatest value whatever its confidence, and p could not be below 5 %.

    Args:
        values: (resamples,) NaN where undefined.
        subjects: of the smaller class.
    """
    return why_unusable(values, subjects) or why_unresolved(int(np.isfinite(values).sum()), subjects)


def why_unresolved(resamples: int, subjects: int | None) -> str | None:
    """Return that so many resamples do not reach the tail of `tail_share`, on one side; None where they do."""
    return None if tail_share(subjects) > 1 / (resamples + 1) else TOO_FEW_RESAMPLES


def enough(defined: NDArray[np.bool_]) -> bool:
    """Tell whether enough resamples are defined, 95 %, to speak of all.

    Args:
        defined: (resamples,).
    """
    return bool(defined.any()) and int(defined.sum()) >= (1 - _UNDEFINED_ALLOWED) * len(defined)


def alike(values: Floats, subjects: int) -> bool:
    """Tell whether the interval of usable resamples would have no width.

    Args:
        values: (resamples,) NaN where undefined.
        subjects: of the smaller class, at least 2.
    """
    low, high = _ends(values, subjects)
    return high - low <= _ROUNDING


def _ends(values: Floats, subjects: int | None) -> tuple[float, float]:
    tail = tail_share(subjects)
    low, high = np.quantile(values[np.isfinite(values)], [tail, 1 - tail])
    return float(low), float(high)


def _draw(size: int, resamples: int, generator: np.random.Generator) -> Ints:
    drawn = generator.integers(0, size, (resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size)
