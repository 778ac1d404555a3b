"""Settings, schedule and optimiser."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cardiobind.errors import ConfigError, TrainingError
from cardiobind.training import TrainingSettings, decay_groups, learning_rate_factor
from cardiobind.training.optimiser import build_optimiser, clip_gradient, set_learning_rate


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "epochs, steps"),
        ({"epochs": 1, "steps": 1}, "epochs, steps"),
        ({"epochs": 0}, "epochs"),
        ({"steps": 3, "batch_size": 0}, "batch_size"),
        ({"steps": 3, "learning_rate": 0.0}, "learning_rate"),
        ({"steps": 3, "learning_rate": math.nan}, "learning_rate"),
        ({"steps": 3, "weight_decay": math.nan}, "weight_decay"),
        ({"steps": 3, "warmup_fraction": 1.1}, "warmup_fraction"),
        ({"steps": 3, "betas": (0.9, 1.0)}, "betas"),
        ({"steps": 3, "checkpoints_kept": 1}, "checkpoints_kept"),
        ({"steps": 3, "schedule": "cosin"}, "schedule"),
        ({"steps": 3, "precision": "16-mixed"}, "precision"),
    ],
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ConfigError, match=field):
        TrainingSettings(**settings)


def test_length_is_in_steps_or_epochs():
    assert TrainingSettings(steps=7).total_steps(5) == 7
    assert TrainingSettings(epochs=3).total_steps(5) == 15


def test_schedule_has_its_closed_form():
    settings = TrainingSettings(steps=100, warmup_fraction=0.1)
    factors = [learning_rate_factor(step, 100, settings) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert learning_rate_factor(70, 100, TrainingSettings(steps=1, schedule="constant")) == 1.0


@given(total=st.integers(1, 500), warmup=st.floats(0, 1), data=st.data())
def test_schedule_stays_in_its_range(total, warmup, data):
    step = data.draw(st.integers(0, total - 1))
    assert 0 < learning_rate_factor(step, total, TrainingSettings(steps=total, warmup_fraction=warmup)) <= 1


def test_vectors_are_not_decayed_and_frozen_weights_are_left_out():
    net = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    net[2].requires_grad_(False)
    decayed, plain = decay_groups(net.parameters(), learning_rate=0.1, weight_decay=0.2)
    assert decayed["params"] == [net[0].weight]
    assert decayed["weight_decay"] == 0.2
    assert [id(p) for p in plain["params"]] == [id(p) for p in (net[0].bias, net[1].weight, net[1].bias)]
    assert plain["weight_decay"] == 0.0


def test_nothing_to_train_is_an_error():
    with pytest.raises(TrainingError, match="no weights"):
        build_optimiser([], TrainingSettings(steps=1))


def test_groups_keep_their_proportion():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimiser = build_optimiser([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.01}], TrainingSettings(steps=1))
    set_learning_rate(optimiser, 0.5)
    set_learning_rate(optimiser, 0.2)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.02, 0.002])


def test_gradient_is_clipped_to_its_norm():
    parameters = [nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2))]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0, 0]), torch.tensor([0, 4.0])
    assert clip_gradient(parameters, None).item() == pytest.approx(5.0)
    assert parameters[1].grad[1] == 4.0
    assert clip_gradient(parameters, 1.0).item() == pytest.approx(5.0)
    assert parameters[1].grad[1].item() == pytest.approx(0.8, rel=1e-5)
