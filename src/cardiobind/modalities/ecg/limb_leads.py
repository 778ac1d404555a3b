"""The six limb leads as stored: do they agree with Einthoven and Goldberger, and which mistake explains it if not.

Source: III = II - I (Einthoven 1913), aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2 (Goldberger 1942).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import permutations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.records import LEADS

Array = NDArray[np.float64]

LIMB_LEADS = LEADS[:6]
# Rows: what must vanish; columns: I, II, III, aVR, aVL, aVF.
RELATIONS = np.array(
    [
        [1.0, -1.0, 1.0, 0.0, 0.0, 0.0],
        [0.5, 0.5, 0.0, 1.0, 0.0, 0.0],
        [-1.0, 0.5, 0.0, 0.0, 1.0, 0.0],
        [0.5, -1.0, 0.0, 0.0, 0.0, 1.0],
    ]
)
_TOLERANCE_MV = 0.03
_TOLERANCE_SHARE = 0.05
_QUANTILE = 0.95
_MOST_CANDIDATES = 20


def limb_lead_residuals(amplitude_mv: NDArray[np.floating[Any]]) -> Array:
    """Return how far each relation of the limb leads is from holding, the 95th percentile of its absolute value.

    Args:
        amplitude_mv: (6 or more, samples), the limb leads first, NaN where absent.

    Returns:
        (4,) mV for III, aVR, aVL and aVF; NaN for a relation whose leads are not all there.
    """
    limbs, there = _whole(amplitude_mv)
    usable = ~((RELATIONS != 0) & ~there).any(axis=1)
    out = np.full(len(RELATIONS), np.nan)
    if limbs.size and usable.any():
        out[usable] = _size(RELATIONS[usable] @ limbs)
    return out


def _whole(amplitude_mv: NDArray[np.floating[Any]]) -> tuple[Array, NDArray[np.bool_]]:
    """Return the limb leads where all that are there are finite, absent ones as 0, and which are there."""
    limbs = np.asarray(amplitude_mv[:6], dtype=np.float64)
    finite = np.isfinite(limbs)
    there = np.asarray(finite.any(axis=1))
    return np.where(there[:, None], limbs, 0.0)[:, finite[there].all(axis=0)], there


def _size(rows: Array) -> Array:
    return np.asarray(np.quantile(np.abs(rows - np.median(rows, axis=1, keepdims=True)), _QUANTILE, axis=1))


def limb_leads_inconsistent(amplitude_mv: NDArray[np.floating[Any]]) -> bool:
    """Return whether a relation fails by more than rounding and separate filters of the leads explain.

    The tolerance is 0.03 mV, which is four times the worst sum of the rounding of three leads of 5 microvolts, or 5 %
    of the largest limb lead. A constant offset of a lead is none of its business: it is removed.

    Args:
        amplitude_mv: (6 or more, samples), the limb leads first, NaN where absent.
    """
    residuals = limb_lead_residuals(amplitude_mv)
    if not np.isfinite(residuals).any():
        return False
    largest = float(_size(_whole(amplitude_mv)[0]).max())
    return bool(np.nanmax(residuals) > max(_TOLERANCE_MV, _TOLERANCE_SHARE * largest))


def stored_lead_mistake(amplitude_mv: NDArray[np.floating[Any]]) -> dict[str, str] | None:
    """Return which rows of a file with inconsistent limb leads are really which leads.

    All 720 orders and 64 signs are tried on the second moments of the six rows; the mistake that concerns the fewest
    rows is taken.

    Args:
        amplitude_mv: (6 or more, samples), the limb leads first.

    Returns:
        For each misnamed row what it holds: ``{"aVR": "-aVR"}`` where it is inverted, ``{"I": "II", "II": "I"}`` where
        two are exchanged. Empty where the leads agree. None where leads are absent, nothing restores the relations, or
        two equally small mistakes do.
    """
    if not limb_leads_inconsistent(amplitude_mv):
        return {}
    limbs = np.asarray(amplitude_mv[:6], dtype=np.float64)
    limbs = limbs[:, np.isfinite(limbs).all(axis=0)]
    if not limbs.size:
        return None
    limbs = limbs - np.median(limbs, axis=1, keepdims=True)
    orders, signs, changed = _mistakes()
    for rows in range(1, 7):
        some = changed == rows
        good = _restoring(limbs, orders[some], signs[some])
        if good:
            return _named(*good[0]) if len(good) == 1 else None
    return None


def _restoring(limbs: Array, orders: NDArray[np.intp], signs: Array) -> list[tuple[NDArray[np.intp], Array]]:
    """Return the mistakes whose undoing makes the leads agree, of those that leave the least squared residuals."""
    moments, form = limbs @ limbs.T, RELATIONS.T @ RELATIONS
    rearranged = moments[orders[:, :, None], orders[:, None, :]] * signs[:, :, None] * signs[:, None, :]
    left = np.einsum("ij,nij->n", form, rearranged)
    best = np.argsort(left)[:_MOST_CANDIDATES]
    return [(orders[k], signs[k]) for k in best if not limb_leads_inconsistent(limbs[orders[k]] * signs[k][:, None])]


@lru_cache(maxsize=1)
def _mistakes() -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """Return all orders (row to take for each lead), signs, and how many rows each concerns."""
    orders = np.repeat(np.array(list(permutations(range(6)))), 64, axis=0)
    signs = np.tile(np.array(list(product((1.0, -1.0), repeat=6))), (720, 1))
    return orders, signs, ((orders != np.arange(6)) | (signs < 0)).sum(axis=1)


def _named(order: NDArray[np.intp], sign: Array) -> dict[str, str]:
    """Return row name -> content, order[lead] being the row that holds the lead."""
    return {
        LIMB_LEADS[row]: f"{'-' if sign[lead] < 0 else ''}{LIMB_LEADS[lead]}"
        for lead, row in enumerate(order)
        if row != lead or sign[lead] < 0
    }
