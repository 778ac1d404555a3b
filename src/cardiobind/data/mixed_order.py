"""Batches of few labelled and many unlabelled samples, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import Sampler

from cardiobind import rng
from cardiobind.data.sampler import KeyedBatchSampler
from cardiobind.errors import InputError


class MixedBatchSampler(Sampler[list[int]]):
    """Each batch of labelled samples with `ratio` times as many unlabelled ones behind it.

    The labelled ones come first in the data, and an epoch is one pass over them: in exactly the order, and the batches,
    of `KeyedBatchSampler` over them alone. Passes over the unlabelled ones follow one another across epochs.

    Args:
        size: number of samples.
        batch_size: labelled samples a step, over all ranks; a multiple of `world`.
        labelled: how many samples, the first ones, are labelled.
        ratio: unlabelled samples a labelled one, in a batch.
        seed: the run's seed.
        rank: this process.
        world: number of processes.
        shards, shard_window: as of `KeyedBatchSampler`, for either kind of samples.

    Raises:
        InputError: no sample is labelled, or one is that is not there; a ratio below 1; a batch that cannot be shared
            evenly.

    Source: Sohn et al. 2020 (FixMatch), section 2, with mu = ratio.
    """

    def __init__(
        self, size: int, batch_size: int, *, labelled: int, ratio: int, seed: int, rank: int = 0, world: int = 1,
        shards: ArrayLike | None = None, shard_window: int | None = None,
    ) -> None:  # fmt: skip
        if not 1 <= labelled <= size or ratio < 1:
            got = {"size": size, "labelled": labelled, "ratio": ratio}
            raise InputError("impossible mixture", expected="1 <= labelled <= size, ratio >= 1", got=got)
        self.labelled = labelled
        held = np.zeros(size, dtype=np.int64) if shards is None else np.asarray(shards)
        given: dict[str, Any] = {"rank": rank, "world": world, "shard_window": shard_window}
        self._few = KeyedBatchSampler(labelled, batch_size, seed=seed, shards=held[:labelled], **given)
        self._many = None
        if labelled < size:
            other = rng.integer(seed, "unlabelled order")
            wanted = min(ratio * min(batch_size, labelled), size - labelled) // world * world
            self._many = KeyedBatchSampler(
                size - labelled, max(wanted, world), seed=other, shards=held[labelled:], **given
            )

    @property
    def epoch(self) -> int:
        """The epoch that iteration gives."""
        return self._few.epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that iteration gives."""
        self._few.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of steps of a full epoch."""
        return len(self._few)

    def __iter__(self) -> Iterator[list[int]]:
        unlabelled = self._unlabelled(self.epoch * len(self))
        for labelled in self._few:
            yield labelled + next(unlabelled, [])

    def _unlabelled(self, step: int) -> Iterator[list[int]]:
        """Yield the unlabelled part of each step from that one on."""
        if self._many is None:
            return
        epoch, position = divmod(step, len(self._many))
        while True:
            self._many.set_epoch(epoch)
            batches = list(self._many)
            for batch in batches[position:]:
                yield [self.labelled + index for index in batch]
            epoch, position = epoch + 1, 0
