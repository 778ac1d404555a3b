"""A bundle says nothing of what cannot be relied on, and why; asked to, it tells with the doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bundles import PREPARATION, bundle

from cardiobind import inference
from cardiobind.errors import ConfigError
from cardiobind.inference.bundle import Calibration
from cardiobind.inference.predictor import Predictor
from cardiobind.inference.trust.cohort import Histogram
from cardiobind.inference.trust.intervals import Certainty
from cardiobind.inference.trust.leads import LeadCost, LeadTable
from cardiobind.inference.trust.likeness import Familiar, fit_values
from cardiobind.inference.trust.signs import ecg_signs
from cardiobind.modalities.ecg.preparation import prepare_ecg
from cardiobind.modalities.records import LEADS, EcgRecord

KNOWN = {
    "calibration": {"ecg": Calibration(1.0, -1.0, 0.3)},
    "certainty": {"ecg": Certainty(200, 20, (0.01, 0.0, 0.01))},
    "risks": {"ecg": Histogram((0.0, 0.2, 0.4, 1.0), (50, 50, 100))},
}


def record(seed: int, leads: tuple[str, ...] = LEADS) -> EcgRecord:
    rng = np.random.default_rng(seed)
    beat = np.exp(-((((np.arange(2500) / 500) % 0.8 - 0.3) / 0.02) ** 2))
    beat = beat * rng.uniform(0.8, 1.2)
    i, ii = (size * beat + rng.normal(0, 0.01, 2500) for size in rng.uniform(0.6, 1.2, 2))
    limbs = np.stack([i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2])
    chest = np.linspace(-0.8, 1.2, 6)[:, None] * beat + rng.normal(0, 0.01, (6, 2500))
    amplitude_mv = np.concatenate([limbs, chest]).astype(np.float32)
    amplitude_mv[[name not in leads for name in LEADS]] = np.nan
    return EcgRecord(amplitude_mv, rate_hz=500.0)


def predictor(on_doubt: Any = "abstain", encoder: str = "vit", **facts: Any) -> Predictor:
    made = bundle({"ecg": encoder}, **(KNOWN | facts))
    rows = np.stack([ecg_signs(prepare_ecg(record(s), PREPARATION), 100.0) for s in range(30)])
    check = fit_values(rows).limited(4.0)
    known = {"ecg": Familiar({"signs": check, "signs_of_few_leads": check.limited(40.0)}, 30, 30)}
    return Predictor(made.artifact, made.contract, made.fusion, on_doubt=on_doubt, likeness=known)


def test_a_familiar_signal_gets_a_risk_with_its_interval_and_place() -> None:
    found = predictor().predict(ecg=record(99))
    assert found.abstained is None
    assert found.verdicts["ecg"].like_training is True
    assert found.interval is not None
    assert found.risk is not None
    assert found.interval[0] < found.risk < found.interval[1]
    assert found.cohort_percentile is not None
    assert 0 <= found.cohort_percentile <= 100
    written = found.to_json()
    assert written["verdicts"]["ecg"]["usable"] is True
    assert written["abstained"] is None


def test_noise_gets_no_risk_unless_it_is_asked_for() -> None:
    noise = replace(record(0), amplitude_mv=np.random.default_rng(0).normal(0, 0.3, (12, 2500)).astype(np.float32))
    found, told = predictor().predict(ecg=noise), predictor("tell").predict(ecg=noise)
    assert found.abstained is not None
    assert "unlike the 12-lead ECGs" in found.abstained
    nothing = (found.risk, found.value, found.positive, found.interval, found.cohort_percentile)
    assert nothing == (None, None, None, None, None)
    assert "no answer" in found.statement
    assert told.abstained is None
    assert told.risk is not None
    assert told.verdicts == found.verdicts
    assert not told.verdicts["ecg"].usable
    assert told.logit is not None
    assert found.to_json()["logit"] is None  # the risk would follow from it


def test_leads_that_contradict_one_another_are_not_scored() -> None:
    one = record(1)
    found = predictor().predict(ecg=replace(one, amplitude_mv=one.amplitude_mv[[1, 0, 3, 2, 5, 4, *range(6, 12)]]))
    assert "limb_leads_inconsistent" in found.verdicts["ecg"].codes
    assert found.abstained is not None
    assert "limb leads contradict" in found.abstained


@pytest.mark.parametrize("leads", [("I",), ("I", "II"), LEADS[:6]])
def test_fewer_leads_are_scored_where_they_were_trained_for_and_say_what_they_cost(leads: tuple[str, ...]) -> None:
    costs = (LeadCost(LEADS, 0.8), LeadCost(LEADS[:6], 0.75), LeadCost(("I", "II"), 0.7), LeadCost(("I",), 0.65))
    table = LeadTable(True, "auroc", 120, costs)
    found = predictor(encoder="lead_vit", leads=table).predict(ecg=record(2, leads))
    assert found.abstained is None
    assert found.risk is not None
    assert f"{len(leads)} of 12 leads" in found.verdicts["ecg"].says
    assert "against 0.800 with 12" in found.verdicts["ecg"].says
    refused = predictor(leads=replace(table, trained=False)).predict(ecg=record(2, leads))
    assert refused.abstained is not None
    assert "not trained with leads missing" in refused.abstained


def test_a_bundle_that_knows_nothing_says_so() -> None:
    made = bundle({"ecg": "vit"}, calibration=KNOWN["calibration"])
    found = made.predict(ecg=record(3))
    assert found.risk is not None
    assert found.interval is None
    assert "does not say" in found.interval_of
    assert found.verdicts["ecg"].like_training is None
    assert "cannot tell" in found.verdicts["ecg"].says
    assert found.cohort_percentile is None


def test_doubt_has_two_words() -> None:
    with pytest.raises(ConfigError, match="doubt"):
        inference.load("nowhere", on_doubt="guess")  # type: ignore[arg-type]
