"""Losses are computed in float32, also where the network multiplies in bfloat16."""

from __future__ import annotations

import pytest
import torch

from cardiobind.objectives import all_pairs, in_float32, info_nce, normalised_correlation, nt_xent


@pytest.fixture
def pair():
    torch.manual_seed(0)
    a = torch.randn(16, 32).bfloat16()
    return a, (a.float() + 0.5 * torch.randn(16, 32)).bfloat16()


@pytest.mark.parametrize("loss", [info_nce, nt_xent, normalised_correlation])
def test_half_precision_is_computed_in_float32(loss, pair):
    expected = loss(*(x.float() for x in pair))
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(*pair)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_mappings_are_raised_too(pair):
    present = {name: torch.ones(16, dtype=torch.bool) for name in ("ecg", "cmr")}
    with torch.autocast("cpu", torch.bfloat16):
        found = all_pairs(dict(zip(present, pair, strict=True)), present)
    assert torch.equal(found.loss, info_nce(*(x.float() for x in pair)))


def test_the_gradient_comes_back_in_the_precision_of_the_network(pair):
    a = pair[0].requires_grad_()
    info_nce(a, pair[1]).backward()
    assert a.grad.dtype == torch.bfloat16
    assert a.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_everything_else_is_passed_as_it_is(dtype):
    x = torch.ones(3, dtype=dtype)
    seen = in_float32(lambda value, *, named, plain: (value, named, plain))(x, named=x, plain="word")
    assert seen[0] is x
    assert seen[1] is x
    assert seen[2] == "word"
