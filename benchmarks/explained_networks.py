"""Small predictors of a simulated infarct, and the subjects they are trained and shown on."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import explained_hearts as truth
from cardiobind.data.dataset import scale_cmr
from cardiobind.inference import Predictor
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.modalities.cmr import cmr_spec
from cardiobind.modalities.ecg import ecg_spec
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.modalities.tabular.contract import TableContract

Floats = NDArray[np.float64]

SEEDS = {"train": 101, "validation": 202, "test": 303}
ENCODERS: dict[str, dict[str, dict[str, Any]]] = {
    "ecg": {
        "vit": {"patch": [12, 25], "width": 128, "depth": 4, "heads": 4},
        "resnet1d": {"base_width": 24},
    },
    "cmr": {"resnet": {"depth": 18, "base_width": 16}},
}
CROP_S, CROPS = 5.0, 3


@dataclass
class Subjects:
    """Signals, labels and what is known of one split; `shown` are the infarcts that are explained."""

    x: Tensor
    labels: Floats
    hearts: pd.DataFrame


def simulated(modality: str, split: str, count: int) -> Subjects:
    """Return a split of simulated subjects of one modality."""
    found = truth.hearts(count, SEEDS[split])
    if modality == "ecg":
        x = torch.from_numpy(normalise_by_lead_group(truth.ecgs(found)))
    else:
        x = torch.from_numpy(scale_cmr(truth.cines(found, masks=False).frames))
    return Subjects(x, found["label"].to_numpy(np.float64), found)


def predictor(modality: str, kind: str, table: TableContract | None = None, seed: int = 0) -> Predictor:
    """Return an untrained predictor of one modality."""
    specs = {"ecg": ecg_spec(truth.ECG), "cmr": cmr_spec(truth.CMR)}
    if table is not None:
        specs["tabular"] = table.spec()
    options = {"width": 64} if modality == "tabular" else ENCODERS[modality][kind]
    contract = BundleContract(
        task="mi", title="infarct", inputs={modality: specs[modality]},
        encoders={modality: {"kind": kind, "options": options}}, pool="mean", fusion={"hidden": 0}, ecg=truth.ECG,
        cmr=truth.CMR, table=table, crop_s=CROP_S if modality == "ecg" else None, crops=CROPS, calibration={},
        summary={},
    )  # fmt: skip
    torch.manual_seed(seed)
    artifact: Any = SimpleNamespace(digest="none")
    return Predictor(artifact, contract, network_of(contract).eval())


def train(found: Predictor, x: Tensor, labels: Floats, *, steps: int, seed: int = 0) -> None:
    """Fit a predictor of one modality by AdamW on balanced cross-entropy, an ECG by random crops."""
    (modality,) = found.contract.inputs
    network = found.fusion.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    weight = torch.tensor((1 - labels.mean()) / labels.mean())
    rng, length = np.random.default_rng(seed), round(CROP_S * truth.ECG.rate_hz)
    for _ in range(steps):
        rows = rng.choice(len(x), 48, replace=False)
        batch = x[rows]
        if modality == "ecg":
            start = rng.integers(batch.shape[2] - length + 1)
            batch = batch[:, :, start : start + length]
        logits = network({modality: batch}, {modality: torch.ones(len(rows), dtype=torch.bool)})[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels[rows]).float(), pos_weight=weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()


def logits(found: Predictor, x: Tensor) -> Floats:
    """Return the logits (n,) of signals."""
    (modality,) = found.contract.inputs
    parts = [x[i : i + 64] for i in range(0, len(x), 64)]
    ones = [torch.ones(len(part), dtype=torch.bool) for part in parts]
    return np.concatenate([found.logits({modality: p}, {modality: o})[:, 0] for p, o in zip(parts, ones, strict=True)])
