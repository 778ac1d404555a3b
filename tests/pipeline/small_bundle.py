"""A bundle of random weights for ECG and table, and raw files of subjects for it; made in well under a second."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch

from cardiobind.inference.bundle import BundleContract, Calibration, commit_bundle, network_of, write_bundle
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.tabular.contract import TableContract
from format_samples import ECG_SAMPLES, counts

PREPARATION = EcgPreparation(rate_hz=100, duration_s=10.0)
FACTS = pd.DataFrame({"age_years": [61.0, 48.0, 70.5], "sex": ["male", "female", "male"], "sbp_mmhg": [140, 118, 131]})
KNOWN = Calibration(0.8, -1.0, 0.3)


def small_bundle(folder: Path, preparation: EcgPreparation = PREPARATION) -> Path:
    table = TableContract.fit(FACTS, list(FACTS))
    contract = BundleContract(
        task="mi", title="Myocardial infarction", inputs={"ecg": ecg_spec(preparation), "tabular": table.spec()},
        encoders={"ecg": {"kind": "vit", "options": {"patch": [12, 50], "width": 32, "depth": 1, "heads": 2}},
                  "tabular": {"kind": "tabular_mlp", "options": {"width": 16}}},
        pool="mean", fusion={"hidden": 8}, ecg=preparation, cmr=None, table=table, crop_s=5.0, crops=2,
        calibration=dict.fromkeys(("ecg", "tabular", "ecg+tabular"), KNOWN), summary={},
    )  # fmt: skip
    torch.manual_seed(5)
    write_bundle(commit_bundle(folder, [], "small"), contract, network_of(contract).state_dict())
    return folder


def write_ecg(folder: Path, number: int, kind: str = "cardiosoft_xml") -> Path:
    """Write an ECG of its own amplitude into a folder of its own."""
    leads = {lead: (values * (1 + number / 10)).astype(int) for lead, values in counts().items()}
    return Path(ECG_SAMPLES[kind](folder, leads))
