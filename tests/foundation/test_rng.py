"""Keyed randomness: golden values, no dependence on order or history, uniform numbers."""

from __future__ import annotations

import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardiobind import rng
from cardiobind.rng import Key

KEYS = st.lists(st.one_of(st.integers(-(2**70), 2**70), st.text("abcdef0123-_", max_size=8)), max_size=3)


def numbers(*arguments: Key) -> list[int]:
    seed, purpose, *keys = arguments
    return [int(n) for n in rng.generator(int(seed), str(purpose), *keys).integers(0, 1000, 4)]


def test_golden_values() -> None:
    """A change of these changes every published number: it is a new major version."""
    assert numbers(0, "noise") == [73, 730, 622, 95]
    assert numbers(7, "split", 3, "9000001") == [636, 218, 527, 258]
    assert rng.integer(0, "step", 1, 2) == 5_804_027_407_341_723_892
    assert rng.uniform(0, "split", "9000001") == 0.23087413177795768


def test_values_do_not_depend_on_what_was_drawn_before_nor_on_global_state() -> None:
    wanted = {i: numbers(1, "a", i) for i in range(20)}
    order = list(range(20))
    random.Random(0).shuffle(order)  # noqa: S311
    np.random.seed(3)  # noqa: NPY002
    assert {i: numbers(1, "a", i) for i in order} == wanted


def test_another_process_draws_the_same() -> None:
    code = "from cardiobind import rng; print(rng.integer(5, 'x', 'y', 3), rng.generator(5, 'x').random())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == f"{rng.integer(5, 'x', 'y', 3)} {rng.generator(5, 'x').random()}\n"


@given(st.integers(0, 2**63), st.text(max_size=5), KEYS)
def test_same_arguments_same_numbers_within_range(seed: int, purpose: str, keys: list[Key]) -> None:
    assert rng.generator(seed, purpose, *keys).random() == rng.generator(seed, purpose, *keys).random()
    assert 0 <= rng.integer(seed, purpose, *keys) < 2**63
    assert 0.0 <= rng.uniform(seed, purpose, *keys) < 1.0


def test_seed_purpose_keys_and_their_types_each_matter() -> None:
    draws = [
        rng.integer(0, "a"), rng.integer(1, "a"), rng.integer(0, "b"), rng.integer(0, "a", 1),
        rng.integer(0, "a", "1"), rng.integer(0, "a", 1, 2), rng.integer(0, "a", 2, 1), rng.integer(0, "a", 12),
        rng.integer(-1, "a"), rng.integer(0, "a", -1),
    ]  # fmt: skip
    assert len(set(draws)) == len(draws)


def test_numpy_integers_count_as_the_integers_they_equal() -> None:
    assert rng.integer(int(np.int32(4)), "a", np.int64(5)) == rng.integer(4, "a", 5)  # type: ignore[arg-type]
    assert rng.uniform(np.int64(4), "a", np.uint8(5)) == rng.uniform(4, "a", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [(0.5, "a"), (0, "a", 0.5), (0, "a", None), ("0", "a")])
def test_floats_and_other_things_are_no_keys(arguments: tuple[Key, ...]) -> None:
    with pytest.raises(TypeError):
        rng.integer(*arguments)  # type: ignore[arg-type]


def test_uniform_numbers_of_consecutive_subjects_are_uniform_and_uncorrelated() -> None:
    draws = np.array([rng.uniform(0, "split", str(9000001 + i)) for i in range(20_000)])
    counts, _ = np.histogram(draws, bins=50, range=(0, 1))
    chi_square = float(((counts - 400) ** 2 / 400).sum())
    assert chi_square < 49 + 5 * math.sqrt(2 * 49)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 5 / math.sqrt(len(draws))


def test_generators_of_neighbouring_keys_are_uncorrelated() -> None:
    rows = np.stack([rng.generator(0, "noise", i).standard_normal(2000) for i in range(20)])
    correlation = np.corrcoef(rows) - np.eye(20)
    assert np.abs(correlation).max() < 5 / math.sqrt(2000)


def test_integer_uses_all_its_bits() -> None:
    draws = [rng.integer(0, "bits", i) for i in range(2000)]
    for bit in range(63):
        assert 0.42 < sum(d >> bit & 1 for d in draws) / 2000 < 0.58
