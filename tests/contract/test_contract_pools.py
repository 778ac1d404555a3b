"""Every pool turns tokens into one finite embedding, whatever their order, and lets gradients through."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models import POOLS


@pytest.mark.parametrize("name", POOLS.names())
def test_pool(name: str) -> None:
    torch.manual_seed(0)
    pool = POOLS.get(name)(8).eval()
    tokens = torch.randn(3, 5, 8, requires_grad=True)
    pooled = pool(tokens)
    assert pooled.shape == (3, 8)
    torch.testing.assert_close(pool(tokens[:, [4, 2, 0, 1, 3]]), pooled)
    pooled.square().sum().backward()
    assert bool((tokens.grad != 0).all())


def test_there_are_pools() -> None:
    assert set(POOLS.names()) >= {"attention", "mean"}
