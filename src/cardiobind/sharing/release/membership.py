"""How well the losses of a network tell whom it was trained on: the simplest attack on its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from cardiobind.errors import InputError
from cardiobind.evaluation.metrics import auroc
from cardiobind.evaluation.uncertainty.delong import delong_interval

FEWEST = 20
"""Training and test subjects below which nothing is measured."""


@dataclass(frozen=True)
class Membership:
    """What an attacker who knows a subject's label and score learns of whether they were trained on.

    Attributes:
        inputs: input set.
        trained, others: subjects.
        auroc: probability that one trained on has the smaller loss; 0.5 tells nothing.
        low, high: 95 % interval (DeLong); None where it is undefined.
        advantage: largest difference of hit rate and false alarms, 0 to 1.
    """

    inputs: str
    trained: int
    others: int
    auroc: float
    low: float | None
    high: float | None
    advantage: float

    def __str__(self) -> str:
        known = self.low is not None and self.high is not None
        interval = f"95 % {self.low:.3f} to {self.high:.3f}; " if known else ""
        return (
            f"{self.inputs}: losses tell {self.trained} training from {self.others} test subjects with AUROC "
            f"{self.auroc:.3f} ({interval}0.5 is nothing), advantage {self.advantage:.3f}"
        )


def membership(predictions: pd.DataFrame | Path | str) -> list[Membership]:
    """Return for each input set how well losses tell training from test subjects.

    Args:
        predictions: table with columns ``split`` (``train`` and ``test``), ``label``, ``score`` (a probability, or a
            number like the label) and ``inputs`` where there are several; a Parquet or CSV file of them.

    Raises:
        InputError: a column, or enough subjects of a split, are not there.

    Source: Yeom et al. 2018 (attack by the loss).
    """
    frame = _read(predictions).reset_index(drop=True)
    absent = [name for name in ("split", "label", "score") if name not in frame]
    if absent:
        raise InputError(
            "the predictions lack columns", where="predictions", expected="split, label, score", got=absent
        )
    inputs = frame["inputs"] if "inputs" in frame else pd.Series("all inputs", index=frame.index)
    known = frame[frame["label"].notna() & frame["score"].notna()]
    return [_measured(str(name), rows) for name, rows in known.groupby(inputs[known.index], sort=False)]


def _measured(inputs: str, rows: pd.DataFrame) -> Membership:
    losses: Mapping[str, NDArray[np.float64]] = {
        split: _losses(rows[rows["split"] == split]) for split in ("train", "test")
    }
    if min(len(own) for own in losses.values()) < FEWEST:
        raise InputError(
            "too few subjects with label and score to measure membership", where=f"predictions, {inputs}",
            expected=f"{FEWEST} of split train and {FEWEST} of split test",
            got=", ".join(f"{len(own)} {split}" for split, own in losses.items()),
            hint="score the training subjects too: a run writes validation and test alone",
        )  # fmt: skip
    member = np.concatenate([np.ones(len(losses["train"])), np.zeros(len(losses["test"]))])
    scores = -np.concatenate([losses["train"], losses["test"]])
    interval = delong_interval(member, scores[None], np.arange(len(member)))
    advantage = float(ks_2samp(losses["train"], losses["test"]).statistic)
    return Membership(
        inputs, len(losses["train"]), len(losses["test"]), auroc(member, scores), interval["low"], interval["high"],
        advantage,
    )  # fmt: skip


def _losses(rows: pd.DataFrame) -> NDArray[np.float64]:
    label, score = rows["label"].to_numpy(dtype=np.float64), rows["score"].to_numpy(dtype=np.float64)
    if not (np.isin(label, (0.0, 1.0)).all() and ((score >= 0) & (score <= 1)).all()):
        distance: NDArray[np.float64] = np.abs(label - score)
        return distance
    inside = score.clip(1e-12, 1 - 1e-12)
    loss: NDArray[np.float64] = -np.log(np.where(label == 1.0, inside, 1 - inside))
    return loss


def _read(predictions: pd.DataFrame | Path | str) -> pd.DataFrame:
    if isinstance(predictions, pd.DataFrame):
        return predictions
    path = Path(predictions)
    try:
        found: Any = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError("the predictions cannot be read", where=path, expected="Parquet or CSV") from error
    return pd.DataFrame(found)
