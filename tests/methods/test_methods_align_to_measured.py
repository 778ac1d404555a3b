"""ECG and table that learn to tell what is measured in the cine: against a slow loop, with gaps, and what rests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import AlignToMeasured
from cardiobind.modalities.cmr.measurements import OF_SLICE
from cardiobind.training import TrainingSettings

K = len(OF_SLICE)


@pytest.fixture
def to_measured(towers):
    return lambda **options: AlignToMeasured(towers(), corruption=0.0, **options)


def measured(batch, seed=0):
    """Return the batch with measurements of which some are unknown, all of them of who has no cine."""
    labels = torch.randn(batch.size, K, generator=torch.Generator().manual_seed(seed))
    labels[~batch.present["cmr"]] = torch.nan
    labels[::5, 3:9] = torch.nan
    return dataclasses.replace(batch, labels=labels)


def slow_loss(m, batch):
    """Mean over ECG and table of the mean over subjects and known measurements, one at a time."""
    means = []
    for name in ("ecg", "tabular"):
        x = m.views.fixed(name, batch.signals[name])[0]
        told = m.heads[name](m.towers[name](x))
        errors = [
            (told[place, k] - batch.labels[subject, k]) ** 2
            for place, subject in enumerate(batch.present[name].nonzero().flatten().tolist())
            for k in range(K)
            if torch.isfinite(batch.labels[subject, k])
        ]
        means.append(torch.stack(errors).mean())
    return torch.stack(means).mean()


def test_the_loss_is_the_slow_one(to_measured, cohort):
    m, batch = to_measured().eval(), measured(cohort().batch(np.arange(12)))
    torch.testing.assert_close(m.training_step(batch).loss, slow_loss(m, batch))


def test_validation_is_the_loss_of_all_subjects_whatever_the_batches(to_measured, cohort):
    m, batch = to_measured().eval(), measured(cohort(gaps=False).batch(np.arange(24)))
    whole = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})
    per_column = []
    for name in ("ecg", "tabular"):
        told = m.evaluate_batch(batch)[f"told_{name}"].detach().numpy()
        there = np.isfinite(batch.labels.numpy())
        error = np.where(there, (told - batch.labels.numpy()) ** 2, 0).sum(0) / there.sum(0)
        per_column.append(error.mean())
        spread = np.nanvar(np.where(there, batch.labels.numpy(), np.nan), axis=0)
        assert whole[f"r2_{name}"] == pytest.approx(np.maximum(-1, 1 - error / spread).mean(), rel=1e-4)
    assert whole["loss"] == pytest.approx(np.mean(per_column), rel=1e-4)


def test_who_lacks_the_ecg_tells_nothing_by_it(to_measured, cohort):
    m, batch = to_measured().eval(), measured(cohort().batch(np.arange(12)))
    told = m.evaluate_batch(batch)["told_ecg"]
    assert torch.equal(told.isfinite().all(dim=1), batch.present["ecg"])


def test_without_a_cine_among_them_nothing_is_learnt(to_measured, cohort):
    m, data = to_measured(), cohort()
    data.present["cmr"][:] = False
    step = m.training_step(measured(data.batch(np.arange(6))))
    step.loss.backward()
    assert step.loss.item() == 0.0
    assert not any(p.grad.any() for p in m.heads.parameters())


def test_the_tower_of_the_cine_rests(to_measured, cohort):
    m = to_measured()
    m.training_step(measured(cohort().batch(np.arange(12)))).loss.backward()
    assert all(p.grad is None for p in m.towers["cmr"].parameters())
    grouped = {id(p) for g in m.parameter_groups(TrainingSettings(steps=4, batch_size=8)) for p in g["params"]}
    assert not grouped & {id(p) for p in m.towers["cmr"].parameters()}
    assert {id(p) for p in m.towers["ecg"].parameters()} <= grouped


def test_subjects_need_a_cine_and_another(to_measured):
    present = {
        "ecg": np.array([True, False, False, True]),
        "cmr": np.array([True, True, True, False]),
        "tabular": np.array([True, True, False, True]),
    }
    assert to_measured().usable(present).tolist() == [True, True, False, False]


def test_an_ecg_learns_what_drives_the_cine(to_measured, cohort):
    m, data = to_measured(), cohort(size=64, gaps=False)
    batch = data.batch(np.arange(64))
    state = batch.signals["cmr"].mean(dim=(1, 2, 3))
    batch = dataclasses.replace(batch, labels=((state - state.mean()) / state.std())[:, None].repeat(1, K))
    optimiser = torch.optim.Adam([p for p in m.parameters() if p.requires_grad], lr=5e-3)
    torch.manual_seed(0)
    for _ in range(60):
        optimiser.zero_grad()
        m.training_step(batch).loss.backward()
        optimiser.step()
    m.eval()
    scores = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})
    assert scores["r2_ecg"] > 0.5
    assert scores["r2_tabular"] > 0.5


def test_labels_of_another_kind_are_refused(to_measured, cohort):
    with pytest.raises(InputError, match="no measurements"):
        to_measured().training_step(cohort().batch(np.arange(4)))


@pytest.mark.parametrize("modalities", [("ecg", "tabular"), ("cmr",)])
def test_without_a_cine_or_another_there_is_nothing_to_learn(towers, modalities):
    with pytest.raises(ConfigError, match="the cine and another"):
        AlignToMeasured(towers(modalities))
