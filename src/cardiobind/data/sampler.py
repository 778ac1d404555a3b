"""The order of data: a pure function of (seed, epoch), the same at any number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from cardiobind import rng
from cardiobind.errors import InputError


class KeyedBatchSampler(Sampler[list[int]]):
    """Batches of indices whose order depends on nothing but (seed, epoch).

    `batch_size` is that of all processes together, so the same samples meet in one step whatever the number of
    processes; each rank gets its consecutive share.

    Args:
        size: number of samples.
        batch_size: samples a step, over all ranks; a multiple of `world`.
        seed: the run's seed.
        rank: this process.
        world: number of processes.
        drop_last: leave out the last incomplete batch, unless it is the only one.
        shards: (size,) the shard that holds each sample; needed for `shard_window`.
        shard_window: shards that are read side by side: the shards come in random order, and the samples in random
            order within each so many of them, so that few shards are needed at a time. None for the samples in random
            order, whichever shards they are in.

    Raises:
        InputError: a size is not positive, the batch cannot be shared evenly, a rank would get nothing, or the shards
            are not one a sample.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        drop_last: bool = True,
        shards: ArrayLike | None = None,
        shard_window: int | None = None,
    ) -> None:
        if size < 1 or batch_size < 1 or not 0 <= rank < world:
            raise InputError(
                "impossible sampler", expected="size and batch_size >= 1, 0 <= rank < world",
                got={"size": size, "batch_size": batch_size, "rank": rank, "world": world},
            )  # fmt: skip
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world = rank, world
        self.drop_last = drop_last and size >= batch_size
        self.epoch = 0
        self.shard_window = shard_window
        self._members = None if shard_window is None else _members(size, shards, shard_window)
        self._check_shares()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that iteration gives."""
        self.epoch = epoch

    def order(self, epoch: int) -> list[int]:
        """Return all indices in the order of an epoch, before they are cut into batches."""
        if self._members is not None and self.shard_window is not None:
            return self._windowed(self._members, self.shard_window, epoch)
        order: list[int] = rng.generator(self.seed, "order", epoch).permutation(self.size).tolist()
        return order

    def _windowed(self, members: list[NDArray[np.int64]], window: int, epoch: int) -> list[int]:
        shards = rng.generator(self.seed, "shards", epoch).permutation(len(members))
        order: list[int] = []
        for first in range(0, len(shards), window):
            rows = np.concatenate([members[shard] for shard in shards[first : first + window]])
            order += rng.generator(self.seed, "window", epoch, first).permutation(rows).tolist()
        return order

    def __len__(self) -> int:
        """Return the number of steps of a full epoch."""
        return self.size // self.batch_size if self.drop_last else -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch)
        for step in range(len(self)):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            bounds = np.linspace(0, len(batch), self.world + 1).astype(int)
            yield batch[bounds[self.rank] : bounds[self.rank + 1]]

    def _check_shares(self) -> None:
        smallest = self.batch_size if self.drop_last else self.size % self.batch_size or self.batch_size
        if self.batch_size % self.world or smallest < self.world:
            raise InputError(
                "a batch cannot be shared among the processes", expected=f"a multiple of {self.world}",
                got={"batch_size": self.batch_size, "smallest batch": smallest},
            )  # fmt: skip


def _members(size: int, shards: ArrayLike | None, window: int) -> list[NDArray[np.int64]]:
    """Return the samples of each shard."""
    held = np.asarray([] if shards is None else shards)
    if held.shape != (size,) or window < 1:
        raise InputError(
            "a window of shards needs the shard of each sample", expected=f"{size} shards, shard_window at least 1",
            got=f"{held.shape}, {window}",
        )  # fmt: skip
    order = np.argsort(held, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(held[order])) + 1)
