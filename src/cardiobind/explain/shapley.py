"""Shapley values of few players exactly, of many by permutations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

from cardiobind.rng import generator

Floats = NDArray[np.float64]
Coalitions = NDArray[np.bool_]
_MOST_EXACT = 7


def exact(players: int, value: Callable[[Coalitions], Floats]) -> Floats:
    """Return the Shapley value of each player, (players,): the mean over orders of what its coming changes.

    Args:
        players: at most 16; the game is played in all 2 ** players coalitions.
        value: values (n,) of coalitions (n, players).

    Source: Shapley 1953.
    """
    everybody = range(players)
    teams = [team for size in range(players + 1) for team in combinations(everybody, size)]
    coalitions = np.zeros((len(teams), players), dtype=bool)
    for row, team in enumerate(teams):
        coalitions[row, list(team)] = True
    worth = dict(zip(teams, value(coalitions), strict=True))
    found = np.zeros(players)
    for team in teams:
        for player in set(everybody) - set(team):
            joined = tuple(sorted((*team, player)))
            found[player] += _weight(len(team), players) * (worth[joined] - worth[team])
    return found


def by_permutations(
    players: int, value: Callable[[Coalitions], Floats], permutations: int
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return Shapley values over some orders of the players, each order with its reverse, and their standard errors.

    Whichever orders are taken, the values add up to that of all players less that of none. The orders are always the
    same for the same number of players. Few players are counted exactly, without an error.

    Args:
        players: number of players.
        value: values (n,) of coalitions (n, players).
        permutations: orders to take, an even number.

    Source: Castro, Gomez and Tejada 2009; Mitchell et al., JMLR 2022 (each order with its reverse).
    """
    if players <= _MOST_EXACT:
        return exact(players, value), np.zeros(players)
    orders = _orders(players, permutations)
    coalitions = np.zeros((len(orders), players + 1, players), dtype=bool)
    for row, order in enumerate(orders):
        for size in range(players):
            coalitions[row, size + 1 :, order[size]] = True
    worth = value(coalitions.reshape(-1, players)).reshape(len(orders), players + 1)
    gains = np.empty((len(orders), players))
    np.put_along_axis(gains, np.array(orders), np.diff(worth, axis=1), axis=1)
    pairs = gains.reshape(-1, 2, players).mean(axis=1)
    return gains.mean(axis=0), pairs.std(axis=0, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.zeros(players)


def _orders(players: int, permutations: int) -> Sequence[NDArray[np.intp]]:
    rng = generator(0, "explain.permutations", players)
    firsts = [rng.permutation(players) for _ in range(max(1, permutations // 2))]
    return [order for first in firsts for order in (first, first[::-1])]


def _weight(size: int, players: int) -> float:
    return factorial(size) * factorial(players - size - 1) / factorial(players)
