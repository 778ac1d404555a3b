"""Batches by processes of their own, or by this one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from multiprocessing.context import BaseContext
from typing import Any

import torch
from torch.utils.data import DataLoader

from cardiobind.training.protocol import Source


def loader(source: Source, batches: Any, workers: int) -> DataLoader[Any]:
    """Return the batches of one round.

    Args:
        source: of subjects.
        batches: yields the indices of each batch.
        workers: processes that read ahead; 0 reads in this one. The batches are the same.
    """
    return DataLoader(
        _Batches(source), batch_sampler=batches, collate_fn=_identity, num_workers=workers,
        multiprocessing_context=_ready_processes() if workers else None,
    )  # fmt: skip


def _ready_processes() -> BaseContext:
    """Return where workers come from: each round starts its own, out of a process that has imported torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


class _Batches(torch.utils.data.Dataset[Any]):
    def __init__(self, source: Source) -> None:
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return self._source.batch(indices)


def _identity(batch: Any) -> Any:
    return batch
