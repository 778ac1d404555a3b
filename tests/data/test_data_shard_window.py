"""Windows of shards: every subject once an epoch, few shards at a time, the same at any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind import rng
from cardiobind.data import KeyedBatchSampler
from cardiobind.errors import InputError

SHARDS = np.sort(rng.generator(0, "shards of samples").integers(0, 12, 300))


def sampler(**options):
    return KeyedBatchSampler(300, 30, seed=5, **{"shards": SHARDS, "shard_window": 3} | options)


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 25), st.integers(0, 5))
def test_every_sample_comes_once(size, shards, window, epoch):
    held = rng.generator(1, "held", size, shards).integers(0, shards, size)
    order = KeyedBatchSampler(size, 1, seed=2, shards=held, shard_window=window).order(epoch)
    assert sorted(order) == list(range(size))


def test_no_more_shards_than_the_window_are_open():
    order = np.array(sampler().order(0))
    opened = SHARDS[order]
    first = {s: int(np.flatnonzero(opened == s)[0]) for s in np.unique(opened)}
    last = {s: int(np.flatnonzero(opened == s)[-1]) for s in np.unique(opened)}
    assert max(sum(first[s] <= i <= last[s] for s in first) for i in range(300)) <= 3


def test_it_is_a_function_of_seed_and_epoch():
    assert sampler().order(4) == sampler().order(4)
    assert sampler().order(4) != sampler().order(5)
    assert sampler().order(0) != KeyedBatchSampler(300, 30, seed=6, shards=SHARDS, shard_window=3).order(0)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_the_same_samples_meet_at_any_number_of_processes(world):
    parts = [list(sampler(rank=rank, world=world)) for rank in range(world)]
    assert [[i for share in shares for i in share] for shares in zip(*parts, strict=True)] == list(sampler())


def test_shards_and_samples_within_a_window_are_shuffled():
    order = np.array(sampler().order(0))
    assert not np.array_equal(SHARDS[order[:20]], np.sort(SHARDS[order[:20]]))
    assert set(SHARDS[order[:60]]) != set(SHARDS[np.array(sampler().order(1))[:60]])


def test_one_window_over_all_shards_is_a_full_shuffle():
    assert len(set(SHARDS[np.array(sampler(shard_window=12).order(0))[:60]])) > 8


@pytest.mark.parametrize("options", [{"shards": None}, {"shards": SHARDS[:-1]}, {"shard_window": 0}])
def test_shards_have_to_match(options):
    with pytest.raises(InputError, match="window of shards"):
        sampler(**options)


def test_without_a_window_shards_do_not_matter():
    assert sampler(shard_window=None).order(2) == KeyedBatchSampler(300, 30, seed=5).order(2)
