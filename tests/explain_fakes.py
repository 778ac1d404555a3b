"""A small bundle of random weights that knows all three modalities, and a subject for it, without any files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from cardiobind.data.dataset import scale_cmr
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.prepared import PreparedSubject
from cardiobind.modalities.cmr import CmrPreparation, cmr_spec
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.modalities.tabular.contract import TableContract

ECG = EcgPreparation(rate_hz=100, duration_s=4.0)
CMR = CmrPreparation(size_px=32)
FACTS = {
    "age_years": 61.0, "sex": "male", "sbp_mmhg": 141.0, "smoking_status": "current", "diabetes": True,
    "bmi_kg_m2": np.nan, "ldl_mmol_l": 4.1, "hba1c_mmol_mol": 40.0, "height_cm": 177.0, "weight_kg": 88.0,
}  # fmt: skip
TRAINING = pd.DataFrame([{**FACTS, "bmi_kg_m2": 24.0}, {**FACTS, "age_years": 50.0, "sbp_mmhg": 120.0}])


def small_predictor(seed: int = 0, **fusion: Any) -> Predictor:
    table = TableContract.fit(TRAINING, list(FACTS))
    contract = BundleContract(
        task="mi", title="infarction",
        inputs={"ecg": ecg_spec(ECG), "cmr": cmr_spec(CMR), "tabular": table.spec()},
        encoders={
            "ecg": {"kind": "vit", "options": {"patch": [12, 20], "width": 24, "depth": 1, "heads": 3}},
            "cmr": {"kind": "resnet", "options": {"depth": 18, "base_width": 4}},
            "tabular": {"kind": "tabular_mlp", "options": {"width": 16}},
        },
        pool="mean", fusion={"hidden": 8, **fusion}, ecg=ECG, cmr=CMR, table=table, crop_s=2.0, crops=2, calibration={},
        summary={},
    )  # fmt: skip
    torch.manual_seed(seed)
    network = network_of(contract).train()
    for _ in range(20):  # or its batch norms would make next to nothing of an image
        network.encode("cmr", torch.randn(8, 3, 1, 1) + torch.randn(8, 3, 32, 32))
    artifact: Any = SimpleNamespace(digest="none")
    return Predictor(artifact, contract, network.eval())


def small_subject(predictor: Predictor, inputs: str = "cmr+ecg+tabular", *, absent: tuple[int, ...] = ()) -> Any:
    rng = np.random.default_rng(3)
    ecg = beats_of(rng)
    ecg[list(absent)] = 0.0
    frames = rng.integers(1, 255, size=(1, 3, 32, 32)).astype(np.uint8)
    assert predictor.contract.table is not None
    signals = {
        "ecg": torch.from_numpy(normalise_by_lead_group(ecg[None])),
        "cmr": torch.from_numpy(scale_cmr(frames)),
        "tabular": torch.from_numpy(predictor.contract.table.encode(pd.DataFrame([FACTS]))),
    }
    return PreparedSubject({m: signals[m] for m in inputs.split("+")}, {}, ("bmi_kg_m2",))


def beats_of(rng: np.random.Generator, *, rate_hz: int = 100, seconds: float = 4.0) -> np.ndarray[Any, Any]:
    """Return (12, samples) of spikes at 0.5, 1.3, 2.1 ... s with noise, in mV."""
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    spikes = sum(np.exp(-0.5 * ((time - at) / 0.015) ** 2) for at in np.arange(0.5, seconds, 0.8))
    return np.asarray(rng.normal(0.9, 0.3, size=(12, 1)) * spikes + rng.normal(0, 0.02, size=(12, len(time))))
