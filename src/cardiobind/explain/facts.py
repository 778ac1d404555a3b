"""Attribution over the facts of the table: what each adds to the score when it becomes known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.explain.explanation import FactShare
from cardiobind.explain.score import SubjectScore
from cardiobind.explain.shapley import by_permutations
from cardiobind.explain.signals import completeness
from cardiobind.modalities.features.wording import title_and_unit
from cardiobind.modalities.tabular.contract import TableContract

Floats = NDArray[np.float64]

PERMUTATIONS = 32
_ROWS = 256
_ROUNDING = 1e-4


def fact_shares(
    score: SubjectScore, contract: TableContract, x: Tensor, *, alone: bool, permutations: int = PERMUTATIONS
) -> tuple[tuple[FactShare, ...], dict[str, Any]]:  # fmt: skip
    """Return what each fact adds to the score, in the order of the contract, and how it was found.

    A fact that is hidden becomes the network's own code of a missing one; a fact that was not given has 0.

    Args:
        score: of the subject.
        contract: of the table.
        x: (1, features, 2) encoded table.
        alone: by how much the score falls when this fact alone is hidden, instead of its Shapley value.
        permutations: orders of the facts over which Shapley values are taken, an even number.
    """
    known = np.flatnonzero(x[0, :, 1].numpy() != 0)
    game = _Game(score, x, known)
    if alone:
        values, how = _fall(game, len(known))
    else:
        values, how = _shapley(game, len(known), permutations)
    full = np.zeros(x.shape[1])
    full[known] = values
    return _worded(contract, x, full), how


class _Game:
    """The score as a game of the facts that are known: those of a coalition are shown."""

    def __init__(self, score: SubjectScore, x: Tensor, known: NDArray[np.intp]) -> None:
        self.score, self.x, self.known = score, x, known

    @torch.no_grad()
    def __call__(self, coalitions: NDArray[np.bool_]) -> Floats:
        """Return the scores (n,) with the facts of each coalition (n, known) alone."""
        distinct, back = np.unique(coalitions, axis=0, return_inverse=True)
        shown = torch.zeros(len(distinct), self.x.shape[1], dtype=torch.bool)
        shown[:, torch.from_numpy(self.known)] = torch.from_numpy(distinct)
        tables = torch.where(shown[..., None], self.x, 0.0)
        found = [self.score.with_signal("tabular", tables[i : i + _ROWS]) for i in range(0, len(tables), _ROWS)]
        return np.asarray(torch.cat(found).double().numpy()[back.reshape(-1)])


def _shapley(game: _Game, facts: int, permutations: int) -> tuple[Floats, dict[str, Any]]:
    values, error = by_permutations(facts, game, permutations)
    difference = _difference(game, facts)
    return values, {
        "method": "shapley values over permutations", "permutations": permutations,
        "largest_standard_error": float(error.max(initial=0.0)),
        **completeness(values, difference, _ROUNDING * max(1.0, abs(difference))),
    }  # fmt: skip


def _fall(game: _Game, facts: int) -> tuple[Floats, dict[str, Any]]:
    everything = np.ones((1, facts), dtype=bool)
    worth = game(np.concatenate([everything, ~np.eye(facts, dtype=bool)]))
    values = np.asarray(worth[0] - worth[1:])
    return values, {
        "method": "hidden one at a time", "sum": float(values.sum()), "difference": _difference(game, facts),
        "complete": None,
    }  # fmt: skip


def _difference(game: _Game, facts: int) -> float:
    """Return by how much the score with all facts is above that with every fact unknown."""
    nothing, everything = game(np.array([[False] * facts, [True] * facts]))
    return float(everything - nothing)


def _worded(contract: TableContract, x: Tensor, values: Floats) -> tuple[FactShare, ...]:
    given = contract.decode(x.double().numpy()).iloc[0]
    shares = []
    for column, value in zip(contract.columns, values, strict=True):
        title, unit = title_and_unit(column.feature)
        shares.append(FactShare(column.name, title, unit, _plain(given[column.name], column.kind), float(value)))
    return tuple(shares)


def _plain(value: Any, kind: str) -> float | str | bool | None:
    if pd.isna(value):
        return None
    if kind == "category":
        return str(value)
    return bool(round(value)) if kind == "flag" else float(f"{value:.6g}")
