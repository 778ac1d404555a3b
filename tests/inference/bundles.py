"""Small bundles with random weights, of any architecture, and subjects for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.prepared import PreparedSubject
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.spec import InputSpec

PREPARATION = EcgPreparation(rate_hz=100, duration_s=4.0)
SPECS = {
    "ecg": ecg_spec(PREPARATION),
    "cmr": InputSpec("cmr", (3, 32, 32)),
    "tabular": InputSpec("tabular", (5, 2), names=("a", "b", "c", "d", "e"), cardinalities=(0, 0, 0, 2, 3)),
}
SMALL = {
    "vit": {"patch": [12, 50], "width": 32, "depth": 2, "heads": 2},
    "lead_vit": {"width": 24, "depth": 1, "heads": 3},
    "s4": {"width": 16, "depth": 1},
    "xresnet1d": {"blocks": [1, 1, 1, 1]},
    "resnet": {"depth": 18, "base_width": 8},
    "tabular_mlp": {"width": 32},
    "tabular_transformer": {"width": 32},
}


def bundle(kinds: Mapping[str, str], fusion: str = "late", **facts: Any) -> Predictor:
    """Return a predictor of these encoders by modality, its weights random."""
    given = {
        "task": "mi", "title": "infarction", "pool": "attention" if "vit" in str(kinds) else "mean",
        "fusion": {"fusion": fusion, "hidden": 8}, "cmr": None, "table": None, "crop_s": 2.0, "crops": 2,
        "calibration": {}, "summary": {},
    } | facts  # fmt: skip
    contract = BundleContract(
        inputs={m: SPECS[m] for m in kinds}, ecg=PREPARATION,
        encoders={m: {"kind": kind, "options": SMALL[kind]} for m, kind in kinds.items()}, **given,
    )  # fmt: skip
    torch.manual_seed(0)
    artifact: Any = SimpleNamespace(digest="none")
    return Predictor(artifact, contract, network_of(contract).eval())


def signal(modality: str, seed: int) -> Tensor:
    """Return one subject's signal (1, ...)."""
    generator = torch.Generator().manual_seed(seed)
    if modality != "tabular":
        return torch.randn(1, *SPECS[modality].shape, generator=generator)
    sizes = torch.tensor([size or 1 for size in SPECS[modality].cardinalities])
    values = torch.randn(1, 5, generator=generator)
    codes = (torch.rand(1, 5, generator=generator) * sizes).floor()
    seen = (torch.rand(1, 5, generator=generator) > 0.2).float()
    return torch.stack([torch.where(sizes > 1, codes, values) * seen, seen], dim=2)


def subjects(modalities: Sequence[str], count: int) -> list[PreparedSubject]:
    """Return subjects who have some or all of the modalities."""
    chosen = [[m for j, m in enumerate(modalities) if (i >> j) % 2 == 0] or modalities for i in range(count)]
    return [PreparedSubject({m: signal(m, 97 * i + 7) for m in own}, {}) for i, own in enumerate(chosen)]
