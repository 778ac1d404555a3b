"""Signals that learn to tell the table: against a slow loop, with gaps, and with rows that lack something."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cardiobind.errors import ConfigError
from cardiobind.training import TrainingSettings


@pytest.fixture
def to_table(method):
    return lambda **options: method("align_to_table", augment_probability=0.0, **options)


def slow_loss(m, batch):
    """Mean over signals of the mean over subjects and observed entries, one entry at a time."""
    table, rows = batch.signals["tabular"], batch.present["tabular"].nonzero().flatten().tolist()
    means = []
    for name in ("ecg", "cmr"):
        errors = []
        for place, subject in enumerate(batch.present[name].nonzero().flatten().tolist()):
            if subject not in rows:
                continue
            entry = table[rows.index(subject)]
            x = m.views.fixed(name, batch.signals[name])[0]
            numbers, logits = m.decoders[name](m.towers[name](x)[place][None, None])
            for k, slot in ((0, 0), (1, 1), (2, 2)):
                if entry[k, 1]:
                    errors.append((numbers[0, slot] - entry[k, 0]) ** 2)
            for k, slot in ((3, 0), (4, 1)):
                if entry[k, 1]:
                    errors.append(F.cross_entropy(logits[0, slot][None], entry[k, 0].long()[None]))
        means.append(torch.stack(errors).mean())
    return torch.stack(means).mean()


def test_the_loss_is_the_slow_one(to_table, cohort):
    m, data = to_table().eval(), cohort()
    data.present["tabular"][::3] = False
    batch = data.batch(np.arange(12))
    torch.testing.assert_close(m.training_step(batch).loss, slow_loss(m, batch))


def test_validation_is_the_loss_of_all_subjects_whatever_the_batches(to_table, cohort):
    m, data = to_table().eval(), cohort(gaps=False, modalities=("ecg", "cmr", "tabular"))
    whole = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(data.batch(np.arange(24))).items()})
    parts = [m.evaluate_batch(data.batch(i)) for i in (np.arange(7), np.arange(7, 24))]
    joint = m.summarise({k: torch.cat([p[k] for p in parts]).detach().numpy() for k in parts[0]})
    assert joint == pytest.approx(whole, rel=1e-5)
    assert whole["loss"] == pytest.approx(m.training_step(data.batch(np.arange(24))).loss.item(), rel=1e-5)
    assert {"loss_ecg", "squared_error_cmr", "accuracy_ecg"} <= set(whole)


def test_what_is_missing_is_no_target(to_table, cohort):
    m, data = to_table().eval(), cohort()
    before = m.training_step(data.batch(np.arange(12))).loss
    data.signals["tabular"][..., 0] += 9.0 * (data.signals["tabular"][..., 1] == 0) * np.array([1, 1, 1, 0, 0])
    assert torch.equal(m.training_step(data.batch(np.arange(12))).loss, before)


def test_the_tower_of_the_table_rests(to_table, cohort):
    m = to_table()
    m.training_step(cohort().batch(np.arange(12))).loss.backward()
    assert all(p.grad is None for p in m.towers["tabular"].parameters())
    settings = TrainingSettings(steps=4, batch_size=8)
    grouped = {id(p) for group in m.parameter_groups(settings) for p in group["params"]}
    assert not grouped & {id(p) for p in m.towers["tabular"].parameters()}


def test_subjects_need_a_table_and_a_signal(to_table):
    present = {
        "ecg": np.array([True, False, False, True]),
        "cmr": np.array([False, True, False, True]),
        "tabular": np.array([True, True, True, False]),
    }
    assert to_table().usable(present).tolist() == [True, True, False, False]


@pytest.mark.slow
def test_a_signal_learns_what_the_table_says(to_table, cohort):
    m, data = to_table(), cohort(size=64)
    optimiser = torch.optim.Adam([p for p in m.parameters() if p.requires_grad], lr=3e-3)
    torch.manual_seed(0)
    for _ in range(40):
        loss = m.training_step(data.batch(np.arange(64))).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    m.eval()
    x = torch.from_numpy(data.signals["cmr"])
    with torch.no_grad():
        told = m.decoders["cmr"](m.towers["cmr"](x)[:, None])[0][:, 0].numpy()
    state = np.array([c.mean() for c in data.signals["cmr"]])
    assert np.corrcoef(told, state)[0, 1] > 0.6


@pytest.mark.parametrize("modalities", [("ecg", "cmr"), ("tabular",)])
def test_without_a_table_or_a_signal_there_is_nothing_to_learn(towers, modalities):
    from cardiobind.methods import AlignToTable

    with pytest.raises(ConfigError, match="table and a signal"):
        AlignToTable(towers(modalities))
