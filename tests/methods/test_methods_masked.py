"""Masked autoencoding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.methods import Masked, learn
from cardiobind.methods.augment_ecg import EcgAugmentation, absent_leads, drop_leads, standardise_groups
from cardiobind.modalities.ecg import normalise_by_lead_group
from cardiobind.models import build_encoder
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
    with pytest.raises(ConfigError, match="negative"):
        Masked(encoder("ecg"), similarity_weight=-0.1)


def slow_step(m, signal, masking):
    """Return the paper's loss as it is written: embed all, keep the visible, put the signal together."""
    vit, patches = m.mae.encoder, m.mae.encoder.patchify(signal)
    visible = vit.embed(patches).gather(1, masking.visible[..., None].expand(-1, -1, vit.width))
    prediction = m.mae.forward_decoder(vit.encode(visible), masking)
    whole, loss = m.mae.unpatchify(prediction), 0.0
    for i in range(len(signal)):
        r = [np.corrcoef(whole[i, j].detach(), signal[i, j])[0, 1] for j in range(12)]
        loss += 0.9 * (whole[i] - signal[i]).square().mean().item() + 0.1 * (1 - np.mean(r))
    return loss / len(signal)


def test_the_loss_is_the_slow_one(method, cohort):
    m = method("masked", augment_probability=0.0, crop_s=None).eval()
    batch = cohort(size=5, gaps=False).batch(range(5))
    torch.manual_seed(4)
    loss = m.training_step(batch).loss
    torch.manual_seed(4)
    masking = m.mae.random_masking(m.mae.encoder.patchify(batch.signals["ecg"]))
    assert loss.item() == pytest.approx(slow_step(m, batch.signals["ecg"], masking), rel=1e-5)


SMALL = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}


def frames_vit(specs, **options):
    return build_encoder("vit", specs["cmr"], patch=(8, 8), width=16, depth=1, heads=2, **options)


def test_frames_are_learnt_from_their_hidden_patches(specs, cohort):
    m = Masked(frames_vit(specs), augment_probability=0.0, mask_ratio=0.75, **SMALL)
    frames = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    batch = replace(cohort(size=6, gaps=False).batch(range(6)), signals={"cmr": frames})
    torch.manual_seed(1)
    loss = m.training_step(batch).loss
    torch.manual_seed(1)
    seen, hidden = m.reconstruct(frames)
    errors = (seen - frames).square()[hidden == 1]
    assert loss.item() == pytest.approx(errors.mean().item(), rel=1e-5)
    assert hidden.mean().item() == pytest.approx(0.75)
    torch.manual_seed(1)
    ncc = m.eval().evaluate_batch(batch)["ncc"]
    for i in range(6):
        rows = [np.corrcoef(a[h == 1], b[h == 1])[0, 1] for a, b, h in zip(seen[i], frames[i], hidden[i], strict=True)]
        assert ncc[i].item() == pytest.approx(np.mean(rows), abs=1e-5)


def test_normalised_targets_are_the_patches_without_level_and_scale(specs):
    m = Masked(frames_vit(specs), augment_probability=0.0, normalised_targets=True, **SMALL)
    frames = torch.randn(3, 3, 32, 32)
    patches = m.mae.encoder.patchify(frames)
    target = m.target(patches)
    np.testing.assert_allclose(target.mean(dim=2), 0.0, atol=1e-5)
    np.testing.assert_allclose(target.std(dim=2), 1.0, atol=1e-3)
    torch.testing.assert_close(target, m.target(3.0 * patches + 1.0), rtol=1e-4, atol=1e-4)
    assert m.reconstruct(frames)[0].shape == frames.shape


def test_two_views_add_a_cosine_that_reaches_every_weight(method, cohort):
    one, two = method("masked", crop_s=None), method("masked", crop_s=None, similarity_weight=0.1, projection=8)
    assert one.siamese is None
    batch = cohort(size=8, gaps=False).batch(range(8))
    step = two.training_step(batch)
    step.loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in two.parameters())
    assert -1.0 <= step.logs["similarity"].item() <= 1.0
    assert 0.0 < step.logs["spread"].item() < 1.5
    assert torch.isfinite(two.training_step(cohort(size=1, gaps=False).batch([0])).loss)


def test_the_spread_shows_a_collapse(method, cohort):
    m = method("masked", similarity_weight=0.1, projection=8)
    batch = cohort(size=8, gaps=False).batch(range(8))
    healthy = m.training_step(batch).logs["spread"].item()
    with torch.no_grad():
        m.siamese.projector[0].weight.zero_()
    assert m.training_step(batch).logs["spread"].item() < 0.01 < healthy


def test_lost_leads_are_zero_in_every_view_and_one_is_left():
    x = torch.randn(200, 12, 50)
    x[:, 3] = 0.0
    torch.manual_seed(0)
    lost = absent_leads(drop_leads(x, 0.5))[:, :, 0]
    assert bool(lost[:, 3].all())
    left = 12 - lost.sum(dim=1)
    assert left.min() >= 1
    assert (left == 11).float().mean().item() == pytest.approx(0.5 + 0.5 / 11, abs=0.1)
    assert set(left.tolist()) == set(range(1, 12))
    assert drop_leads(x, 0.0) is x
    augmented = EcgAugmentation(1.0)(x)
    assert torch.equal(absent_leads(augmented), absent_leads(x))


def test_a_part_of_the_hidden_patches_makes_the_loss_where_it_is_asked_for(method, cohort):
    m = method("masked", augment_probability=0.0, crop_s=None, mask_ratio=0.5, decode_ratio=0.4)
    batch = cohort(size=5, gaps=False).batch(range(5))
    torch.manual_seed(4)
    step = m.training_step(batch)
    torch.manual_seed(4)
    patches = m.mae.encoder.patchify(batch.signals["ecg"])
    masking = m.mae.random_masking(patches)
    prediction = m.mae.forward_decoder(m.mae.forward_encoder(patches, masking), masking)
    counted = masking.predicted
    assert counted.sum(dim=1).tolist() == [5 + 2] * 5
    error = (prediction - patches).square().mean(dim=2)[counted].mean()
    assert step.loss.item() == pytest.approx((0.9 * error + 0.1 * (1 - step.logs["ncc"])).item(), rel=1e-5)
    step.loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in m.parameters())


def test_what_is_left_of_the_leads_is_as_if_the_lost_ones_had_never_been():
    x = torch.from_numpy(normalise_by_lead_group(np.random.default_rng(0).normal(size=(40, 12, 60)).cumsum(axis=2)))
    torch.manual_seed(0)
    left = drop_leads(x, 1.0)
    expected = normalise_by_lead_group((x * ~absent_leads(left)).numpy())
    np.testing.assert_allclose(left.numpy(), expected, rtol=1e-3, atol=1e-4)
    same = drop_leads(x, 0.3)
    whole = ~absent_leads(same).any(dim=1)[:, 0]
    np.testing.assert_allclose(same[whole].numpy(), x[whole].numpy(), rtol=1e-3, atol=1e-4)
    assert bool(standardise_groups(torch.zeros(2, 12, 5)).isfinite().all())
