"""Where maps point, by modality: their reading is chosen on validation subjects and measured on test subjects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

import explained_hearts as truth
from cardiobind.data.dataset import scale_cmr
from cardiobind.inference import Predictor
from explained_maps import against_twins, alternatives, maps, readings
from explained_measures import WITHIN, Truth, measures
from explained_networks import Subjects, logits, predictor, train

Floats = NDArray[np.float64]

WAYS = {
    "ecg": (
        "integrated_gradients, flat", "integrated_gradients, normal", "gradient_x_input, flat",
        "gradient_x_input, normal", "occlusion, flat", "wave_occlusion, flat", "wave_occlusion, normal",
    ),
    "cmr": (
        "integrated_gradients, normal", "integrated_gradients, grey", "integrated_gradients, blurred",
        "gradient_x_input, normal", "gradient_x_input, grey", "wave_occlusion, normal", "wave_occlusion, grey",
    ),
}  # fmt: skip
TWIN = "integrated_gradients, twin without the infarct"
"""Against the truth itself, which nobody has of a patient: what a baseline can give at best."""
STEPS = {"ecg": 300, "cmr": 200, "tabular": 300}
MOST = {"ecg": {"validation": 15, "test": 30}, "cmr": {"validation": 40, "test": 60}}


def shown(modality: str, split: Subjects, score: Floats, most: int) -> tuple[Tensor, Truth]:
    """Return the infarcts that the network recognises, with the truth about them, at most so many."""
    rows = np.flatnonzero((split.labels == 1) & (score > 0))[:most]
    hearts = split.hearts.iloc[rows].reset_index(drop=True)
    if modality == "ecg":
        change = truth.change(hearts)
        mask = truth.altered(change)
        moments = np.broadcast_to(mask.any(axis=1, keepdims=True), mask.shape)
        return split.x[rows], Truth(mask, moments, truth.territory_leads(hearts), change.sum(axis=2))
    found = truth.cines(hearts, masks=True)
    there = found.scar.any(axis=(1, 2, 3))
    twins = torch.from_numpy(scale_cmr(truth.cines(truth.without_scar(hearts), masks=False).frames))[there]
    return split.x[rows][torch.from_numpy(there)], Truth(found.scar[there], found.wall[there], twins=twins)


def localisation(modality: str, kind: str, splits: Mapping[str, Subjects], scale: float) -> dict[str, Any]:
    """Train a predictor, choose how maps are read on validation subjects, and measure them on test subjects."""
    found = predictor(modality, kind)
    train(found, splits["train"].x, splits["train"].labels, steps=max(20, round(STEPS[modality] * scale)))
    scores = {name: logits(found, splits[name].x) for name in ("validation", "test")}
    given = {
        name: shown(modality, splits[name], scores[name], max(6, round(most * scale)))
        for name, most in MOST[modality].items()
    }
    every = {name: _every_map(modality, found, *own) for name, own in given.items()}
    rows = {
        name: _chosen(modality, {split: own[name] for split, own in every.items()}, given) for name in every["test"]
    }
    return {
        "predictor": found, "auroc": roc_auc_score(splits["test"].labels, scores["test"]), "rows": rows,
        "subjects": len(given["test"][0]), "given": given["test"], "mask": float(given["test"][1].mask.mean()),
    }  # fmt: skip


def _every_map(modality: str, found: Predictor, x: Tensor, known: Truth) -> dict[str, Floats]:
    raw = {method: maps(found, x, method) for method in WAYS[modality]}
    if known.twins is not None:
        raw[TWIN] = against_twins(found, x, known.twins)
    return raw | alternatives(modality, x.numpy().astype(np.float64))


def _chosen(modality: str, raw: Mapping[str, Floats], given: Mapping[str, tuple[Tensor, Truth]]) -> dict[str, Any]:
    """Return the measures on test subjects of a map, read as is best on validation subjects."""
    headline, read = f"AUROC within {WITHIN[modality]}", {}
    for name, as_map in readings(modality).items():
        read[name] = float(np.nanmean(measures(modality, as_map(raw["validation"]), given["validation"][1])[headline]))
    best = max(read, key=lambda name: read[name])
    test = measures(modality, readings(modality)[best](raw["test"]), given["test"][1])
    return {"variant": best, "validation": read[best], "test": test}
