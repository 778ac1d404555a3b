"""Masked autoencoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.methods import Masked, learn
from cardiobind.training import TrainingSettings


def test_validation_is_the_correlation_of_reconstruction_and_signal(method, cohort):
    m = method("masked").eval()
    data = cohort(size=6, gaps=False)
    batch = data.batch(range(6))
    torch.manual_seed(3)
    got = m.evaluate_batch(batch)["ncc"]
    signal = batch.signals["ecg"][:, :, 50:150]
    torch.manual_seed(3)
    seen, hidden = m.reconstruct(signal)
    expected = [np.mean([np.corrcoef(seen[i, j], signal[i, j])[0, 1] for j in range(12)]) for i in range(6)]
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=1e-5)
    assert hidden.shape == signal.shape
    assert set(hidden.unique().tolist()) == {0.0, 1.0}
    assert hidden.mean().item() == pytest.approx(0.8)


def test_it_learns_to_reconstruct(method, cohort, tmp_path):
    m = method("masked", mask_ratio=0.5, augment_probability=0.0, crop_s=None)
    data = cohort(size=64, gaps=False, modalities=("ecg",))
    settings = TrainingSettings(steps=120, batch_size=32, learning_rate=5e-3, accelerator="cpu", round_steps=40)
    history = learn(m, data, data, settings, seed=0, work=tmp_path, title="masked")
    assert history.best_value > history.rows[0]["validation_ncc"] + 0.1
    assert history.best_value > 0.4


def test_the_encoder_given_holds_the_learnt_weights(encoder, cohort, tmp_path):
    vit = encoder("ecg")
    before = vit.blocks[0].attn.qkv.weight.clone()
    m = Masked(vit, decoder_width=16, decoder_depth=1, decoder_heads=2, crop_s=1.0)
    data = cohort(size=16, gaps=False, modalities=("ecg",))
    settings = TrainingSettings(steps=2, batch_size=8, accelerator="cpu")
    learn(m, data, None, settings, seed=0, work=tmp_path, title="masked")
    assert m.mae.encoder is vit
    assert not torch.equal(before, vit.blocks[0].attn.qkv.weight)


def test_other_encoders_and_crops_that_cut_a_patch_are_refused(encoder):
    with pytest.raises(ConfigError, match="ViT"):
        Masked(encoder("tabular"))
    with pytest.raises(ConfigError, match="crop"):
        Masked(encoder("ecg"), crop_s=1.1)
