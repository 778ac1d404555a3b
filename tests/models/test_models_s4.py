"""The state space model against a recurrence, sample by sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError
from cardiobind.models import S4
from cardiobind.models.s4 import CircularConvolution, DiagonalStateSpace
from cardiobind.testing import example_spec


def space(*, bidirectional: bool = False, rate_hz: float = 50.0) -> DiagonalStateSpace:
    torch.manual_seed(0)
    return DiagonalStateSpace(3, 8, rate_hz, bidirectional=bidirectional)


def slow_space(model: DiagonalStateSpace, u: np.ndarray, direction: int = 0) -> np.ndarray:
    """Step x <- exp(v A dt) x + A^-1 (exp(v A dt) - 1) u, y = 2 Re(C x), sample by sample."""
    w = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    y = np.zeros_like(u)
    for h in range(model.width):
        n = slice(h * model.pairs, (h + 1) * model.pairs)
        a = -np.exp(w["log_decay"][n]) + 1j * w["frequency"][n]
        c = w["output"][direction, h, :, 0] + 1j * w["output"][direction, h, :, 1]
        move = np.exp(a * np.exp(w["log_speed"][h]) / model.token_rate_hz)
        x = np.zeros(model.pairs, dtype=complex)
        for t in range(u.shape[1]):
            x = move * x + (move - 1) / a * u[h, t]
            y[h, t] = 2 * (c @ x).real
    return y


def test_the_convolution_is_the_recurrence() -> None:
    model = space()
    u = np.random.default_rng(0).normal(size=(3, 40))
    expected = slow_space(model, u) + model.skip.detach().double().numpy()[:, None] * u
    got = model(torch.from_numpy(u).float()[None])[0].detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_both_directions_are_the_recurrence_from_either_end() -> None:
    model = space(bidirectional=True)
    u = np.random.default_rng(1).normal(size=(3, 33))
    expected = slow_space(model, u) + slow_space(model, u[:, ::-1].copy(), 1)[:, ::-1]
    expected += model.skip.detach().double().numpy()[:, None] * u
    got = model(torch.from_numpy(u).float()[None])[0].detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_the_convolution_and_its_gradients_are_those_of_its_definition(length: int) -> None:
    torch.manual_seed(2)
    u = torch.randn(2, 3, length, dtype=torch.float64, requires_grad=True)
    response = torch.randn(3, 2 * length, dtype=torch.float64, requires_grad=True)
    lags = (torch.arange(length)[:, None] - torch.arange(length)) % (2 * length)
    expected, found = torch.einsum("cts,bcs->bct", response[:, lags], u), CircularConvolution.apply(u, response)
    torch.testing.assert_close(found, expected)
    weight = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), (u, response)),
        torch.autograd.grad((expected * weight).sum(), (u, response)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_the_same_system_at_twice_the_rate_is_the_same_function_of_time() -> None:
    coarse, fine = space(rate_hz=50.0).kernel(20)[0], space(rate_hz=100.0).kernel(40)[0]
    torch.testing.assert_close(coarse, fine[:, ::2] + fine[:, 1::2], rtol=1e-4, atol=1e-6)


def test_it_computes_in_float32_under_autocast() -> None:
    model, u = space(), torch.randn(2, 3, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(u), model(u.float()))
        assert model(u.bfloat16()).dtype is torch.float32


def test_a_causal_encoder_knows_no_later_sample_and_the_other_does() -> None:
    spec = example_spec("ecg")
    x = torch.randn(2, 12, 200)
    later = x.clone()
    later[:, :, 120:] = torch.randn(2, 12, 80)
    for bidirectional in (False, True):
        torch.manual_seed(0)
        model = S4(spec, width=8, depth=2, state=4, bidirectional=bidirectional).eval()
        before, after = model(x)[:, :60], model(later)[:, :60]
        assert torch.allclose(before, after, atol=1e-5) is not bidirectional
        assert not torch.allclose(model(x)[:, 60], model(later)[:, 60], atol=1e-3)


@pytest.mark.parametrize(("rate_hz", "stride"), [(100.0, 2), (250.0, 5), (500.0, 10), (128.0, 3)])
def test_every_rate_has_tokens_of_about_the_same_length(rate_hz: float, stride: int) -> None:
    spec = replace(example_spec("ecg"), shape=(12, round(2 * rate_hz)), rate_hz=rate_hz)
    model = S4(spec, width=8, depth=1, state=4)
    assert model.stem.stride == stride
    assert model(torch.randn(1, 12, round(2 * rate_hz))).shape == (1, round(2 * rate_hz) // stride, 8)
    assert model.blocks[0].space.token_rate_hz == pytest.approx(rate_hz / stride)


def test_options_out_of_range_are_refused() -> None:
    for options in ({"state": 3}, {"width": 0}, {"token_rate_hz": 200.0}, {"drop_path": 1.0}):
        with pytest.raises(ConfigError):
            S4(example_spec("ecg"), **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="fit"):
        S4(example_spec("ecg"), width=8)(torch.zeros(1, 12, 1))
