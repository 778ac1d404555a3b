"""The running average of a network's weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cardiobind.models import AveragedWeights, averaging_decay


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def test_it_is_the_slow_average() -> None:
    net = network()
    teacher, expected = AveragedWeights(net), net[0].weight.detach().clone()
    for step in range(5):
        with torch.no_grad():
            net[0].weight += torch.randn(4, 3)
            net[1].running_mean += 1.0
        teacher.update(net, 0.8)
        expected = 0.8 * expected + 0.2 * net[0].weight.detach()
        del step
    torch.testing.assert_close(teacher.get_buffer("0/weight"), expected)
    torch.testing.assert_close(teacher.get_buffer("1/running_mean"), torch.full((4,), 5.0))


def test_it_computes_with_its_own_weights_and_changes_nothing() -> None:
    net, other, x = network(), network(), torch.randn(5, 3)
    teacher = AveragedWeights(net)
    with torch.no_grad():
        net[0].weight.zero_()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.testing.assert_close(teacher.apply_to(net.eval(), x), other.eval()(x))
    kept = {name: value.clone() for name, value in teacher.state_dict().items()}
    teacher.apply_to(net.train(), x)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(value, kept[name]) for name, value in teacher.state_dict().items())
    assert not teacher.apply_to(net, x).requires_grad


def test_a_checkpoint_holds_it_and_no_optimiser_sees_it() -> None:
    net = network()
    teacher = AveragedWeights(net)
    assert not list(teacher.parameters())
    with torch.no_grad():
        net[3].bias += 1.0
    restored = AveragedWeights(net)
    restored.load_state_dict(teacher.state_dict())
    assert torch.equal(restored.get_buffer("3/bias"), teacher.get_buffer("3/bias"))


def test_at_first_it_is_the_plain_mean() -> None:
    values, mean = torch.randn(6), 0.0
    for step, value in enumerate(values.tolist()):
        decay = averaging_decay(step, 0.99)
        mean = decay * mean + (1 - decay) * value
    assert mean == pytest.approx(float(values.mean()), abs=1e-6)
    assert averaging_decay(10_000, 0.99) == 0.99
