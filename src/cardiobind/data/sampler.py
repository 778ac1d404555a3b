"""The order of data: a pure function of (seed, epoch), the same at any number of processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from cardiobind import rng
from cardiobind.errors import InputError


class KeyedBatchSampler(Sampler[list[int]]):
    """Batches of indices whose order depends on nothing but (seed, epoch).

    `batch_size` is that of all processes together, so the same samples meet in one step whatever the number of
    processes; each rank gets its consecutive share. Torch's `Sampler` is the base because loaders and Lightning ask
    for it; `sampler` is the object itself, so that Lightning's epoch hook reaches `set_epoch`.

    Args:
        size: number of samples.
        batch_size: samples a step, over all ranks; a multiple of `world`.
        seed: the run's seed.
        rank: this process.
        world: number of processes.
        shuffle: False for the order 0, 1, 2, ...
        drop_last: leave out the last incomplete batch, unless it is the only one.

    Raises:
        InputError: a size is not positive, the batch cannot be shared evenly, or a rank would get nothing.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world: int = 1,
        shuffle: bool = True,
        drop_last: bool = True,
    ) -> None:
        if size < 1 or batch_size < 1 or not 0 <= rank < world:
            raise InputError(
                "impossible sampler", expected="size and batch_size >= 1, 0 <= rank < world",
                got={"size": size, "batch_size": batch_size, "rank": rank, "world": world},
            )  # fmt: skip
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.rank, self.world = rank, world
        self.shuffle, self.drop_last = shuffle, drop_last and size >= batch_size
        self.epoch, self.start_step = 0, 0
        self._check_shares()

    @property
    def sampler(self) -> KeyedBatchSampler:
        return self

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """Choose the epoch, and the step to begin with where a run goes on in the middle of one."""
        self.epoch, self.start_step = epoch, start_step

    def order(self, epoch: int) -> list[int]:
        """Return all indices in the order of an epoch, before they are cut into batches."""
        if not self.shuffle:
            return list(range(self.size))
        order: list[int] = rng.generator(self.seed, "order", epoch).permutation(self.size).tolist()
        return order

    def __len__(self) -> int:
        """Return the number of steps of a full epoch."""
        return self.size // self.batch_size if self.drop_last else -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = self.order(self.epoch)
        for step in range(self.start_step, len(self)):
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
