"""A bundle whose encoder knows leads scores an ECG of any subset of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cardiobind.errors import RecordError
from cardiobind.inference.bundle import BundleContract, network_of
from cardiobind.inference.predictor import Predictor
from cardiobind.modalities.ecg import EcgPreparation, ecg_spec
from cardiobind.modalities.records import LEADS, EcgRecord

PREPARATION = EcgPreparation(rate_hz=100, duration_s=2.0)


def lead_predictor() -> Predictor:
    contract = BundleContract(
        task="mi", title="infarction", inputs={"ecg": ecg_spec(PREPARATION)},
        encoders={"ecg": {"kind": "lead_vit", "options": {"width": 24, "depth": 1, "heads": 3}}}, pool="attention",
        fusion={"hidden": 0}, ecg=PREPARATION, cmr=None, table=None, crop_s=1.0, crops=2, calibration={}, summary={},
    )  # fmt: skip
    torch.manual_seed(0)
    artifact: Any = SimpleNamespace(digest="none")
    return Predictor(artifact, contract, network_of(contract).eval())


def record(leads: list[int], seed: int = 0) -> EcgRecord:
    amplitude_mv = np.random.default_rng(seed).normal(size=(12, 1000)).cumsum(axis=1).astype(np.float32) / 20
    absent = [lead for lead in range(12) if lead not in leads]
    amplitude_mv[absent] = np.nan
    return EcgRecord(amplitude_mv, rate_hz=500.0)


@pytest.mark.parametrize("leads", [[0], [1], [0, 1, 6], list(range(6)), list(range(11))])
def test_any_subset_of_leads_is_scored_and_said_to_be_one(leads: list[int]) -> None:
    predictor = lead_predictor()
    answer = predictor.predict(ecg=record(leads))
    assert np.isfinite(answer.logit)
    assert "missing_lead" in answer.quality["ecg"]
    assert answer.logit != predictor.predict(ecg=record(list(range(12)))).logit


def test_the_same_signal_in_another_lead_is_another_ecg() -> None:
    predictor, one = lead_predictor(), record([0])
    moved = np.full_like(one.amplitude_mv, np.nan)
    moved[LEADS.index("V1")] = one.amplitude_mv[0]
    assert predictor.predict(ecg=one).logit != predictor.predict(ecg=EcgRecord(moved, 500.0)).logit


def test_no_lead_at_all_is_refused() -> None:
    with pytest.raises(RecordError):
        lead_predictor().predict(ecg=record([]))
