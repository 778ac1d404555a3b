"""Collapse is seen: constant embeddings and embeddings on a line; and the scores have their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cardiobind.objectives import (
    alignment_distance,
    collapsed,
    effective_rank,
    embedding_spread,
    retrieval_recall,
    uniformity,
)

RANDOM = torch.Generator().manual_seed(0)
HEALTHY = torch.randn(400, 32, generator=RANDOM)


def test_effective_rank_is_the_slow_one() -> None:
    z = HEALTHY[:40, :6].double()
    u = z.numpy() / np.linalg.norm(z.numpy(), axis=1, keepdims=True)
    values = np.sqrt(np.linalg.eigvalsh(u.T @ u).clip(0))
    p = values / values.sum()
    assert float(effective_rank(z)) == pytest.approx(math.exp(-sum(q * math.log(q) for q in p)))


@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_effective_rank_of_k_equal_axes_is_k(k: int) -> None:
    assert float(effective_rank(torch.eye(8)[:k].repeat(7, 1))) == pytest.approx(k, rel=1e-5)


def test_constant_and_rank_one_embeddings_are_seen_to_have_collapsed() -> None:
    constant = torch.ones(64, 32)
    line = torch.randn(64, 1, generator=RANDOM) * torch.randn(1, 32, generator=RANDOM)
    for broken in (constant, constant + 1e-3 * HEALTHY[:64], line, line + 1e-3 * HEALTHY[:64], 0.0 * constant):
        assert collapsed(broken)
        assert float(effective_rank(broken)) < 2.0
    assert float(embedding_spread(line)) > 0.5, "the spread alone would not see a line"
    assert not collapsed(HEALTHY)
    assert not collapsed(constant[:4])
    assert not collapsed(constant[:, :2])


def test_alignment_and_uniformity_are_the_slow_ones() -> None:
    a, b = HEALTHY[:9, :4].double(), HEALTHY[9:18, :4].double()
    u, v = (x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True) for x in (a, b))
    distance = np.mean([((p - q) ** 2).sum() for p, q in zip(u, v, strict=True)])
    assert float(alignment_distance(a, b)) == pytest.approx(distance)
    pairs = [math.exp(-2 * ((u[i] - u[j]) ** 2).sum()) for i in range(9) for j in range(9) if i != j]
    assert float(uniformity(a)) == pytest.approx(math.log(np.mean(pairs)))


def test_alignment_and_uniformity_have_closed_forms() -> None:
    same = torch.ones(6, 3)
    assert float(alignment_distance(same, same)) == 0.0
    assert float(alignment_distance(same, -same)) == pytest.approx(4.0)
    assert float(uniformity(same)) == pytest.approx(0.0, abs=1e-5)
    assert float(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))) == pytest.approx(-8.0)


def test_half_precision_is_widened() -> None:
    z = HEALTHY.bfloat16()
    for score in (effective_rank, uniformity, embedding_spread):
        assert score(z).dtype is torch.float32
    assert 0.0 <= float(retrieval_recall(z, z)) <= 1.0
