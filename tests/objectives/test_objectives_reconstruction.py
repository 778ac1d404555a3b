from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import InputError
from cardiobind.objectives import masked_reconstruction, normalised_correlation
from cardiobind.testing import check_objective


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow_correlation(a: list[float], b: list[float]) -> float:
    n = len(a)
    mean_a, mean_b = sum(a) / n, sum(b) / n
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / n
    sd_a = math.sqrt(sum((x - mean_a) ** 2 for x in a) / n)
    sd_b = math.sqrt(sum((y - mean_b) ** 2 for y in b) / n)
    return covariance / (sd_a * sd_b)


def as_patches(signal: torch.Tensor, samples: int) -> torch.Tensor:
    return signal.reshape(len(signal), -1, samples)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), weight=st.floats(0, 1))
def test_reconstruction_is_the_slow_one(seed: int, weight: float) -> None:
    x, y = draw(3, 2, 12, seed=seed), draw(3, 2, 12, seed=seed + 1)
    errors = [(float(p) - float(t)) ** 2 for p, t in zip(x.flatten(), y.flatten(), strict=True)]
    leads = [slow_correlation(x[i, j].tolist(), y[i, j].tolist()) for i in range(3) for j in range(2)]
    expected = (1 - weight) * sum(errors) / len(errors) + weight * (1 - sum(leads) / len(leads))
    correlation = normalised_correlation(x, y)
    got = masked_reconstruction(as_patches(x, 4), as_patches(y, 4), correlation, correlation_weight=weight)
    assert float(got) == pytest.approx(expected, rel=1e-9)


def test_perfect_and_inverted_reconstruction() -> None:
    x = draw(2, 3, 20)
    x = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
    p = as_patches(x, 5)
    same, inverted = normalised_correlation(x, x), normalised_correlation(-x, x)
    assert float(masked_reconstruction(p, p, same)) == pytest.approx(0.0, abs=1e-12)
    assert float(masked_reconstruction(-p, p, inverted)) == pytest.approx(0.9 * 4 + 0.1 * 2)


def test_mask_counts_only_hidden_patches() -> None:
    x, y = draw(2, 1, 12), draw(2, 1, 12, seed=1)
    mask = torch.tensor([[1.0, 0, 0], [0, 1, 1]], dtype=torch.float64)
    nothing = torch.zeros(2, 1)
    got = masked_reconstruction(as_patches(x, 4), as_patches(y, 4), nothing, correlation_weight=0.0, mask=mask)
    hidden = [(x[0, 0, :4], y[0, 0, :4]), (x[1, 0, 4:8], y[1, 0, 4:8]), (x[1, 0, 8:], y[1, 0, 8:])]
    assert float(got) == pytest.approx(sum(float((a - b).square().mean()) for a, b in hidden) / 3)


def test_correlation_of_some_entries_along_several_axes_is_the_slow_one() -> None:
    x, y = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    counted = torch.rand(2, 3, 1, 5, generator=torch.Generator().manual_seed(2)) < 0.6
    got = normalised_correlation(x, y, (1, 3), counted)
    for i in range(2):
        for j in range(4):
            kept = counted[i, :, 0]
            assert float(got[i, j]) == pytest.approx(
                slow_correlation(x[i, :, j][kept].tolist(), y[i, :, j][kept].tolist())
            )
    torch.testing.assert_close(
        normalised_correlation(x, y, (1, 3)), normalised_correlation(x, y, (1, 3), torch.ones(1))
    )


@given(scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
@settings(max_examples=20, deadline=None)
def test_correlation_ignores_scale_and_shift(scale: float, shift: float) -> None:
    x, y = draw(4, 30), draw(4, 30, seed=1)
    torch.testing.assert_close(normalised_correlation(scale * x + shift, y), normalised_correlation(x, y))
    torch.testing.assert_close(normalised_correlation(-x, y), -normalised_correlation(x, y))


def test_constant_lead_has_correlation_zero_and_zero_gradient() -> None:
    flat = torch.zeros(2, 10, requires_grad=True)
    correlation = normalised_correlation(flat, torch.randn(2, 10))
    correlation.sum().backward()
    assert correlation.tolist() == [0.0, 0.0]
    assert flat.grad is not None
    assert float(flat.grad.abs().sum()) == 0.0


def test_reconstruction_keeps_the_contract_of_objectives() -> None:
    check_objective(lambda a, b: masked_reconstruction(a[:, None], b[:, None], normalised_correlation(a, b)))


def test_bad_arguments_are_refused() -> None:
    x = draw(2, 1, 12)
    p = as_patches(x, 4)
    with pytest.raises(InputError, match="shapes"):
        masked_reconstruction(p, p[:1], torch.zeros(2, 1))
    with pytest.raises(InputError, match="weight"):
        masked_reconstruction(p, p, torch.zeros(2, 1), correlation_weight=1.5)
    with pytest.raises(InputError, match="mask"):
        masked_reconstruction(p, p, torch.zeros(2, 1), mask=torch.zeros(2, 3))
