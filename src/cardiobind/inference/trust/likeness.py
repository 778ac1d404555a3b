"""How far a signal lies from those the network was trained on: a Gaussian of them, of which no row is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.covariance import LedoitWolf

Floats = NDArray[np.float64]

FALSE_ALARM = 0.01
"""Share of subjects like the validation subjects whom a modality's checks call unfamiliar, all together."""

FEWEST_TRAINING = 30
FEWEST_VALIDATION = 20
"""Fewer subjects with a modality give no check of it."""

MOST_AXES = 16
SUBJECTS_AN_AXIS = 10
"""Of an embedding: as many principal axes are kept, no more than one for so many subjects."""

_LEAST_SPREAD = 1e-6
_SD_OF_THE_MIDDLE = 0.6616
"""Standard deviation of the middle 80 % of a standard normal distribution."""
_TAIL = 0.2
_REACH = 1.645


@dataclass(frozen=True)
class Check:
    """A Gaussian of training subjects and the largest distance from it that passes.

    The distance is Mahalanobis', of the values that are there: sqrt of the mean of squared standard scores.

    Attributes:
        mean: (d,).
        scale: (d,) by which values are divided after the mean is taken off.
        axes: (k, d) orthonormal directions of largest variance, of the scaled values.
        variances: (k,) along them.
        rest: variance in each other direction.
        limit: the largest distance that passes; infinite before it is set.
        clip: scaled values beyond it count as it, so that one odd value is no odd signal; infinite for none.
    """

    mean: Floats
    scale: Floats
    axes: Floats
    variances: Floats
    rest: float
    limit: float = math.inf
    clip: float = math.inf

    def distances(self, rows: Floats) -> Floats:
        """Return the distance (n,) of rows (n, d); NaN is a value that is not there, and does not count.

        Source: Lee et al. 2018 (Mahalanobis distance of deep features); Tipping and Bishop 1999 for the covariance.
        """
        z = np.clip((np.atleast_2d(rows) - self.mean) / self.scale, -self.clip, self.clip)
        there = np.isfinite(z)
        if there.all():
            along = z @ self.axes.T
            square = ((along**2) / self.variances).sum(axis=1)
            square += np.maximum((z**2).sum(axis=1) - (along**2).sum(axis=1), 0.0) / self.rest
            return np.asarray(np.sqrt(square / z.shape[1]))
        return np.array([self._of_some(row[own], own) for row, own in zip(z, there, strict=True)])

    def limited(self, limit: float) -> Check:
        """Return the check with its limit."""
        return replace(self, limit=limit)

    def _of_some(self, z: Floats, own: NDArray[np.bool_]) -> float:
        if not len(z):
            return math.nan
        axes = self.axes[:, own]
        covariance = (axes.T * (self.variances - self.rest)) @ axes + self.rest * np.eye(len(z))
        return float(np.sqrt(z @ np.linalg.solve(covariance, z) / len(z)))


def fit_directions(rows: Floats) -> Check:
    """Return the Gaussian of embeddings (n, d): a few principal axes, an equal variance in all other directions.

    There is an axis for ten subjects, 16 at most, so that no axis is anybody's.
    """
    scale = np.full(rows.shape[1], max(float(rows.std(axis=0).mean()), _LEAST_SPREAD))
    z = (rows - rows.mean(axis=0)) / scale
    _, sizes, axes = np.linalg.svd(z, full_matrices=False)
    variances = sizes**2 / max(len(rows) - 1, 1)
    kept = max(1, min(MOST_AXES, len(rows) // SUBJECTS_AN_AXIS, rows.shape[1] - 1))
    left = max(rows.shape[1] - kept, 1)
    rest = max(float(variances[kept:].sum()) / left, _LEAST_SPREAD)
    return Check(rows.mean(axis=0), scale, axes[:kept], np.maximum(variances[:kept], rest), rest)


def fit_values(rows: Floats) -> Check:
    """Return the Gaussian of a few named values (n, d), NaN where absent, its covariance shrunk (Ledoit and Wolf 2004).

    A value that is absent takes no part in the mean and counts as the mean in the covariance.
    """
    there = np.isfinite(rows)
    counted = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, rows, 0.0).sum(axis=0) / counted
    scale = np.sqrt(np.where(there, (rows - mean) ** 2, 0.0).sum(axis=0) / counted)
    scale = np.where(scale > _LEAST_SPREAD, scale, 1.0)
    return _gaussian(np.where(there, (rows - mean) / scale, 0.0), mean, scale)


def fit_clipped(rows: Floats, clip: float) -> Check:
    """Return the Gaussian of named values (n, d) that have heavy tails, NaN where absent.

    Mean and standard deviation are those of the middle 80 % of each value, the latter made that of a normal
    distribution; what lies `clip` of them off counts as `clip`. No number is that of one or few people.

    Source: Huber 1981 (Robust Statistics) for clipped scores; Ledoit and Wolf 2004 for the covariance.
    """
    rows = np.where(np.isfinite(rows).any(axis=0), rows, 0.0)
    low, high = np.nanquantile(rows, (0.1, 0.9), axis=0)
    middle = np.where((rows >= low) & (rows <= high), rows, np.nan)
    mean, scale = np.nanmean(middle, axis=0), np.nanstd(middle, axis=0) / _SD_OF_THE_MIDDLE
    scale = np.where(scale > _LEAST_SPREAD, scale, 1.0)
    z = np.clip((rows - mean) / scale, -clip, clip)
    return replace(_gaussian(np.where(np.isfinite(z), z, 0.0), mean, scale), clip=clip)


def _gaussian(z: Floats, mean: Floats, scale: Floats) -> Check:
    shrunk: Any = LedoitWolf
    covariance = shrunk(assume_centered=True).fit(z).covariance_
    variances, axes = np.linalg.eigh(covariance)
    rest = max(float(variances[0]), 1e-4)
    return Check(mean, scale, axes.T, np.maximum(variances, rest), rest)


def limit_of(distances: Floats, false_alarm: float) -> float:
    """Return the distance that a share `false_alarm` of further subjects exceeds.

    The excesses over the 80th percentile are taken as exponential, with the upper 95 % bound of their mean: an order
    statistic far out would be the distance of one of a few people.

    Args:
        distances: (n,) of validation subjects.
        false_alarm: between 0 and 0.2.

    Source: Pickands 1975 for the tail, with shape 0.
    """
    known = distances[np.isfinite(distances)]
    start = float(np.quantile(known, 1 - _TAIL))
    excess = known[known > start] - start
    if not len(excess):
        return start
    largest_mean = float(excess.mean()) * (1 + _REACH / math.sqrt(len(excess)))
    return start + largest_mean * math.log(_TAIL / false_alarm)


@dataclass(frozen=True)
class Familiar:
    """What a modality of the training subjects looks like.

    Attributes:
        checks: by name: ``embedding`` of the encoder's output, ``signs`` of simple numbers, ``texture`` of how an ECG
            is drawn, ``signs_of_few_leads`` of the signs of an ECG that lacks leads.
        training, validation: subjects they were fitted on, and whose distances set the limits.
    """

    checks: Mapping[str, Check]
    training: int
    validation: int

    def distance(self, values: Mapping[str, Floats]) -> float | None:
        """Return the largest distance over its limit: above 1 is unfamiliar; None where nothing can be measured.

        Args:
            values: (d,) by name of the check; one that is not there is left out.
        """
        found = [
            float(check.distances(values[name])[0]) / check.limit
            for name, check in self.checks.items()
            if name in values and np.isfinite(values[name]).any()
        ]
        return max(found) if found else None


_ARRAYS = ("mean", "scale", "axes", "variances")


def save_likeness(file: Path, likeness: Mapping[str, Familiar]) -> None:
    """Write what modalities look like: arrays named ``modality.check.part``, and the rest in their metadata."""
    arrays: dict[str, Floats] = {}
    facts: dict[str, Any] = {}
    for modality, familiar in likeness.items():
        facts[modality] = {"training": familiar.training, "validation": familiar.validation, "checks": {}}
        for name, check in familiar.checks.items():
            arrays |= {f"{modality}.{name}.{part}": np.ascontiguousarray(getattr(check, part)) for part in _ARRAYS}
            facts[modality]["checks"][name] = {"rest": check.rest, "limit": check.limit} | (
                {"clip": check.clip} if math.isfinite(check.clip) else {}
            )
    save_file(arrays, file, metadata={"facts": json.dumps(facts, allow_nan=False)})


def load_likeness(file: Path) -> dict[str, Familiar]:
    """Return what `save_likeness` wrote."""
    with safe_open(file, framework="np") as stored:
        facts = json.loads(stored.metadata()["facts"])
        return {
            modality: Familiar(
                {
                    name: Check(*(stored.get_tensor(f"{modality}.{name}.{part}") for part in _ARRAYS), **own)
                    for name, own in known["checks"].items()
                },
                known["training"], known["validation"],
            )
            for modality, known in facts.items()
        }  # fmt: skip
