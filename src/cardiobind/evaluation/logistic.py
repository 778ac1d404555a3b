"""Logistic regression on one variable, for many resamples of the same rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.special import logit as unclipped_logit

Floats = NDArray[np.float64]

PROBABILITY_FLOOR = 1e-6
_ITERATIONS = 100
_LONGEST_STEP = 2.0
_LAST_STEP = 1e-5  # convergence is quadratic: the error left is about its square


def logit(probabilities: Floats) -> Floats:
    """Return log odds of probabilities kept 1e-6 away from 0 and 1.

    Args:
        probabilities: any shape, in [0, 1].
    """
    clipped = np.clip(np.asarray(probabilities, np.float64), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return np.asarray(unclipped_logit(clipped), np.float64)


def fit_line(x: Floats, targets: Floats, counts: Floats) -> Floats:
    """Return the maximum-likelihood intercept and slope of logit P(target) = intercept + slope x, a row a resample.

    Args:
        x: (n,) variable.
        targets: (n,) in [0, 1]; soft targets are allowed.
        counts: (resamples, n) how often each row was drawn.

    Returns:
        (resamples, 2) intercept and slope; NaN where none is finite (constant x, separated or single classes).
    """
    centre, scale = float(np.mean(x)), float(np.std(x))
    if scale < 1e-12:
        return np.full((len(counts), 2), np.nan)
    z = (x - centre) / scale
    overlap = _overlapping(z, targets, counts)
    line = np.full((len(counts), 2), np.nan)
    common = np.nan_to_num(_newton(z, targets, np.ones((1, len(z))), np.zeros((1, 2))))[0]
    line[overlap] = _newton(z, targets, counts[overlap], _near(z, targets, counts[overlap], common))
    slope = line[:, 1] / scale
    return np.stack([line[:, 0] - slope * centre, slope], axis=1)


def fit_shift(x: Floats, targets: Floats, counts: Floats) -> Floats:
    """Return the maximum-likelihood shift of logit P(target) = shift + x, one a resample.

    Args:
        x: (n,) log odds taken as they are.
        targets: (n,) in [0, 1].
        counts: (resamples, n) how often each row was drawn.

    Returns:
        (resamples,) shift, NaN where a resample has one class only.
    """
    common = np.nan_to_num(_newton(x, targets, np.ones((1, len(x))), np.array([[0.0, 1.0]]), slope=False))[0]
    return _newton(x, targets, counts, _near(x, targets, counts, common, slope=False), slope=False)[:, 0]


def _near(z: Floats, targets: Floats, counts: Floats, common: Floats, *, slope: bool = True) -> Floats:
    """Return a line near each resample's: Newton's step from a common line with Chebyshev's correction of it.

    All resamples share the probabilities of the common line, so their sums are one matrix product.
    """
    probability = expit(common[0] + common[1] * z)
    weight = probability * (1 - probability)
    powers = z[:, None] ** np.arange(4 if slope else 1)
    terms = [targets - probability, weight, weight * (1 - 2 * probability)]
    gradient, curvature, bend = (counts @ (term[:, None] * powers) for term in terms)
    first = _solved(curvature, gradient)
    square = np.stack([first[:, 0] ** 2, 2 * first[:, 0] * first[:, 1], first[:, 1] ** 2], axis=1)[
        :, : 3 if slope else 1
    ]
    turned = [(bend[:, k : k + 3] * square).sum(axis=1) for k in range(2 if slope else 1)]
    step = first - 0.5 * _solved(curvature, np.stack(turned, axis=1))
    near = np.isfinite(step).all(axis=1) & (np.abs(first).max(axis=1) < 1)
    return np.asarray(common + np.where(near[:, None], step, 0.0))


def _newton(z: Floats, targets: Floats, counts: Floats, start: Floats, *, slope: bool = True) -> Floats:
    line = start.astype(np.float64).copy()
    active = _mixed(targets, counts)
    line[~active] = np.nan
    for iteration in range(_ITERATIONS):
        if not active.any():
            return line
        drawn = counts if active.all() else counts[active]
        step = np.clip(_newton_step(z, targets, drawn, line[active], slope), -_LONGEST_STEP, _LONGEST_STEP)
        line[active] += step * (1.0 if iteration < _ITERATIONS // 4 else 0.5)
        active[active] = np.abs(step).max(axis=1) >= _LAST_STEP
    line[active] = np.nan
    return line


def _newton_step(z: Floats, targets: Floats, counts: Floats, line: Floats, slope: bool) -> Floats:
    probability = expit(line[:, :1] + line[:, 1:] * z)
    expected = counts * probability
    weight = expected * (1 - probability)
    g0, h00 = counts @ targets - expected.sum(axis=1), weight.sum(axis=1)
    if slope:
        g1, h01, h11 = counts @ (targets * z) - expected @ z, weight @ z, weight @ (z * z)
        step = _solved(np.stack([h00, h01, h11], axis=1), np.stack([g0, g1], axis=1))
    else:
        step = _solved(h00[:, None], g0[:, None])
    return np.asarray(np.nan_to_num(step, nan=_LONGEST_STEP, posinf=_LONGEST_STEP, neginf=-_LONGEST_STEP))


def _solved(curvature: Floats, gradient: Floats) -> Floats:
    """Return curvature⁻¹ gradient, (resamples, 2), from sums times the powers 0, 1, 2 of the variable, or 0 alone."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if curvature.shape[1] == 1:
            return np.stack([gradient[:, 0] / curvature[:, 0], np.zeros(len(gradient))], axis=1)
        (h00, h01, h11), (g0, g1) = curvature.T[:3], gradient.T[:2]
        return np.asarray(np.stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0], axis=1) / (h00 * h11 - h01**2)[:, None])


def _overlapping(x: Floats, targets: Floats, counts: Floats) -> NDArray[np.bool_]:
    """Tell in which resamples the classes overlap, without which no estimate is finite (Albert and Anderson 1984)."""
    lowest, highest = [], []
    for member in (targets < 1, targets > 0):
        drawn = counts[:, member] > 0
        lowest.append(np.min(np.where(drawn, x[member], np.inf), axis=1, initial=np.inf))
        highest.append(np.max(np.where(drawn, x[member], -np.inf), axis=1, initial=-np.inf))
    return np.asarray((lowest[1] < highest[0]) & (lowest[0] < highest[1]))


def _mixed(targets: Floats, counts: Floats) -> NDArray[np.bool_]:
    return np.asarray((counts @ targets > 0) & (counts @ (1 - targets) > 0))
