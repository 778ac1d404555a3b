"""Softmax attention, by the fastest exact way that torch and the device have."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK_ENTRIES = 2**20
"""Attention weights computed at once: in bfloat16 they fit a core's cache."""


def attend(q: Tensor, k: Tensor, v: Tensor, attended: Tensor | None = None) -> Tensor:
    """Return ``softmax(q k' / sqrt(d)) v``.

    Torch's own kernel takes twice the time in bfloat16 training on a CPU, so there the products are made block by
    block, and again in the backward pass instead of being kept.

    Args:
        q: queries (B, heads, n, d).
        k: keys (B, heads, N, d).
        v: values (B, heads, N, d).
        attended: (B, 1, 1, N) bool, which keys count; None for all.
    """
    learns = torch.is_grad_enabled() and q.requires_grad
    if learns and attended is None and q.device.type == "cpu" and q.dtype == torch.bfloat16:
        mixed: Tensor = BlockedAttention.apply(q, k, v)  # type: ignore[no-untyped-call]
        return mixed
    return F.scaled_dot_product_attention(q, k, v, attended)


class BlockedAttention(torch.autograd.Function):
    """Attention over blocks of (subject, head), whose weights are computed anew in the backward pass."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the mixed values; the arguments are those of `attend`."""
        ctx.save_for_backward(q, k, v)
        queries, keys, values = (x.flatten(0, 1) for x in (q, k, v))
        mixed = torch.empty_like(queries, memory_format=torch.contiguous_format)
        with torch.autocast("cpu", enabled=False):
            for rows in _blocks(queries, keys):
                torch.bmm(_weights(queries[rows], keys[rows]), values[rows], out=mixed[rows])
        return mixed.view(q.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the three arguments."""
        saved = ctx.saved_tensors  # once: checkpointing gives what was computed anew a single time
        shapes = [x.shape for x in saved]
        q, k, v = (x.flatten(0, 1) for x in saved)
        gradient = gradients[0].flatten(0, 1).contiguous()
        of_q, of_k, of_v = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, k, v))
        for rows in _blocks(q, k):
            weights = _weights(q[rows], k[rows])
            torch.bmm(weights.transpose(1, 2), gradient[rows], out=of_v[rows])
            of_weights = torch.bmm(gradient[rows], v[rows].transpose(1, 2))
            of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            of_scores = of_scores.mul_(q.shape[2] ** -0.5)
            torch.bmm(of_scores, k[rows], out=of_q[rows])
            torch.bmm(of_scores.transpose(1, 2), q[rows], out=of_k[rows])
        of_q, of_k, of_v = (x.view(shape) for x, shape in zip((of_q, of_k, of_v), shapes, strict=True))
        return of_q, of_k, of_v


def _blocks(q: Tensor, k: Tensor) -> list[slice]:
    size = max(1, _BLOCK_ENTRIES // (q.shape[1] * k.shape[1]))
    return [slice(start, start + size) for start in range(0, len(q), size)]


def _weights(q: Tensor, k: Tensor) -> Tensor:
    return torch.bmm(q, k.transpose(1, 2)).mul_(q.shape[2] ** -0.5).softmax(dim=-1)
