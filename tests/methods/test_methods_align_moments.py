"""Local alignment over the moments of the heart beat."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import AlignAllPairs
from cardiobind.methods.align.moments import kept_statistics, moment_phases, still_hearts, token_weights
from cardiobind.modalities.ecg.beat_phase import beat_phases
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MeanPool, Tower, build_encoder
from cardiobind.objectives import moment_contrast

FRAMES = ("end_systole", "mid_beat", "end_diastole")
RATE_HZ = 100.0


def spikes(beat_s: float = 0.8, seconds: float = 5.0, first_s: float = 0.3) -> np.ndarray:
    """Return an ECG (12, samples) of narrow R waves and broad T waves."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    since = (time - first_s + 0.1) % beat_s - 0.1
    wave = np.exp(-0.5 * (since / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((since - 0.3) / 0.05) ** 2)
    return np.outer(np.linspace(0.5, 1.5, 12), wave)


def test_phases_run_from_one_r_peak_to_the_next() -> None:
    ecg = spikes()
    samples = np.arange(0, 500, 7.0)
    phase = beat_phases(ecg, RATE_HZ, samples)
    expected = (samples / RATE_HZ - 0.3) / 0.8
    inside = np.isfinite(phase)
    away = np.abs(phase[inside] - expected[inside] % 1.0)
    assert np.minimum(away, 1 - away).max() < 0.05
    assert not inside[samples < 25].any()
    assert inside.sum() > 55
    assert np.isnan(beat_phases(np.zeros((12, 500)), RATE_HZ, samples)).all()


def slow_contrast(a, b, there, t):
    total, count = 0.0, 0
    for i in range(len(a)):
        kept = [k for k in range(a.shape[1]) if there[i, k]]
        if len(kept) < 2:
            continue
        u, v = (x[i] / np.linalg.norm(x[i], axis=1, keepdims=True) for x in (a, b))
        for k in kept:
            for x, y in ((u, v), (v, u)):
                total += math.log(sum(math.exp(x[k] @ y[m] / t) for m in kept)) - x[k] @ y[k] / t
            count += 2
    return total / count if count else 0.0


@pytest.mark.parametrize("seed", range(6))
def test_the_contrast_is_the_slow_one(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 5, 4, 3, dtype=torch.float64, generator=random)
    there = torch.rand(5, 4, generator=random) < 0.6
    expected = slow_contrast(a.numpy(), b.numpy(), there.numpy(), 0.3)
    assert float(moment_contrast(a, b, there, 0.3)) == pytest.approx(expected, rel=1e-9)


def test_the_contrast_has_closed_forms_and_edges() -> None:
    same, there = torch.ones(4, 3, 5), torch.ones(4, 3, dtype=torch.bool)
    assert float(moment_contrast(same, same, there)) == pytest.approx(math.log(3), rel=1e-5)
    eye = torch.eye(3).expand(4, -1, -1)
    assert float(moment_contrast(eye, eye, there, 0.5)) == pytest.approx(math.log(math.exp(2) + 2) - 2, rel=1e-5)
    z = torch.randn(4, 3, 5, requires_grad=True)
    for nobody in (torch.zeros_like(there), torch.eye(3, dtype=torch.bool)[[0, 1, 2, 0]]):
        loss = moment_contrast(z, same, nobody)
        loss.backward()
        assert loss.item() == 0.0
    assert z.grad is not None
    assert float(z.grad.abs().sum()) == 0.0
    assert moment_contrast(z[:0], same[:0], there[:0]).item() == 0.0
    with pytest.raises(InputError, match="moments"):
        moment_contrast(same, same[:, :2], there)


def test_hearts_stand_still_place_by_place() -> None:
    x = torch.arange(2 * 6.0).reshape(2, 6, 1, 1).expand(-1, -1, 2, 2)
    stopped = still_hearts(x, 3)
    assert stopped.shape == (6, 6, 2, 2)
    values = stopped[:, :, 0, 0].tolist()
    assert values[0] == [0, 0, 0, 3, 3, 3]
    assert values[2] == [2, 2, 2, 5, 5, 5]
    assert values[4] == [7, 7, 7, 10, 10, 10]


def test_moments_of_the_layouts_have_their_phases() -> None:
    assert moment_phases(InputSpec("cmr", (3, 8, 8), names=FRAMES)) == (0.38, 0.19, 0.0)
    video = tuple(f"{place}.phase_{k}" for place in ("basal", "mid") for k in range(4))
    assert moment_phases(InputSpec("cmr", (8, 8, 8), names=video)) == (0.0, 0.25, 0.5, 0.75)
    with pytest.raises(ConfigError, match="moments"):
        moment_phases(InputSpec("cmr", (3, 8, 8), names=("a", "b", "c")))


def test_tokens_speak_for_the_moments_they_lie_near() -> None:
    ecg = torch.from_numpy(np.stack([spikes(), np.zeros((12, 500))])).float()
    weight = token_weights(ecg, 50, RATE_HZ, (0.0, 0.38, 0.75))
    assert weight.shape == (2, 3, 50)
    assert weight[0].sum(dim=1).tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert float(weight[1].abs().sum()) == 0.0
    time = (torch.arange(50) + 0.5) / 10
    for k, phase in enumerate((0.0, 0.38, 0.75)):
        heard = weight[0, k] > 0.01
        away = ((time[heard] - 0.3) / 0.8 - phase + 0.5) % 1.0 - 0.5
        assert away.abs().max() < 0.2
    assert token_weights(ecg[:0], 50, RATE_HZ, (0.0, 0.5)).shape == (0, 2, 50)


def test_running_statistics_are_those_of_beating_hearts() -> None:
    network = torch.nn.BatchNorm2d(3)
    before = network.running_mean.clone()
    with kept_statistics(network):
        network(torch.randn(4, 3, 5, 5) + 7)
    assert torch.equal(network.running_mean, before)
    network(torch.randn(4, 3, 5, 5) + 7)
    assert not torch.equal(network.running_mean, before)


def build(**options):
    torch.manual_seed(0)
    ecg = InputSpec("ecg", (12, 500), rate_hz=RATE_HZ)
    cmr = InputSpec("cmr", (3, 32, 32), names=FRAMES)
    towers = {
        "ecg": Tower(build_encoder("vit", ecg, patch=(6, 10), width=16, depth=1, heads=2, drop_path=0.0), MeanPool()),
        "cmr": Tower(build_encoder("resnet", cmr, depth=10, base_width=4, stem="small"), MeanPool()),
    }
    return AlignAllPairs(towers, projection=8, **options)


def batch_of(size: int = 8):
    from cardiobind.data import Batch

    random = torch.Generator().manual_seed(0)
    ecg = torch.from_numpy(np.stack([spikes(0.7 + 0.05 * i) for i in range(size)])).float()
    present = {"ecg": torch.arange(size + 2) < size, "cmr": torch.arange(size + 2) >= 2}
    cmr = torch.randn(size, 3, 32, 32, generator=random)
    return Batch(torch.arange(size + 2), {"ecg": ecg, "cmr": cmr}, present)


def test_a_step_adds_the_local_contrast_of_who_has_both() -> None:
    method, batch = build(phase_weight=0.5, crop_s=4.0).train(), batch_of()
    before = method.towers["cmr"].encoder.bn1.running_mean.clone()
    step = method.training_step(batch)
    assert step.loss.item() == pytest.approx(
        (step.logs["loss_ecg~cmr"] + 0.5 * step.logs["loss_phase"]).item(), rel=1e-6
    )
    step.loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in method.parameters())
    assert not torch.equal(method.towers["cmr"].encoder.bn1.running_mean, before)
    alone = batch_of(1)
    assert method.training_step(alone).loss.item() == 0.0


def test_the_local_loss_is_that_of_its_parts() -> None:
    method, batch = build(phase_weight=1.0).eval(), batch_of()
    with torch.no_grad():
        found = method.local_loss(batch).item()
        ecg, cmr = batch.signals["ecg"][2:], batch.signals["cmr"][:6]
        tokens = method.towers["ecg"].encoder(ecg).reshape(6, 2, 50, 16).mean(1)
        a, b = torch.zeros(6, 3, 8), torch.zeros(6, 3, 8)
        for i in range(6):
            phase = beat_phases(ecg[i].numpy(), RATE_HZ, (np.arange(50) + 0.5) * 10)
            for k, at in enumerate((0.38, 0.19, 0.0)):
                away = np.abs((phase - at + 0.5) % 1.0 - 0.5)
                weight = torch.from_numpy(np.nan_to_num(np.exp(-0.5 * (away / 0.05) ** 2))).float()
                a[i, k] = method.heads["ecg"]((weight / weight.sum()) @ tokens[i])
                still = cmr[i, k].expand(1, 3, -1, -1)
                b[i, k] = method.heads["cmr"](method.towers["cmr"](still))[0]
    assert found == pytest.approx(slow_contrast(a.numpy(), b.numpy(), np.ones((6, 3)), 0.1), rel=1e-4)


def test_the_local_contrast_teaches_the_moment_of_the_beat() -> None:
    """Images whose brightness is the moment: after a few steps the ECG's tokens know where in the beat they are."""
    method, batch = build(phase_weight=1.0, augment_probability=0.0), batch_of(6)
    batch.signals["cmr"][:] = torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    optimiser = torch.optim.AdamW(method.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = method.local_loss(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * math.log(3) < losses[0]


def test_phases_need_ecg_and_images(towers) -> None:
    for bad in (-1.0, float("inf")):
        with pytest.raises(ConfigError, match="phase"):
            build(phase_weight=bad)
    with pytest.raises(ConfigError, match="phase"):
        AlignAllPairs(towers(("ecg", "tabular")), phase_weight=1.0)
