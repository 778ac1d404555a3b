"""What happened in a run: one row a round, in memory and as JSONL, CSV and TensorBoard files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import pandas as pd

Row = dict[str, float | int]


@dataclass
class History:
    """The course of a training run.

    Attributes:
        rows: one a round: ``round``, ``step``, ``epoch``, ``learning_rate``, ``gradient_norm``, ``train_*`` means over
            the round and ``validation_*`` values.
        monitor: the validation value that chose the weights.
        weights: ``best`` if the method holds those of the best round, ``last`` if there was nothing to choose by.
        best_round: the round whose weights are held, or None.
        best_value: its monitor, or None.
        stopped_early: whether patience ran out.
        seconds: time spent in training, over all interruptions.
        precision: arithmetic of the run, ``32-true`` or ``bf16-mixed``.
    """

    monitor: str
    rows: list[Row] = field(default_factory=list)
    weights: Literal["best", "last"] = "last"
    best_round: int | None = None
    best_value: float | None = None
    stopped_early: bool = False
    seconds: float = 0.0
    precision: str = "32-true"

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)

    @property
    def steps(self) -> int:
        """Optimiser steps made."""
        return int(self.rows[-1]["step"]) if self.rows else 0


class RunLog:
    """Writes the rows of a run; after a resume the files hold exactly the rows of the checkpoint.

    Args:
        folder: gets ``history.jsonl``, ``history.csv`` and, where TensorBoard is installed, ``tensorboard/``.
        rows: those of the checkpoint the run goes on from.
    """

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._jsonl, self._csv = folder / "history.jsonl", folder / "history.csv"
        self._jsonl.write_text("".join(_json_line(row) for row in rows))
        self._write_csv(rows)
        self._board = _summary_writer(folder / "tensorboard", int(rows[-1]["step"]) + 1 if rows else 0)

    def add(self, rows: list[Row]) -> None:
        """Write the last of `rows`, which are all of the run so far."""
        row = rows[-1]
        with self._jsonl.open("a") as stream:
            stream.write(_json_line(row))
        self._write_csv(rows)
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Flush and close what is open."""
        if self._board is not None:
            self._board.close()

    def _write_csv(self, rows: list[Row]) -> None:
        pd.DataFrame(rows).to_csv(self._csv, index=False)


def _json_line(row: Row) -> str:
    return json.dumps({k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}) + "\n"


def _summary_writer(folder: Path, first_step: int) -> Any | None:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard.writer import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)
