"""Asymmetric least squares as its paper's listing states it: one general sparse solution a lead and iteration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve


def als_sparse(signal: NDArray[np.float64], lam: float, asymmetry: float, iterations: int) -> NDArray[np.float64]:
    """Return the baseline of each row; arguments as `cardiobind.modalities.ecg.asymmetric_least_squares`.

    Source: Eilers and Boelens, Baseline correction with asymmetric least squares smoothing (2005).
    """
    samples = signal.shape[1]
    difference = sparse.diags_array([1.0, -2.0, 1.0], offsets=[0, 1, 2], shape=(samples - 2, samples))
    penalty = (lam * (difference.T @ difference)).tocsc()
    return np.stack([_row(row, penalty, asymmetry, iterations) for row in signal])


def _row(row: NDArray[np.float64], penalty: sparse.csc_array, asymmetry: float, iterations: int) -> NDArray[np.float64]:
    weights = np.ones_like(row)
    for _ in range(iterations):
        baseline = spsolve((penalty + sparse.diags_array(weights)).tocsc(), weights * row)
        weights = np.where(row > baseline, asymmetry, 1 - asymmetry)
    return np.asarray(baseline)
