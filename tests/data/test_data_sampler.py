"""The order of data is a function of (seed, epoch), whatever the number of processes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind.data.sampler import KeyedBatchSampler
from cardiobind.errors import InputError


def batches(sampler: KeyedBatchSampler, epoch: int) -> list[list[int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 3), st.integers(0, 10**6))
def test_every_index_once_an_epoch(size: int, batch: int, seed: int, epoch: int) -> None:
    sampler = KeyedBatchSampler(size, batch, seed=seed, drop_last=False)
    seen = batches(sampler, epoch)
    assert sorted(i for b in seen for i in b) == list(range(size))
    assert len(seen) == len(sampler)


@given(st.integers(1, 60), st.integers(1, 20))
def test_training_batches_are_full_unless_there_is_only_one(size: int, batch: int) -> None:
    seen = batches(KeyedBatchSampler(size, batch, seed=0), 0)
    assert {len(b) for b in seen} == {min(size, batch)}
    flat = [i for b in seen for i in b]
    assert len(set(flat)) == len(flat) > size - batch


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_see_what_one_process_sees(world: int) -> None:
    alone = batches(KeyedBatchSampler(50, 8, seed=5), 3)
    ranks = [batches(KeyedBatchSampler(50, 8, seed=5, rank=r, world=world), 3) for r in range(world)]
    assert [[i for part in parts for i in part] for parts in zip(*ranks, strict=True)] == alone
    assert all(len(b) == 8 // world for rank in ranks for b in rank)


def test_history_does_not_matter() -> None:
    walked = KeyedBatchSampler(30, 4, seed=1)
    for epoch in range(3):
        batches(walked, epoch)
    assert batches(walked, 7) == batches(KeyedBatchSampler(30, 4, seed=1), 7)
    assert batches(walked, 7) != batches(walked, 8)
    assert batches(walked, 7) != batches(KeyedBatchSampler(30, 4, seed=2), 7)


@pytest.mark.parametrize(
    ("size", "batch", "options"),
    [
        (0, 1, {}),
        (1, 0, {}),
        (4, 2, {"rank": 1}),
        (8, 3, {"world": 2}),
        (1, 2, {"world": 2}),
        (9, 4, {"world": 4, "drop_last": False}),
    ],
)
def test_impossible_shares_are_refused(size: int, batch: int, options: dict[str, int]) -> None:
    with pytest.raises(InputError):
        KeyedBatchSampler(size, batch, seed=0, **options)
