"""Attention block by block is the attention of its definition, forwards and backwards."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models import attention
from cardiobind.models.attention import attend


def defined(q, k, v):
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def inputs(queries, keys, dtype=torch.float64):
    torch.manual_seed(0)
    shapes = [(3, 2, queries, 8), (3, 2, keys, 8), (3, 2, keys, 8)]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("entries", [1, 2 * 7 * 5, 10**6])
def test_blocks_of_any_size_give_value_and_gradient_of_the_definition(monkeypatch, entries):
    monkeypatch.setattr(attention, "_BLOCK_ENTRIES", entries)
    q, k, v = inputs(7, 5)
    found = attention.BlockedAttention.apply(q, k, v)
    assert torch.allclose(found, defined(q, k, v))
    weight = torch.randn_like(found)
    expected = torch.autograd.grad((defined(q, k, v) * weight).sum(), (q, k, v))
    for one, other in zip(torch.autograd.grad((found * weight).sum(), (q, k, v)), expected, strict=True):
        assert torch.allclose(one, other)


def test_heads_that_are_views_of_one_tensor_are_taken(monkeypatch):
    torch.manual_seed(1)
    x = torch.randn(2, 6, 3, 4, 8, dtype=torch.float64, requires_grad=True)
    q, k, v = x.permute(2, 0, 3, 1, 4)
    found = torch.autograd.grad(attention.BlockedAttention.apply(q, k, v).square().sum(), x)[0]
    assert torch.allclose(found, torch.autograd.grad(defined(q, k, v).square().sum(), x)[0])


def test_bfloat16_is_near_the_definition_and_repeats_its_bits():
    q, k, v = inputs(40, 40, torch.bfloat16)
    results = []
    for _ in range(2):
        y = attend(q, k, v)
        results.append([y, *torch.autograd.grad(y.float().square().sum(), (q, k, v))])
    expected = defined(*(x.double() for x in (q, k, v)))
    assert torch.allclose(results[0][0].double(), expected, atol=0.02)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_float32_is_left_to_torch():
    q, k, v = inputs(6, 6, torch.float32)
    assert torch.equal(attend(q, k, v), torch.nn.functional.scaled_dot_product_attention(q, k, v))
