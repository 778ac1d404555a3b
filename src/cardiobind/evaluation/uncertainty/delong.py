"""Variance of AUROC without resampling, and the test of two correlated AUROCs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from cardiobind.evaluation.bootstrap import CONFIDENCE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_Z = float(norm.ppf(0.5 + CONFIDENCE / 2))
_FEW = "fewer than two subjects of a class"
_NO_VARIANCE = "the variance is 0: the scores separate the classes, or the two models order all subjects alike"


@dataclass(frozen=True)
class CorrelatedAurocs:
    """AUROCs of several scores of the same rows.

    Attributes:
        auroc: (k,).
        covariance: (k, k), NaN with fewer than two subjects of a class.
    """

    auroc: Floats
    covariance: Floats

    def contrast(self, weights: Floats) -> tuple[float, float]:
        """Return a weighted sum of the AUROCs and its standard error.

        Args:
            weights: (k,), such as 1/k for the mean, or 1 and -1 for a difference.
        """
        variance = float(weights @ self.covariance @ weights)
        return float(weights @ self.auroc), float(np.sqrt(np.maximum(0.0, variance)))


def delong(labels: Floats, scores: Floats, subject_index: Ints) -> CorrelatedAurocs:
    """Return AUROCs and their covariance from the placements of each row among those of the other class.

    Rows of one subject are added up before variances are taken, so they need not be independent; with one row a
    subject this is DeLong's estimate.

    Args:
        labels: (n,) 0 or 1, both present.
        scores: (k, n).
        subject_index: (n,) subject of each row.

    Source:
        DeLong et al. 1988, Biometrics 44:837-845; by ranks as Sun and Xu 2014, IEEE Signal Processing Letters
        21:1389-1393; several rows a subject as Obuchowski 1997, Biometrics 53:567-578.
    """
    positive = labels == 1
    m, n = int(positive.sum()), int((~positive).sum())
    ranks, own, others = (_midranks(s) for s in (scores, scores[:, positive], scores[:, ~positive]))
    above = (ranks[:, positive] - own) / n
    below = 1 - (ranks[:, ~positive] - others) / m
    found = above.mean(axis=1)
    x, y = (
        _by_subject(above - found[:, None], positive, subject_index),
        _by_subject(below - found[:, None], ~positive, subject_index),
    )
    with_x, with_y, all_of_them = (
        len(np.unique(s)) for s in (subject_index[positive], subject_index[~positive], subject_index)
    )
    if min(with_x, with_y) < 2:
        return CorrelatedAurocs(found, np.full((len(scores), len(scores)), np.nan))
    mixed = x @ y.T * all_of_them / (all_of_them - 1)
    own_part = x @ x.T * with_x / (with_x - 1) / m**2 + y @ y.T * with_y / (with_y - 1) / n**2
    return CorrelatedAurocs(found, own_part + (mixed + mixed.T) / (m * n))


def delong_interval(labels: Floats, scores: Floats, subject_index: Ints) -> dict[str, Any]:
    """Return ``{low, high, se}`` of the mean AUROC over seeds, 95 %, on the logit scale so that it stays in (0, 1).

    Args:
        labels: (n,) 0 or 1, both present.
        scores: (seeds, n).
        subject_index: (n,).
    """
    value, error = delong(labels, scores, subject_index).contrast(np.full(len(scores), 1 / len(scores)))
    if not np.isfinite(error) or error == 0 or not 0 < value < 1:
        reason = _NO_VARIANCE if np.isfinite(error) else _FEW
        return {"low": None, "high": None, "se": None, "undefined": reason}
    reach = _Z * error / (value * (1 - value))
    low, high = expit(logit(value) - reach), expit(logit(value) + reach)
    return {"low": float(low), "high": float(high), "se": error}


def delong_test(labels: Floats, a: Floats, b: Floats, subject_index: Ints) -> dict[str, Any]:
    """Return ``{low, high, se, z, p}`` of the difference of two mean AUROCs on the same rows, a minus b.

    Args:
        labels: (n,) 0 or 1, both present.
        a: (seeds, n) scores of a model.
        b: (seeds, n) scores of another.
        subject_index: (n,).
    """
    weights = np.r_[np.full(len(a), 1 / len(a)), np.full(len(b), -1 / len(b))]
    value, error = delong(labels, np.concatenate([a, b]), subject_index).contrast(weights)
    if not np.isfinite(error) or error < 1e-12:
        reason = _NO_VARIANCE if np.isfinite(error) else _FEW
        return {"low": None, "high": None, "se": None, "z": None, "p": None, "undefined": reason}
    z = value / error
    return {
        "low": value - _Z * error, "high": value + _Z * error, "se": error, "z": z, "p": float(2 * norm.sf(abs(z))),
    }  # fmt: skip


def _by_subject(values: Floats, rows: NDArray[np.bool_], subject_index: Ints) -> Floats:
    size = int(subject_index.max()) + 1
    return np.stack([np.bincount(subject_index[rows], weights=v, minlength=size) for v in values])


def _midranks(values: Floats) -> Floats:
    return np.asarray(rankdata(values, axis=1), np.float64)
