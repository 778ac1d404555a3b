"""Softmax self-attention: torch's own kernel, or in bfloat16 on a CPU products of blocks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK_ENTRIES = 2**20
"""Attention weights computed at once: in bfloat16 they fit a core's cache."""
_LARGEST = 60.0
"""Binary logarithm of the largest sum of exponentials that needs no shift by the largest score."""


def attend(qkv: Tensor, attended: Tensor | None = None) -> Tensor:
    """Return ``softmax(q k' / sqrt(d)) v`` with the heads side by side, (B, N, heads * d).

    In bfloat16 on a CPU, where torch's own kernel takes twice the time, the products are made block by block, and again
    in the backward pass instead of being kept. Scores are rounded to bfloat16 there, torch's kernel keeps them in
    float32: relative errors of .5 % where scores spread by 1 and 1.4 % where they spread by 8, against .2 %.

    Args:
        qkv: queries, keys and values (B, N, 3, heads, d).
        attended: (B, N) bool, which keys count; None for all.
    """
    if attended is None and qkv.device.type == "cpu" and qkv.dtype == torch.bfloat16:
        mixed: Tensor = BlockedAttention.apply(qkv)  # type: ignore[no-untyped-call]
        return mixed
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    mask = None if attended is None else attended[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)


class BlockedAttention(torch.autograd.Function):
    """Attention over blocks of subjects, read from and written to the layout of the linear layers around it."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor) -> Tensor:
        """Return the mixed values; the argument is that of `attend`."""
        batch, count, _, heads, width = qkv.shape
        mixed, shifted = qkv.new_empty(batch, count, heads, width), []
        totals = torch.empty(batch * heads, count, 1, dtype=torch.promote_types(qkv.dtype, torch.float32))
        room, parts = _room(qkv), _parts(qkv)
        with torch.autocast("cpu", enabled=False):
            for rows, own in _blocks(qkv):
                q, k, v = _scaled(qkv[rows])
                found, total = _mix(_exponentials(q, k, room[: len(q)], shift=False), v, parts)
                low, high = total.aminmax()
                shifted.append(not (2.0**-_LARGEST < float(low) and float(high) < 2.0**_LARGEST))
                if shifted[-1]:
                    found, total = _mix(_exponentials(q, k, room[: len(q)], shift=True), v, parts)
                totals[own] = total
                _put(mixed[rows], found / total)
        ctx.save_for_backward(qkv, mixed, totals)
        ctx.shifted = shifted
        return mixed.flatten(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the gradient of queries, keys and values."""
        qkv, mixed, totals = ctx.saved_tensors
        gradient, of_qkv = gradients[0].view_as(mixed), torch.empty_like(qkv)
        room, second = _room(qkv), _room(qkv)
        for (rows, own), shift in zip(_blocks(qkv), ctx.shifted, strict=True):
            q, k, v = _scaled(qkv[rows])
            weights = _exponentials(q, k, room[: len(q)], shift=shift)
            grown = _heads_first(gradient[rows]) / totals[own]
            mean = (grown * _heads_first(mixed[rows])).sum(dim=2, keepdim=True)
            grown = grown.to(qkv.dtype)
            _put(of_qkv[rows, :, 2], torch.bmm(weights.transpose(1, 2), grown))
            of_scores = weights.mul_(_less(grown, v, mean, second[: len(q)]))
            _put(of_qkv[rows, :, 0], torch.bmm(of_scores, k) * qkv.shape[4] ** -0.5)
            _put(of_qkv[rows, :, 1], torch.bmm(of_scores.transpose(1, 2), q) * math.log(2.0))
        return of_qkv


def _block(qkv: Tensor) -> int:
    return max(1, _BLOCK_ENTRIES // (qkv.shape[3] * qkv.shape[1] ** 2))


def _blocks(qkv: Tensor) -> list[tuple[slice, slice]]:
    """Return the subjects of each block, and their heads among those of all subjects."""
    batch, heads = len(qkv), qkv.shape[3]
    ends = [(start, min(start + _block(qkv), batch)) for start in range(0, batch, _block(qkv))]
    return [(slice(start, end), slice(start * heads, end * heads)) for start, end in ends]


def _room(qkv: Tensor) -> Tensor:
    """Return memory for the scores of a block: asked for anew, it would cost as much as the products."""
    count = qkv.shape[1]
    return qkv.new_empty(min(_block(qkv), len(qkv)) * qkv.shape[3], count, count)


def _parts(qkv: Tensor) -> Tensor:
    """Return a table (N, 8) that sums entries in eight parts: one sum in bfloat16 would keep too few digits."""
    return (torch.arange(qkv.shape[1])[:, None] % 8 == torch.arange(8)).to(qkv.dtype)


def _heads_first(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)


def _put(place: Tensor, x: Tensor) -> None:
    place.copy_(x.reshape(len(place), -1, *x.shape[1:]).transpose(1, 2))


def _scaled(qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # With the scale and the change to powers of 2 in the queries, the scores need no pass of their own.
    q, k, v = (_heads_first(x) for x in qkv.unbind(2))
    return q * (qkv.shape[4] ** -0.5 / math.log(2.0)), k, v


def _exponentials(q: Tensor, k: Tensor, room: Tensor, *, shift: bool) -> Tensor:
    scores = torch.bmm(q, k.transpose(1, 2), out=room)
    return (scores.sub_(scores.amax(dim=2, keepdim=True)) if shift else scores).exp2_()


def _mix(weights: Tensor, v: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted sums of the values and the sums of the weights, by one product."""
    found = torch.bmm(weights, torch.cat([v, parts.expand(len(v), -1, -1)], dim=2))
    total = found[..., -parts.shape[1] :].to(torch.promote_types(v.dtype, torch.float32)).sum(dim=2, keepdim=True)
    return found[..., : -parts.shape[1]], total


def _less(gradient: Tensor, v: Tensor, mean: Tensor, room: Tensor) -> Tensor:
    """Return ``gradient v' - mean`` by one product; the mean is in two parts, as one bfloat16 holds half its digits."""
    high = mean.to(v.dtype)
    low = (mean - high).to(v.dtype)
    ones = v.new_ones(*v.shape[:2], 2)
    return torch.bmm(torch.cat([gradient, -high, -low], dim=2), torch.cat([v, ones], dim=2).transpose(1, 2), out=room)
