"""Rows of all processes side by side, so that a contrastive loss sees the negatives of the joint batch.

Convention: every process computes the loss of the joint batch, and its gradients are then averaged over the processes,
as DistributedDataParallel does. The backward pass therefore hands each process the gradient of its own rows times the
number of processes, without communication: no process has to wait for another that holds no row of a modality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


@contextmanager
def gathering(*, joint: bool) -> Iterator[None]:
    """Say for the length of a block whether the processes that were launched train together, or this one by itself."""
    before, _STATE.joint = _STATE.joint, joint
    try:
        yield
    finally:
        _STATE.joint = before


@dataclass
class _State:
    joint: bool = True


_STATE = _State()


def process_count() -> int:
    """Return the number of processes that train together, 1 without a process group."""
    if not _STATE.joint:
        return 1
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes in the order of their ranks, with gradients to the own ones.

    Args:
        rows: (n, ...), n of any size and different in each process, the other axes the same; half precision is widened.

    Returns:
        (sum of n, ...); the argument itself where there is one process.

    Source: the gathered loss of Radford et al. 2021; exactness by the convention of this module.
    """
    if process_count() == 1:
        return rows
    rows = rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows
    if rows.dtype is torch.bool:
        return gather_rows(rows.to(torch.uint8)).bool()
    counts = _counts(rows)
    gathered: Tensor = _GatherRows.apply(rows, counts)  # type: ignore[no-untyped-call]
    return gathered


def gather_embeddings(
    embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], width: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return embeddings and masks of the joint batch; the arguments' own entries where there is one process.

    Args:
        embeddings: per modality (P, width) of the subjects that have it; one that nobody here has may be absent.
        present: per modality (B,) bool, the same modalities in the same order in each process.
        width: of an embedding.
    """
    if process_count() == 1:
        return dict(embeddings), {name: present[name] for name in embeddings}
    masks = {name: gather_rows(mask) for name, mask in present.items()}
    like = next(iter(embeddings.values()), torch.empty(0, device=next(iter(present.values())).device))
    rows = {name: gather_rows(embeddings.get(name, like.new_zeros(0, width))) for name in present}
    return {name: z for name, z in rows.items() if len(z)}, {name: masks[name] for name, z in rows.items() if len(z)}


def same_everywhere(value: Tensor) -> Tensor:
    """Return the value that the first process holds, for instance a random order that all must share.

    Args:
        value: of the same shape in each process; it is overwritten in all but the first.
    """
    if process_count() > 1:
        dist.broadcast(value, src=0)
    return value


def _counts(rows: Tensor) -> list[int]:
    own = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(own) for _ in range(process_count())]
    dist.all_gather(counts, own)
    return [int(count) for count in counts]


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        before = sum(counts[: dist.get_rank()])
        ctx.own = slice(before, before + len(rows))
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return process_count() * gradients[0][ctx.own], None
