"""Attention block by block is the attention of its definition, forwards and backwards."""

from __future__ import annotations

import pytest
import torch

from cardiobind.models import attention
from cardiobind.models.attention import BlockedAttention, attend


def defined(qkv):
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    mixed = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v
    return mixed.transpose(1, 2).flatten(2)


def projected(count=7, dtype=torch.float64, size=1.0):
    torch.manual_seed(0)
    return (size * torch.randn(3, count, 3, 2, 8)).to(dtype).requires_grad_()


def both(function, qkv):
    torch.manual_seed(1)
    mixed = function(qkv)
    weight = torch.randn(mixed.shape, dtype=torch.float64).to(mixed.dtype)
    return mixed, torch.autograd.grad((mixed * weight).sum(), qkv)[0]


@pytest.mark.parametrize("entries", [1, 2 * 2 * 7 * 7, 10**6])
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_blocks_of_any_size_give_value_and_gradient_of_the_definition(monkeypatch, entries, size):
    monkeypatch.setattr(attention, "_BLOCK_ENTRIES", entries)
    qkv = projected(size=size)
    for found, expected in zip(both(BlockedAttention.apply, qkv), both(defined, qkv), strict=True):
        assert torch.allclose(found, expected)


@pytest.mark.parametrize("shift", [500.0, -500.0])
def test_scores_whose_exponentials_overflow_or_vanish_are_shifted(shift):
    qkv = projected(count=5).detach()
    qkv[:, :, 0], qkv[:, :, 1, :, 0] = 0.0, shift
    qkv[:, :, 0, :, 0] = 4.0 + torch.rand(3, 5, 2, dtype=torch.float64)
    qkv[:, :, 1, :, 1:] = 0.0
    qkv[0, :, 1, :, 0] += torch.rand(5, 2, dtype=torch.float64)
    qkv.requires_grad_()
    for found, expected in zip(both(BlockedAttention.apply, qkv), both(defined, qkv), strict=True):
        assert torch.isfinite(found).all()
        assert torch.allclose(found, expected, atol=1e-6)


def test_bfloat16_is_near_the_definition_and_repeats_its_bits():
    qkv = projected(40, torch.bfloat16)
    first, second = both(attend, qkv), both(attend, qkv)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    value, gradient = both(defined, qkv.detach().double().requires_grad_())
    assert torch.allclose(first[0].double(), value, atol=0.02)
    assert (first[1].double() - gradient).norm() < 0.01 * gradient.norm()


def test_bfloat16_is_as_near_where_no_gradient_is_wanted():
    qkv = projected(40, torch.bfloat16).detach()
    assert torch.allclose(attend(qkv).double(), defined(qkv.double()), atol=0.02)


def test_float32_is_left_to_torch():
    qkv = projected(6, torch.float32)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(3, 6, -1)
    assert torch.equal(attend(qkv), expected)


def test_keys_that_do_not_count_are_not_seen():
    qkv = projected(6, torch.bfloat16)
    attended = torch.arange(6).expand(3, -1) < 4
    assert torch.allclose(attend(qkv, attended)[:, :4], attend(qkv[:, :4]), atol=0.02)
