"""The pictures of docs/results/explanations.md: python benchmarks/explanation_pictures.py FOLDER.

A few minutes of one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

import explained_hearts as truth
from cardiobind.explain import cine_attribution, ecg_attribution, explain
from cardiobind.inference import Predictor, PreparedSubject
from cardiobind.simulate import simulate_ecg
from explained_networks import Subjects, logits, predictor, simulated, train

AGAINST = {"normal": ("", "a normal ECG"), "flat": ("_flat", "a flat line")}
"""Baseline -> how the file's name ends, and words."""
SCAR = "#ffd43b"


def trained(modality: str, kind: str, counts: tuple[int, int], steps: int) -> tuple[Predictor, Subjects]:
    """Return a predictor and the subjects it is shown on."""
    training, test = simulated(modality, "train", counts[0]), simulated(modality, "test", counts[1])
    found = predictor(modality, kind)
    train(found, training.x, training.labels, steps=steps)
    return found, test


def example(found: Predictor, test: Subjects, territory: int | None = None) -> int:
    """Return an infarct whose score is above those of three quarters of the infarcts that are recognised."""
    scores = logits(found, test.x)
    there = (test.labels == 1) & (scores > 0)
    if territory is not None:
        there &= test.hearts["territory"].to_numpy() == territory
    rows = np.flatnonzero(there)
    return int(rows[np.argsort(-scores[rows])[len(rows) // 4]])


def main(out: Path) -> None:
    """Write the pictures."""
    torch.set_num_threads(1)
    found, test = trained("ecg", "vit", (500, 120), 250)
    for name, territory in (("anterior", 0), ("inferior", 1)):
        row = example(found, test, territory)
        heart = test.hearts.iloc[[row]]
        recorded = simulate_ecg(heart, truth.settings(1, 0))[0]
        size = 100 * heart["infarct_size"].iloc[0]
        for against, (ending, words) in AGAINST.items():
            told = explain(found, PreparedSubject({"ecg": test.x[row : row + 1]}, {}), baselines={"ecg": against})
            title = f"Simulated {name} infarct of {size:.0f} % of the ventricle, against {words}"
            _save(ecg_attribution(told, recorded, 500.0, title=title), out / f"explain_ecg_{name}{ending}.png")
    found, test = trained("cmr", "resnet", (250, 60), 150)
    row = example(found, test)
    cine(found, test.x[row : row + 1], test.hearts.iloc[[row]], out / "explain_cine.png")


def cine(found: Predictor, x: Tensor, heart: pd.DataFrame, path: Path) -> None:
    """Draw the explanation of one cine with the scar of its heart."""
    told = explain(found, PreparedSubject({"cmr": x}, {}))
    scar = truth.cines(heart.reset_index(drop=True), masks=True).scar[0]
    size = 100 * heart["infarct_size"].iloc[0]
    title = f"Simulated infarct of {size:.0f} % of the ventricle, its scar in yellow"
    figure = cine_attribution(told, x[0].numpy(), title=title)
    scars = dict(zip(told.cmr_planes, scar, strict=True))
    for axes in figure.axes:
        there = scars.get(axes.get_label(), scar[-1] if "together" in axes.get_label() else None)
        if there is not None and there.any():
            axes.contour(there, [0.5], colors=SCAR, linewidths=1.0)
    _save(figure, path, dpi=100)


def _save(figure: Figure, path: Path, dpi: int = 75) -> None:
    figure.savefig(path, dpi=dpi, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
