"""Exchanged electrodes: an ECG compared with what it would be if two of its electrodes had changed places.

The idea is that of Kors and van Herpen (J Electrocardiol 2001;34 Suppl:152, from memory): leads are redundant, so an
exchange makes them disagree with each other. Here the redundancy is the second moments of the eight independent leads
over P wave, QRS complex and T wave, averaged over folds 1-8 of PTB-XL (`lead_moments`): an exchange is a linear map of
the leads, and its evidence is by how much undoing it raises the likelihood of a normal distribution with these moments
and free amplitude. Thresholds: `benchmarks/ecg_quality_ptbxl.py` and docs/explanation/quality.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg.lead_moments import MOMENTS

Array = NDArray[np.float64]

INDEPENDENT = (0, 1, 6, 7, 8, 9, 10, 11)
"""Rows of I, II and V1 to V6 among the twelve leads."""
BEAT_BEFORE, BEAT_AFTER = 25, 40
"""Samples at 100 Hz of the typical beat that is judged."""
WAVES: Mapping[str, slice] = {"P": slice(3, 19), "QRS": slice(19, 32), "T": slice(35, 61)}
LIMB_WEIGHTS = {"P": 1.0, "QRS": 0.5, "T": 0.5}
CHEST_WEIGHTS = {"P": 0.3, "QRS": 1.0, "T": 1.0}
THRESHOLDS = {"arm_electrodes_swapped": 0.15, "la_ll_swapped": 0.3, "chest_electrodes_swapped": 1.3}
"""log likelihood ratio above which a swap is told; chosen on folds 1-8 of PTB-XL for a specificity of 99.5 %."""
FLAT_SHARE = 0.1
_RIDGE = 1e-3

_CHEST = {
    "V1/V2": (1, 0, 2, 3, 4, 5), "V2/V3": (0, 2, 1, 3, 4, 5), "V3/V4": (0, 1, 3, 2, 4, 5), "V4/V5": (0, 1, 2, 4, 3, 5),
    "V5/V6": (0, 1, 2, 3, 5, 4), "V1/V3": (2, 1, 0, 3, 4, 5), "V4/V6": (0, 1, 2, 5, 4, 3),
    "V1-V6 reversed": (5, 4, 3, 2, 1, 0),
}  # fmt: skip
_LIMB = {
    "LA/RA": (1, 0, 2), "RA/LL": (2, 1, 0), "RA>LA>LL": (1, 2, 0), "RA>LL>LA": (2, 0, 1), "LA/LL": (0, 2, 1),
}  # fmt: skip


def _limb_map(order: tuple[int, ...]) -> Array:
    """Return the map of (I, II, V1-V6) where the places RA, LA, LL hold the electrodes `order`.

    The central terminal is the mean of the three, so that the chest leads stay.
    """
    potentials = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])[list(order)]
    out = np.eye(8)
    out[:2, :2] = [potentials[1] - potentials[0], potentials[2] - potentials[0]]
    return out


def _chest_map(order: tuple[int, ...]) -> Array:
    out = np.eye(8)
    out[2:, 2:] = np.eye(6)[list(order)]
    return out


SWAPS: Mapping[str, Array] = {
    **{name: _limb_map(order) for name, order in _LIMB.items()},
    **{name: _chest_map(order) for name, order in _CHEST.items()},
}
"""Name of a swap -> (8, 8) map of the independent leads that it causes."""
CODES: Mapping[str, tuple[str, ...]] = {
    "arm_electrodes_swapped": tuple(_LIMB)[:4],
    "la_ll_swapped": ("LA/LL",),
    "chest_electrodes_swapped": tuple(_CHEST),
}
"""Quality code -> the swaps that it stands for."""


def swap_evidence(beat_mv: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Return for each swap by how much undoing it raises the log likelihood of a beat, per lead and sample.

    Args:
        beat_mv: (12, `BEAT_BEFORE` + `BEAT_AFTER`) typical beat at 100 Hz, baseline removed; the unit does not matter.

    Returns:
        Swap -> evidence, as many as in `SWAPS`; all -inf where a lead of the eight carries nothing.
    """
    leads = np.asarray(beat_mv, dtype=np.float64)[list(INDEPENDENT)]
    if not (np.abs(leads).max(axis=1) > 0).all():
        return dict.fromkeys(SWAPS, float("-inf"))
    moments = {wave: leads[:, part] @ leads[:, part].T for wave, part in WAVES.items()}
    forms = _forms()
    logs = {w: np.log(np.tensordot(forms[w], moments[w], axes=2) + 1e-12) for w in WAVES}
    return {
        name: float(sum((logs[w][0] - logs[w][k]) * _weights(name)[w] for w in WAVES))
        for k, name in enumerate(SWAPS, start=1)
    }


def _weights(name: str) -> dict[str, float]:
    return LIMB_WEIGHTS if name in _LIMB else CHEST_WEIGHTS


@lru_cache(maxsize=1)
def _forms() -> dict[str, Array]:
    """Return by wave the quadratic forms (1 + swaps, 8, 8): as recorded, then with each swap undone."""
    undone = np.stack([np.eye(8), *(np.linalg.inv(swap) for swap in SWAPS.values())])
    return {w: undone.transpose(0, 2, 1) @ _precision(np.array(MOMENTS[w])) @ undone for w in WAVES}


def _precision(moments: Array) -> Array:
    return np.asarray(np.linalg.inv(moments + _RIDGE * np.trace(moments) / len(moments) * np.eye(len(moments))))


def swap_codes(beat_mv: NDArray[np.floating[Any]]) -> tuple[str, ...]:
    """Return the codes of the electrode swaps that a typical beat gives evidence of, at most one of each kind.

    Args:
        beat_mv: (12, samples) as for `swap_evidence`.

    Returns:
        Some of arm_electrodes_swapped (the right arm's is where another limb's belongs), la_ll_swapped,
        chest_electrodes_swapped, leg_electrode_swapped (an arm's electrode is on the right leg: I, II or III is all but
        flat while the others are not, since the two legs have one potential; Haisty et al., J Electrocardiol 1993, from
        memory).
    """
    evidence = swap_evidence(beat_mv)
    strongest = {code: max(evidence[name] for name in names) for code, names in CODES.items()}
    if strongest["arm_electrodes_swapped"] >= strongest["la_ll_swapped"]:
        strongest["la_ll_swapped"] = float("-inf")
    found = [code for code, value in strongest.items() if value > THRESHOLDS[code]]
    return (*found, *(("leg_electrode_swapped",) if _one_lead_flat(beat_mv) else ()))


def _one_lead_flat(beat_mv: NDArray[np.floating[Any]]) -> bool:
    size = np.sqrt((np.asarray(beat_mv[:6], dtype=np.float64) ** 2).mean(axis=1))
    return bool((size > 0).all() and size[:3].min() < FLAT_SHARE * size.max())
