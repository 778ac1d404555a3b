"""Attributions change when the weights of the network do (Adebayo et al. 2018), on a small trained network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from cardiobind.explain.signals import METHODS, Signal


def trained(seed: int) -> nn.Sequential:
    """Return a network that has learnt to tell whether the second quarter of a signal is raised."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 1)).double()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(60):
        x, y = examples(64)
        loss = nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network


def examples(count: int) -> tuple[Tensor, Tensor]:
    y = (torch.rand(count) > 0.5).double()
    x = torch.randn(count, 1, 8, 8).double()
    x[:, :, 2:4] += 1.5 * y[:, None, None, None]
    return x, y


def attributions(network: nn.Sequential, x: Tensor, method: str) -> np.ndarray:  # type: ignore[type-arg]
    signal = Signal("cmr", x.clone().requires_grad_(), torch.zeros_like(x), lambda rows: network(rows)[:, 0])
    return np.asarray(METHODS.get(method)(signal, 16).values)


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_x_input", "occlusion"])
def test_they_find_what_was_learnt_and_forget_it_with_the_weights(method: str) -> None:
    network = trained(0)
    x = torch.zeros(1, 1, 8, 8).double() + 1.5
    found = attributions(network, x, method)[0]
    assert found[2:4].mean() > 5 * abs(found[[0, 1, 4, 5, 6, 7]].mean())
    kept = [spearmanr(found.ravel(), found.ravel()).statistic]
    for layer in (3, 1):
        torch.manual_seed(9)
        network[layer].reset_parameters()  # type: ignore[operator]
        kept.append(spearmanr(found.ravel(), attributions(network, x, method)[0].ravel()).statistic)
    assert kept[0] == pytest.approx(1.0)
    assert abs(kept[-1]) < 0.35
