"""Metrics of a predicted number for many resamples of the same rows at once: how often each row was drawn.

Each function takes labels (n,), values (n,) in the same unit and counts (resamples, n), and returns (resamples,), NaN
where it is undefined.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIMITS_SD = 1.96


def r2(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the share of the labels' variance that is predicted, 1 - sum (y - v)^2 / sum (y - mean y)^2."""
    spread = _moment(labels, labels, counts)
    return _where(spread, 1 - counts @ (labels - values) ** 2 / np.where(spread > 0, spread, 1.0))


def mae(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the mean absolute error in the unit of the labels."""
    drawn = counts.sum(axis=1)
    return _where(drawn, counts @ np.abs(labels - values) / np.maximum(drawn, 1.0))


def rmse(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the root of the mean squared error in the unit of the labels."""
    drawn = counts.sum(axis=1)
    return _where(drawn, np.sqrt(counts @ (labels - values) ** 2 / np.maximum(drawn, 1.0)))


def pearson(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return Pearson's correlation of labels and values."""
    product = _moment(labels, labels, counts) * _moment(values, values, counts)
    found = _moment(labels, values, counts) / np.sqrt(np.where(product > 0, product, 1.0))
    return _where(product, np.clip(found, -1.0, 1.0))


def bias(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return by how much the values are above the labels on average (Bland and Altman 1986, The Lancet 327:307-310)."""
    drawn = counts.sum(axis=1)
    return _where(drawn, counts @ (values - labels) / np.maximum(drawn, 1.0))


def lower_limit(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the lower limit of agreement, bias - 1.96 standard deviations of value - label."""
    return bias(labels, values, counts) - LIMITS_SD * _difference_sd(labels, values, counts)


def upper_limit(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the upper limit of agreement, bias + 1.96 standard deviations of value - label."""
    return bias(labels, values, counts) + LIMITS_SD * _difference_sd(labels, values, counts)


def linear_slope(labels: Floats, values: Floats, counts: Floats) -> Floats:
    """Return the least-squares slope of labels on values: 1 is ideal, below 1 the values are too extreme."""
    spread = _moment(values, values, counts)
    return _where(spread, _moment(labels, values, counts) / np.where(spread > 0, spread, 1.0))


def _difference_sd(labels: Floats, values: Floats, counts: Floats) -> Floats:
    difference, freedom = values - labels, counts.sum(axis=1) - 1
    square = np.maximum(_moment(difference, difference, counts), 0.0)
    return _where(freedom, np.sqrt(square / np.maximum(freedom, 1.0)))


def _moment(a: Floats, b: Floats, counts: Floats) -> Floats:
    """Return for each resample the sum of products of deviations from the resample's means."""
    if not len(a):
        return np.zeros(len(counts))
    a, b = a - a.mean(), b - b.mean()
    drawn = np.maximum(counts.sum(axis=1), 1.0)
    found = counts @ (a * b) - (counts @ a) * (counts @ b) / drawn
    scale = counts @ np.abs(a * b)
    return np.asarray(np.where(np.abs(found) > 1e-12 * scale, found, 0.0))


def _where(defined: Floats, value: Floats) -> Floats:
    return np.asarray(np.where(defined > 0, value, np.nan))
