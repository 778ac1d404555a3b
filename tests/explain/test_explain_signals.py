"""Attributions of functions whose attributions are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.explain.signals import METHODS, Signal, integrated_gradients
from cardiobind.explain.units import beats, blocks, lead_units, waves
from explain_fakes import beats_of

SHAPE = (1, 12, 200)


def signal_of(score: Callable[[Tensor], Tensor], modality: str = "ecg", shape: tuple[int, ...] = SHAPE) -> Signal:
    rng = np.random.default_rng(0)
    x = (
        torch.from_numpy(beats_of(rng, seconds=2.0)[None])
        if modality == "ecg"
        else torch.from_numpy(rng.normal(size=shape))
    )
    baseline = torch.from_numpy(rng.normal(size=shape))
    return Signal(modality, x.requires_grad_(), baseline, score, 100.0 if modality == "ecg" else None)


def weights_of(shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=shape[1:]))


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_x_input"])
def test_of_a_linear_score_it_is_the_weight_times_the_change(method: str) -> None:
    weights = weights_of()
    signal = signal_of(lambda x: (x * weights).sum(dim=(1, 2)) + 3.0)
    found = METHODS.get(method)(signal, 4).values
    np.testing.assert_allclose(found, ((signal.x - signal.baseline)[0] * weights).detach().numpy(), atol=1e-12)


def test_of_a_quadratic_score_it_is_the_closed_form() -> None:
    """The gradient of sum x² is 2x, whose mean on the way from b to x is x + b."""
    signal = signal_of(lambda x: x.square().sum(dim=(1, 2)))
    x, b = signal.x.detach()[0].numpy(), signal.baseline[0].numpy()
    np.testing.assert_allclose(integrated_gradients(signal, 4).values, (x - b) * (x + b), atol=1e-12)


def slow_integral(w: NDArray[np.float64], v: NDArray[np.float64], x: NDArray[np.float64], b: NDArray[np.float64]):  # type: ignore[no-untyped-def]  # fmt: skip
    """Return the attributions of v · tanh(w x), by the midpoint rule in plain loops."""
    steps, found = 4000, np.zeros_like(x)
    for step in range(steps):
        at = b + (step + 0.5) / steps * (x - b)
        slope = v * (1 - np.tanh(w @ at) ** 2)
        for i in range(len(x)):
            found[i] += (x[i] - b[i]) * float(slope @ w[:, i]) / steps
    return found


def test_it_agrees_with_a_slow_integral_of_a_small_network() -> None:
    rng = np.random.default_rng(5)
    w, v = rng.normal(size=(7, 12)), rng.normal(size=7)
    x, b = rng.normal(size=12), rng.normal(size=12)

    def score(rows: Tensor) -> Tensor:
        return torch.tanh(rows.flatten(1) @ torch.from_numpy(w).T) @ torch.from_numpy(v)

    given, start = (torch.from_numpy(a.reshape(1, 1, 3, 4)) for a in (x, b))
    found = integrated_gradients(Signal("cmr", given.requires_grad_(), start, score), 48)
    np.testing.assert_allclose(found.values.ravel(), slow_integral(w, v, x, b), atol=2e-5)
    assert found.how["complete"]
    assert found.how["sum"] == pytest.approx(float((score(given) - score(start)).detach()), abs=1e-4)


def test_steps_are_doubled_until_the_sum_is_right() -> None:
    signal = signal_of(lambda x: torch.tanh(20 * x[:, 0, :].sum(dim=1)))
    few = integrated_gradients(signal, 2).how
    assert few["steps"] > 2
    never = signal_of(lambda x: (x[:, 0, :].sum(dim=1) > 0).double() + 0 * x.sum(dim=(1, 2)))
    jump = integrated_gradients(never, 2).how
    if abs(jump["difference"]) > 0.5:
        assert not jump["complete"]


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("modality", ["ecg", "cmr"])
def test_what_the_score_ignores_has_nothing(method: str, modality: str) -> None:
    shape = SHAPE if modality == "ecg" else (1, 3, 16, 16)
    signal = signal_of(lambda x: x[:, 1].flatten(1).tanh().sum(dim=1), modality, shape)
    found = METHODS.get(method)(signal, 8).values
    assert found.shape == shape[1:]
    if (modality, method) == ("cmr", "wave_occlusion"):  # a square is hidden in all planes at once
        return
    assert not found[[0, 2]].any()
    assert found[1].any()


@pytest.mark.parametrize("method", METHODS.names())
def test_equal_parts_have_equal_shares(method: str) -> None:
    signal = signal_of(lambda x: torch.tanh(x[:, 0] + x[:, 1]).sum(dim=1))
    with torch.no_grad():
        signal.x[:, 1], signal.baseline[:, 1] = signal.x[:, 0], signal.baseline[:, 0]
    found = METHODS.get(method)(signal, 8).values
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_occlusion_of_a_linear_score_takes_away_what_a_unit_gives() -> None:
    weights = weights_of()
    signal = signal_of(lambda x: (x * weights).sum(dim=(1, 2)))
    units = lead_units(beats(signal.x.detach()[0].numpy(), 100.0), 12)
    gives = ((signal.x - signal.baseline)[0] * weights).detach().numpy()
    found = METHODS.get("occlusion")(signal, 8).values
    for unit in np.unique(units):
        np.testing.assert_allclose(found[units == unit].sum(), gives[units == unit].sum(), atol=1e-10)
        assert np.ptp(found[units == unit]) == 0


def test_beats_begin_before_their_p_wave_and_waves_lie_around_the_r_peak() -> None:
    ecg = beats_of(np.random.default_rng(0))
    at = np.array([50, 130, 210, 290, 370])
    assert list(beats(ecg, 100.0)[at]) == [0, 1, 2, 3, 4]
    assert list(beats(ecg, 100.0)[at - 20]) == [0, 1, 2, 3, 4]
    assert (waves(ecg, 100.0)[at] == 1).all()
    assert (waves(ecg, 100.0)[at[:-1] + 25] == 2).all()
    assert (waves(ecg, 100.0)[at - 15] == 0).all()
    assert len(np.unique(beats(np.zeros((12, 300)), 100.0))) == 3


def test_blocks_are_squares_of_one_plane() -> None:
    found = blocks((2, 16, 16))
    assert len(np.unique(found)) == 128
    assert (np.bincount(found.ravel()) == 4).all()
