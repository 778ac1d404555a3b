"""What signals are compared with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.explain import explain
from cardiobind.explain.baselines import BASELINES, Sampling, baseline
from cardiobind.explain.normal_beat import normal_beat, normal_ecg
from cardiobind.modalities.cmr.layouts import FRAME_NAMES
from cardiobind.modalities.ecg.preparation import normalise_by_lead_group
from cardiobind.modalities.ecg.r_peaks import r_peaks
from cardiobind.modalities.records import LEADS
from explain_fakes import beats_of, small_predictor, small_subject


def test_a_normal_beat_is_normal() -> None:
    """R grows from V1 to V4, aVR is negative, T is upright in II and V5, nothing is taller than 2.5 mV."""
    beat = normal_beat(100)
    assert beat.shape == (12, 90)
    r = {lead: beat[LEADS.index(lead), 25:36] for lead in LEADS}
    assert r["V1"].max() < r["V2"].max() < r["V4"].max()
    assert r["aVR"].min() < -0.3
    assert r["II"].max() > 0.5
    assert all(beat[LEADS.index(lead), 45:70].max() > 0.1 for lead in ("II", "V5"))
    assert np.abs(beat).max() < 2.5
    np.testing.assert_allclose(beat[1] - beat[0], beat[2], atol=5e-3)


def test_a_normal_ecg_beats_when_the_other_does() -> None:
    ecg = normalise_by_lead_group(beats_of(np.random.default_rng(0))[None])[0]
    ecg[4] = 0.0
    found = normal_ecg(ecg, 100.0)
    assert found.shape == ecg.shape
    assert not found[4].any()
    assert np.abs(r_peaks(found.astype(float), 100.0) - r_peaks(ecg.astype(float), 100.0)).max() <= 2
    assert not normal_ecg(np.zeros((12, 300)), 100.0).any()


@pytest.mark.parametrize(("modality", "name"), [(m, n) for m, known in BASELINES.items() for n in known])
def test_a_baseline_has_the_shape_of_its_signal_and_keeps_what_is_absent(modality: str, name: str) -> None:
    predictor = small_predictor()
    x = small_subject(predictor, absent=(3,)).signals[modality]
    found = baseline(modality, name).of(x, Sampling(100.0, FRAME_NAMES, 142 / 32))
    assert found.shape == x.shape
    assert found.dtype == x.dtype
    if modality == "ecg":
        assert not found[0, 3].any()
        assert (found[0, :3] != 0).any(dim=1).all()
    if modality == "cmr" and name != "normal":
        torch.testing.assert_close(found.mean(dim=(2, 3)), x.mean(dim=(2, 3)))


def test_the_baseline_is_chosen_by_name_and_said() -> None:
    predictor = small_predictor()
    found = explain(predictor, small_subject(predictor, "ecg"), steps=4, baselines={"ecg": "normal"})
    assert found.method["ecg"]["baseline"] == BASELINES["ecg"]["normal"].says
    with pytest.raises(ConfigError, match="no such baseline"):
        explain(predictor, small_subject(predictor, "ecg"), baselines={"ecg": "norml"})
