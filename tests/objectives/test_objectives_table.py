"""Losses of a reconstructed table against loops over its entries."""

from __future__ import annotations

import math

import pytest
import torch

from cardiobind.errors import InputError
from cardiobind.objectives import cross_entropies, squared_errors


def test_squared_errors_are_the_slow_ones() -> None:
    torch.manual_seed(0)
    predicted, value, counted = torch.randn(5, 3), torch.randn(5, 3), torch.rand(5, 3) < 0.5
    counted[4] = False
    got = squared_errors(predicted, value, counted)
    for b in range(5):
        terms = [(float(predicted[b, j]) - float(value[b, j])) ** 2 for j in range(3) if counted[b, j]]
        assert float(got[b]) == pytest.approx(sum(terms), rel=1e-5)
    assert float(got[4]) == 0.0


def test_cross_entropies_are_the_slow_ones() -> None:
    torch.manual_seed(0)
    cardinalities = [2, 4, 3]
    logits, counted = torch.randn(6, 3, 4), torch.rand(6, 3) < 0.6
    for c, k in enumerate(cardinalities):
        logits[:, c, k:] = -math.inf
    code = torch.stack([torch.randint(k, (6,)) for k in cardinalities], dim=1)
    got = cross_entropies(logits.requires_grad_(), code, counted)
    for b in range(6):
        total = 0.0
        for c, k in enumerate(cardinalities):
            if counted[b, c]:
                mass = [math.exp(float(logits[b, c, i])) for i in range(k)]
                total -= math.log(mass[int(code[b, c])] / sum(mass))
        assert float(got[b]) == pytest.approx(total, rel=1e-5)
    got.sum().backward()
    assert bool(logits.grad.isfinite().all())
    assert bool((logits.grad[~counted] == 0).all())


def test_an_even_guess_costs_the_logarithm_of_the_codes() -> None:
    for k in (2, 5):
        even = cross_entropies(torch.zeros(1, 1, k), torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1).bool())
        assert float(even) == pytest.approx(math.log(k))


def test_what_does_not_count_may_be_anything() -> None:
    counted = torch.tensor([[True, False]])
    numbers = squared_errors(torch.tensor([[1.0, math.nan]]), torch.tensor([[3.0, math.inf]]), counted)
    assert float(numbers) == 4.0
    codes = cross_entropies(torch.zeros(1, 2, 3), torch.tensor([[1, 99]]), counted)
    assert float(codes) == pytest.approx(math.log(3))
    assert squared_errors(torch.zeros(2, 0), torch.zeros(2, 0), torch.zeros(2, 0).bool()).tolist() == [0.0, 0.0]
    nothing = torch.zeros(2, 0, dtype=torch.long)
    assert cross_entropies(torch.zeros(2, 0, 1), nothing, nothing.bool()).tolist() == [0.0, 0.0]


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="numbers"):
        squared_errors(torch.zeros(2, 3), torch.zeros(2, 2), torch.zeros(2, 3).bool())
    with pytest.raises(InputError, match="categories"):
        cross_entropies(torch.zeros(2, 3, 4), torch.zeros(2, 2, dtype=torch.long), torch.zeros(2, 3).bool())
