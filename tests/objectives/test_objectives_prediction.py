"""Contrastive prediction against a loop."""

from __future__ import annotations

import math

import pytest
import torch

from cardiobind.errors import InputError
from cardiobind.objectives import contrastive_prediction, prediction_similarities


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum() / (a.norm() * b.norm()))


def test_the_loss_is_the_slow_one() -> None:
    p, z = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).unbind(0)
    got = contrastive_prediction(prediction_similarities(p, z, 0.2))
    for i in range(3):
        losses = []
        for t in range(4):
            own = [math.exp(cosine(p[i, t], z[i, s]) / 0.2) for s in range(4)]
            others = [math.exp(cosine(p[i, t], z[j, t]) / 0.2) for j in range(3) if j != i]
            losses.append(-math.log(own[t] / (sum(own) + sum(others))))
        assert float(got[i]) == pytest.approx(sum(losses) / 4, rel=1e-9)


def test_closed_forms_symmetry_and_finite_gradients() -> None:
    same = torch.ones(3, 4, 5, requires_grad=True)
    loss = contrastive_prediction(prediction_similarities(same, same))
    torch.testing.assert_close(loss, torch.full((3,), math.log(4 + 3 - 1)))
    loss.sum().backward()
    assert same.grad is not None
    assert bool(same.grad.isfinite().all())
    p, z = torch.randn(2, 6, 4, 5).unbind(0)
    order = torch.randperm(6)
    losses = contrastive_prediction(prediction_similarities(p, z))
    torch.testing.assert_close(contrastive_prediction(prediction_similarities(p[order], z[order])), losses[order])
    one = contrastive_prediction(prediction_similarities(p[:1, :1], z[:1, :1]))
    assert one.tolist() == [0.0]


def test_half_precision_is_compared_in_float32() -> None:
    p = torch.randn(2, 3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert prediction_similarities(p.bfloat16(), p.bfloat16()).dtype is torch.float32


def test_what_does_not_match_is_refused() -> None:
    p = torch.randn(2, 3, 4)
    with pytest.raises(InputError, match="match"):
        prediction_similarities(p, p[:, :2])
    with pytest.raises(InputError, match="match"):
        prediction_similarities(p, p, 0.0)
