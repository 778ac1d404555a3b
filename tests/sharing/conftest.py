"""A small bundle with random weights, as `cardiobind export` writes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cardiobind.artifact import Artifact, commit, open_artifact
from cardiobind.inference.bundle import BundleContract, Calibration, network_of, write_bundle
from cardiobind.modalities.cmr import CmrPreparation, cmr_spec
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.tabular.contract import TableColumn, TableContract

ECG = EcgPreparation(rate_hz=100, duration_s=4.0)
CMR = CmrPreparation(size_px=32)
TABLE = TableContract(
    (
        TableColumn("age_years", "number", 60.0, 8.0, 0.0, 120.0, ()),
        TableColumn("sex", "category", 0.0, 0.0, float("-inf"), float("inf"), ("female", "male")),
        TableColumn("diabetes", "flag", 0.0, 0.0, float("-inf"), float("inf"), ()),
    )
)
COUNTS = {"samples": 900, "labelled": 900, "positive": 70}
CONTRACT = BundleContract(
    task="mi",
    title="Myocardial infarction, any time",
    inputs={"ecg": ecg_spec(ECG), "cmr": cmr_spec(CMR), "tabular": TABLE.spec()},
    encoders={
        "ecg": {"kind": "vit", "options": {"patch": [12, 50], "width": 16, "depth": 1, "heads": 2}},
        "cmr": {"kind": "resnet", "options": {"depth": 10, "base_width": 4}},
        "tabular": {"kind": "tabular_mlp", "options": {"width": 8}},
    },
    pool={"ecg": "attention", "cmr": "mean", "tabular": "mean"},
    fusion={"hidden": 0},
    ecg=ECG,
    cmr=CMR,
    table=TABLE,
    crop_s=2.0,
    crops=3,
    calibration={
        "cmr+ecg+tabular": Calibration(0.9, -2.5, 0.1),
        "ecg": Calibration(None, None, None, "one class alone"),
    },
    summary={"splits": dict.fromkeys(("train", "validation", "test"), COUNTS), "training_labels": 450, "arm": "a",
             "label_fraction": 1.0},
)  # fmt: skip

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a bundle; keyword arguments replace fields of its contract."""

    def write(name: str = "bundle", parents: tuple[Artifact, ...] = (), **fields: Any) -> Path:
        contract = replace(CONTRACT, **fields)
        torch.manual_seed(0)
        state = {k: v.detach().clone() for k, v in network_of(contract).state_dict().items()}
        write_bundle(commit(tmp_path / name, "bundle", parents=parents), contract, state)
        return tmp_path / name

    return write


@pytest.fixture
def run_predictor(tmp_path: Path) -> Artifact:
    """The artefact that a bundle of a run is made from."""
    with commit(tmp_path / "predictor-0a1b2c3d", "predictor") as folder:
        (folder / "model.json").write_text("{}")
    return open_artifact(tmp_path / "predictor-0a1b2c3d")
