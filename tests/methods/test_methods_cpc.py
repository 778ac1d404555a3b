"""Contrastive predictive coding: what is predicted from what, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.methods import Cpc, learn
from cardiobind.models import S4, SequenceEncoder
from cardiobind.objectives import contrastive_prediction, prediction_similarities
from cardiobind.training import TrainingSettings


def causal(spec, **options):
    return S4(spec, width=16, depth=1, state=4, bidirectional=False, **options)


def test_the_loss_is_that_of_each_step_ahead(specs) -> None:
    torch.manual_seed(0)
    m = Cpc(causal(specs["ecg"]), steps=2).eval()
    x = torch.randn(3, 12, 200)
    loss, right, _ = m.predict(x)
    z = m.encoder.local(x)
    c = m.encoder(x)
    slow = torch.zeros(3)
    for t_ahead in (1, 2):
        guesses = torch.stack([m.predictors[t_ahead - 1](c[:, t]) for t in range(100 - t_ahead)], dim=1)
        truths = torch.stack([z[:, t + t_ahead] for t in range(100 - t_ahead)], dim=1)
        slow += contrastive_prediction(prediction_similarities(guesses, truths)) / 2
    torch.testing.assert_close(loss, slow)
    assert bool(((right >= 0) & (right <= 1)).all())


def test_it_learns_what_comes_next(specs, cohort, tmp_path) -> None:
    torch.manual_seed(0)
    m = Cpc(causal(specs["ecg"], token_rate_hz=25.0), steps=2)
    data = cohort(size=32, gaps=False, modalities=("ecg",))
    settings = TrainingSettings(steps=30, batch_size=16, learning_rate=5e-3, accelerator="cpu", round_steps=10)
    history = learn(m, data, data, settings, seed=0, work=tmp_path, title="cpc")
    assert history.rows[-1]["validation_loss"] < history.rows[0]["validation_loss"] - 0.1
    assert history.rows[-1]["validation_right"] > 2 / 50


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0])
def test_any_rate(specs, rate_hz) -> None:
    spec = replace(specs["ecg"], shape=(12, round(2 * rate_hz)), rate_hz=rate_hz)
    loss, _, context = Cpc(causal(spec), steps=2).predict(torch.randn(2, 12, round(2 * rate_hz)))
    assert bool(loss.isfinite().all())
    assert context.shape == (2, 16)


def test_the_spread_shows_a_collapse(method, cohort) -> None:
    m = method("cpc").eval()
    batch = cohort(size=12, gaps=False).batch(range(12))
    healthy = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})["spread"]
    torch.nn.init.zeros_(m.encoder.norm.weight)
    torch.nn.init.normal_(m.encoder.norm.bias)
    collapsed = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})["spread"]
    assert collapsed < 1e-3 < healthy
    assert np.isfinite(healthy)


def test_what_cannot_be_predicted_is_refused(encoder, specs) -> None:
    assert isinstance(causal(specs["ecg"]), SequenceEncoder)
    for unfit in (encoder("ecg"), S4(specs["ecg"], width=8)):
        with pytest.raises(ConfigError, match="causal"):
            Cpc(unfit)
    with pytest.raises(ConfigError, match="range"):
        Cpc(causal(specs["ecg"]), steps=0)
    with pytest.raises(ConfigError, match="short"):
        Cpc(causal(specs["ecg"]), steps=40, crop_s=0.5).predict(torch.randn(1, 12, 50))
