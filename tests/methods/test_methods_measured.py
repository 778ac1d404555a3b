"""Learning to measure: the loss against a loop, what is unknown, and that it finds what drives the signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cardiobind.data import Batch
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import Measured, learn
from cardiobind.modalities.cmr.measurements import OF_SLICE
from cardiobind.modalities.ecg.measurement_targets import TARGETS
from cardiobind.training import TrainingSettings

K = len(TARGETS)


def batch(labels, ecg, present):
    n = len(present)
    return Batch(torch.arange(n), {"ecg": ecg}, {"ecg": torch.tensor(present)}, labels)


def test_the_loss_is_the_mean_squared_error_of_what_was_measured(encoder):
    torch.manual_seed(0)
    m = Measured(encoder("ecg")).eval()
    ecg, labels = torch.randn(3, 12, 200), torch.randn(4, K)
    labels[0, 3:] = torch.nan
    labels[2] = torch.nan
    step = m.training_step(batch(labels, ecg, [True, False, True, True]))
    told = m.head(m.tower(ecg)).detach().numpy()
    errors = [
        (told[row, k] - labels[who, k].item()) ** 2
        for row, who in enumerate([0, 2, 3])
        for k in range(K)
        if np.isfinite(labels[who, k].item())
    ]
    assert step.loss.item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_nothing_measured_teaches_nothing(encoder):
    m = Measured(encoder("ecg"))
    step = m.training_step(batch(torch.full((2, K), torch.nan), torch.randn(2, 12, 200), [True, True]))
    step.loss.backward()
    assert step.loss.item() == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in m.parameters())


def test_the_share_of_variance_explained_by_hand(encoder):
    m = Measured(encoder("ecg"))
    measured, told = np.full((4, K), np.nan), np.zeros((4, K))
    measured[:, 0], told[:, 0] = [1, 2, 3, 4], [1, 2, 3, 4]
    measured[:, 1], told[:, 1] = [0, 1, 0, 1], [0.5] * 4
    measured[:3, 2], told[:, 2] = [5, 5, 5], [1] * 4
    measured[:, 3], told[:, 3] = [0, 1, 0, 1], [100] * 4
    found = m.summarise({"told": told, "measured": measured})
    assert found["r2"] == pytest.approx((1 + 0 - 1) / 3)


def test_it_learns_the_amplitude_of_a_wave(encoder, tmp_path):
    class Waves:
        """ECGs of which lead II has a wave of varying height, which every target tells."""

        def __init__(self, seed):
            g = np.random.default_rng(seed)
            self.height = g.normal(size=64).astype(np.float32)
            self.ecg = (0.1 * g.normal(size=(64, 12, 200))).astype(np.float32)
            self.ecg[:, 1, ::20] += 3 * self.height[:, None]
            self.present = {"ecg": np.ones(64, bool)}

        def __len__(self):
            return 64

        def batch(self, rows):
            i = np.asarray(rows)
            labels = torch.from_numpy(np.repeat(self.height[i, None], K, 1))
            return batch(labels, torch.from_numpy(self.ecg[i]), [True] * len(i))

    torch.manual_seed(0)
    settings = TrainingSettings(steps=60, round_steps=60, batch_size=32, accelerator="cpu", learning_rate=5e-3)
    history = learn(Measured(encoder("ecg")), Waves(0), Waves(1), settings, seed=0, work=tmp_path, title="measured")
    assert history.rows[-1]["validation_r2"] > 0.8


def test_labels_of_another_kind_are_refused(encoder):
    m = Measured(encoder("ecg"))
    for labels in (None, torch.zeros(2), torch.zeros(2, 3)):
        with pytest.raises(InputError, match="no measurements"):
            m.training_step(batch(labels, torch.zeros(2, 12, 200), [True, True]))


def test_of_cines_it_learns_what_is_measured_in_a_cine(encoder, tmp_path):
    class Pools:
        """Cines with a bright square, whose size every target tells."""

        def __init__(self, seed):
            g = np.random.default_rng(seed)
            self.half = g.integers(3, 12, 64)
            self.cmr = (0.1 * g.normal(size=(64, 3, 32, 32)) - 1).astype(np.float32)
            for cine, half in zip(self.cmr, self.half, strict=True):
                cine[:, 16 - half : 16 + half, 16 - half : 16 + half] += 2
            self.present = {"cmr": np.ones(64, bool)}

        def __len__(self):
            return 64

        def batch(self, rows):
            i = np.asarray(rows)
            labels = torch.from_numpy(np.repeat((self.half[i, None] - 7) / 2.6, len(OF_SLICE), 1)).float()
            return Batch(torch.from_numpy(i), {"cmr": torch.from_numpy(self.cmr[i])},
                         {"cmr": torch.ones(len(i), dtype=torch.bool)}, labels)  # fmt: skip

    torch.manual_seed(0)
    method = Measured(encoder("cmr"))
    assert method.modalities == ("cmr",)
    assert method.head.out_features == len(OF_SLICE)
    settings = TrainingSettings(steps=40, round_steps=40, batch_size=32, accelerator="cpu", learning_rate=5e-3)
    history = learn(method, Pools(0), Pools(1), settings, seed=0, work=tmp_path, title="measured")
    assert history.rows[-1]["validation_r2"] > 0.8
    with pytest.raises(InputError, match="no measurements"):
        method.training_step(Batch(torch.arange(2), {"cmr": torch.zeros(2, 3, 32, 32)},
                                   {"cmr": torch.ones(2, dtype=torch.bool)}, torch.zeros(2, K)))  # fmt: skip


def test_it_is_for_signals(encoder):
    with pytest.raises(ConfigError, match="not defined"):
        Measured(encoder("tabular"))
