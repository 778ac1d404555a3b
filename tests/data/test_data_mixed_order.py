"""Labelled and unlabelled samples in one batch: an order of (seed, epoch) alone."""

from __future__ import annotations

from collections import Counter

import pytest

from cardiobind.data import KeyedBatchSampler, MixedBatchSampler
from cardiobind.errors import InputError


def batches(
    epoch: int, *, size: int = 50, labelled: int = 10, batch_size: int = 4, ratio: int = 2, **given: int
) -> list[list[int]]:
    order = MixedBatchSampler(size, batch_size, labelled=labelled, ratio=ratio, seed=given.pop("seed", 0), **given)
    order.set_epoch(epoch)
    return list(order)


def test_labelled_ones_come_as_if_alone() -> None:
    alone = KeyedBatchSampler(10, 4, seed=0)
    for epoch in range(3):
        alone.set_epoch(epoch)
        assert [[i for i in b if i < 10] for b in batches(epoch)] == list(alone)
        assert len(alone) == len(batches(epoch)) == 2


def test_each_batch_has_its_share_of_unlabelled_ones() -> None:
    assert all([i < 10 for i in batch] == [True] * 4 + [False] * 8 for batch in batches(0))


def test_passes_over_the_unlabelled_follow_one_another() -> None:
    seen = [i for epoch in range(10) for batch in batches(epoch) for i in batch if i >= 10]
    assert len(seen) == 10 * 2 * 8
    assert set(Counter(seen).values()) == {4}
    assert set(Counter(seen[:40]).values()) == {1}
    assert seen[:40] != seen[40:80]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    order = MixedBatchSampler(50, 4, labelled=10, ratio=2, seed=0)
    order.set_epoch(7)
    list(order)
    order.set_epoch(3)
    assert list(order) == batches(3)
    assert batches(3) != batches(3, seed=1)
    assert batches(3) != batches(4)


def test_processes_share_each_batch() -> None:
    for epoch in range(2):
        shares = [batches(epoch, rank=rank, world=2) for rank in range(2)]
        for whole, first, second in zip(batches(epoch), *shares, strict=True):
            assert sorted(first + second) == sorted(whole)
            assert len(first) == len(second)


@pytest.mark.parametrize(("size", "labelled"), [(3, 3), (4, 3), (5, 3), (40, 2)])
def test_few_of_either_kind(size: int, labelled: int) -> None:
    for epoch in range(4):
        (batch,) = batches(epoch, size=size, labelled=labelled)
        assert sorted(i for i in batch if i < labelled) == list(range(labelled))
        assert len(batch) == labelled + min(2 * labelled, size - labelled)


def test_windows_of_shards_hold_for_both_kinds() -> None:
    shards = [i // 5 for i in range(50)]
    given = {"shards": shards, "shard_window": 1}
    mixed = MixedBatchSampler(50, 4, labelled=10, ratio=5, seed=0, **given)  # type: ignore[arg-type]
    alone = KeyedBatchSampler(10, 4, seed=0, shards=shards[:10], shard_window=1)
    assert [[i for i in b if i < 10] for b in mixed] == list(alone)
    for batch in mixed:
        assert len({shards[i] for i in batch if i >= 10}) == 4


def test_impossible_mixtures_are_refused() -> None:
    for wrong in ({"labelled": 0}, {"labelled": 51}, {"ratio": 0}):
        with pytest.raises(InputError, match="mixture"):
            batches(0, **wrong)
    with pytest.raises(InputError):
        batches(0, batch_size=3, world=2)
