"""How well a map points at what is known of an infarct."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

import explained_hearts as truth

Floats = NDArray[np.float64]

WITHIN = {"ecg": "altered moments", "cmr": "the wall"}
RESAMPLES = 1000


@dataclass(frozen=True)
class Truth:
    """What is known of the subjects that are explained, first axis subjects.

    Attributes:
        mask: where the infarct is in the signal.
        within: where else it could have been: the moments at which some lead is altered, the wall.
        leads: (n, 12) over the infarct, of an ECG.
        change: (n, 12) by how much it alters each lead.
        twins: cines of the same hearts without the infarct.
    """

    mask: truth.Mask
    within: truth.Mask
    leads: truth.Mask | None = None
    change: Floats | None = None
    twins: Tensor | None = None


def measures(modality: str, values: Floats, known: Truth) -> dict[str, Floats]:
    """Return each measure of localisation, one number a subject."""
    found: dict[str, list[float]] = {}
    for i, one in enumerate(values):
        mask, flat = known.mask[i], one.ravel()
        add = found.setdefault
        add("AUROC", []).append(_auroc(mask.ravel(), flat))
        add("share in the infarct, over chance", []).append(_share(one, mask) / mask.mean())
        add("largest is in the infarct", []).append(float(mask.ravel()[flat.argmax()]))
        within = known.within[i]
        add(f"AUROC within {WITHIN[modality]}", []).append(_auroc(mask[within], one[within]))
        if known.leads is None:
            add("share in the wall, over chance", []).append(_share(one, within) / within.mean())
        else:
            add("AUROC of the territory's leads", []).append(_auroc(known.leads[i], one.sum(axis=1)))
            add("rank of leads", []).append(_rank_of_leads(one, known.change[i]))
    return {name: np.array(numbers) for name, numbers in found.items()}


def _rank_of_leads(one: Floats, change: Floats) -> float:
    return float(spearmanr(one.sum(axis=1), change).statistic) if np.ptp(one.sum(axis=1)) > 0 else 0.0


def _auroc(mask: truth.Mask, values: Floats) -> float:
    return float(roc_auc_score(mask, values)) if 0 < mask.sum() < mask.size else float("nan")


def _share(values: Floats, mask: truth.Mask) -> float:
    total = float(values.sum())
    return float(values[mask].sum()) / total if total > 0 else float(mask.mean())


def interval(values: Floats, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean over subjects with its 95 % percentile bootstrap interval."""
    known = values[np.isfinite(values)]
    rows = np.random.default_rng(seed).integers(len(known), size=(RESAMPLES, len(known)))
    low, high = np.quantile(known[rows].mean(axis=1), (0.025, 0.975))
    return float(known.mean()), float(low), float(high)


def ranks(a: Floats, b: Floats) -> float:
    """Return the mean rank correlation of two maps (n, ...); what has no attribution in either is left out."""
    found = []
    for one, other in zip(a, b, strict=True):
        there = (one != 0) | (other != 0)
        found.append(spearmanr(one[there], other[there]).statistic)
    return float(np.nanmean(found))


def cell(values: Floats) -> str:
    """Return a mean with its interval as the pages write it."""
    mean, low, high = interval(values)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"
