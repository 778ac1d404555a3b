"""Shapley values against the definition by all orders, and their axioms."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from cardiobind.explain.shapley import by_permutations, exact

Game = Any


def random_game(players: int, seed: int = 0) -> Game:
    values = np.random.default_rng(seed).normal(size=2**players)
    return lambda teams: values[teams @ 2 ** np.arange(players)]


def by_all_orders(players: int, value: Game) -> np.ndarray[Any, Any]:
    found, orders = np.zeros(players), list(permutations(range(players)))
    for order in orders:
        team = np.zeros((1, players), dtype=bool)
        for player in order:
            before = float(value(team)[0])
            team[0, player] = True
            found[player] += (float(value(team)[0]) - before) / len(orders)
    return found


@pytest.mark.parametrize("players", [1, 2, 3, 5])
def test_exact_values_are_the_mean_over_all_orders(players: int) -> None:
    game = random_game(players)
    np.testing.assert_allclose(exact(players, game), by_all_orders(players, game), atol=1e-12)


def test_few_players_are_counted_exactly() -> None:
    game = random_game(4)
    values, error = by_permutations(4, game, 2)
    np.testing.assert_allclose(values, exact(4, game), atol=1e-12)
    assert not error.any()


def test_many_players_of_an_additive_game_get_their_own_worth() -> None:
    worth = np.random.default_rng(2).normal(size=20)
    values, error = by_permutations(20, lambda teams: teams @ worth, 8)
    np.testing.assert_allclose(values, worth, atol=1e-12)
    np.testing.assert_allclose(error, 0, atol=1e-12)


def test_of_any_game_they_add_up_and_who_changes_nothing_gets_nothing() -> None:
    weights = np.random.default_rng(3).normal(size=12)
    weights[5] = 0.0

    def game(teams: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(np.tanh(teams @ weights) + (teams @ weights) ** 2)

    values, error = by_permutations(12, game, 16)
    ends = game(np.array([[False] * 12, [True] * 12]))
    assert values.sum() == pytest.approx(ends[1] - ends[0])
    assert values[5] == 0
    exactly = exact(12, game)
    assert np.abs(values - exactly).max() < 5 * error.max()


def test_they_are_the_same_each_time() -> None:
    game = random_game(10)
    np.testing.assert_array_equal(by_permutations(10, game, 8)[0], by_permutations(10, game, 8)[0])
