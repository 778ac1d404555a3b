"""The plan of a run in rounds, and what is remembered from round to round: history, best weights, patience."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from torch import Tensor

from cardiobind.training.history import History, Row
from cardiobind.training.protocol import BatchOrder
from cardiobind.training.settings import TrainingSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Which steps make a round: a round ends with validation and may end with a checkpoint.

    Attributes:
        total: optimiser steps of the run.
        steps_per_epoch: steps of one pass over the training subjects.
        round_steps: steps of a round; the last one may have fewer.
    """

    total: int
    steps_per_epoch: int
    round_steps: int

    @classmethod
    def of(cls, settings: TrainingSettings, steps_per_epoch: int) -> Plan:
        """Return the plan that the settings ask for."""
        return cls(settings.total_steps(steps_per_epoch), steps_per_epoch, settings.round_steps or steps_per_epoch)

    @property
    def rounds(self) -> int:
        """Number of rounds."""
        return math.ceil(self.total / self.round_steps)

    def steps(self, round_: int) -> range:
        """Return the steps of a round, counted from 0 over the whole run."""
        return range(round_ * self.round_steps, min(self.total, (round_ + 1) * self.round_steps))

    def place(self, step: int) -> tuple[int, int]:
        """Return the epoch of a step and its position in the epoch."""
        return divmod(step, self.steps_per_epoch)


class RoundBatches:
    """The batches of one round, whichever epochs it falls in.

    Args:
        order: batches of an epoch.
        plan: of the run.
        round_: number of the round, from 0.
        first_step: of the run; steps of the round before it have been made.
    """

    def __init__(self, order: BatchOrder, plan: Plan, round_: int, first_step: int = 0) -> None:
        steps = plan.steps(round_)
        self._order, self._plan, self._steps = order, plan, range(max(first_step, steps.start), steps.stop)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[int]]:
        held: tuple[int, list[list[int]]] = (-1, [])
        for step in self._steps:
            epoch, position = self._plan.place(step)
            if held[0] != epoch:
                self._order.set_epoch(epoch)
                held = (epoch, list(islice(self._order, self._plan.steps_per_epoch)))
            yield held[1][position]


class Rounds:
    """What a run remembers between rounds.

    Args:
        monitor: validation value that chooses the weights.
        higher_is_better: its direction.
        patience: rounds without improvement before the run stops, or None.
        min_delta: smallest improvement that patience counts.
    """

    def __init__(self, monitor: str, *, higher_is_better: bool, patience: int | None, min_delta: float) -> None:
        self._sign = 1.0 if higher_is_better else -1.0
        self._patience, self._min_delta = patience, min_delta
        self.history = History(monitor)
        self.best_weights: dict[str, Tensor] | None = None
        self._reference = -math.inf
        self._waited = 0

    @property
    def done(self) -> int:
        """Rounds done."""
        return len(self.history.rows)

    def end(self, row: Row, weights: Mapping[str, Tensor]) -> None:
        """Take in a round: its row, and the weights after it if they are the best so far."""
        self.history.rows.append(row)
        value = row.get(f"validation_{self.history.monitor}")
        if value is None:
            return
        score = self._sign * value
        best = self.history.best_value
        if math.isfinite(score) and (best is None or score > self._sign * best):
            self.history.best_round, self.history.best_value = self.done, float(value)
            self.history.weights = "best"
            self.best_weights = {name: t.detach().cpu().clone() for name, t in weights.items()}
        self._wait(score)

    def _wait(self, score: float) -> None:
        if score > self._reference + self._min_delta:
            self._reference, self._waited = score, 0
        else:
            self._waited += 1
        self.history.stopped_early = self._patience is not None and self._waited >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Return plain values and tensors that `load_state_dict` reads back."""
        return {
            "history": asdict(self.history), "best_weights": self.best_weights,
            "reference": self._reference, "waited": self._waited,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.history = History(**state["history"])
        self.best_weights = state["best_weights"]
        self._reference, self._waited = state["reference"], state["waited"]
