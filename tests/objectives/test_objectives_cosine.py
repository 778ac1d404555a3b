from __future__ import annotations

import math

import pytest
import torch

from cardiobind.errors import InputError
from cardiobind.objectives import negative_cosine


def test_cosine_is_the_slow_one_and_spares_the_target() -> None:
    p, z = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True).unbind(0)
    p.retain_grad()
    z.retain_grad()
    rows = [(a.tolist(), b.tolist()) for a, b in zip(p.detach(), z.detach(), strict=True)]
    cosines = [sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b)) for a, b in rows]
    loss = negative_cosine(p, z)
    loss.backward()
    assert loss.item() == pytest.approx(-sum(cosines) / 4)
    assert p.grad is not None
    assert float(p.grad.abs().sum()) > 0
    assert z.grad is None


def test_same_and_opposite_and_no_direction() -> None:
    x = torch.randn(5, 4)
    assert float(negative_cosine(x, 3.0 * x)) == pytest.approx(-1.0)
    assert float(negative_cosine(x, -x)) == pytest.approx(1.0)
    assert float(negative_cosine(torch.zeros(5, 4), x)) == 0.0
    with pytest.raises(InputError, match="match"):
        negative_cosine(x, x[:2])
