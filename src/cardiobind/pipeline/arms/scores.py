"""What an arm says of the held-out subjects, as the rows that the evaluation reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.predictions import ROWS

Scores = dict[str, dict[str, NDArray[np.float64]]]


Places = Mapping[str, NDArray[np.int64]]
Predicted = Callable[[NDArray[np.int64], Places], Mapping[str, NDArray[np.float64]]]
"""(samples, places among them by input set) -> what is said of the samples at the places, by input set."""


def score(cell: Cell, predicted: Predicted) -> Scores:
    """Return the scores of all held-out samples, by input set and split, aligned with `Cell.scored_rows`.

    Args:
        cell: whose samples are scored.
        predicted: sees each sample once for all input sets.
    """
    found: Scores = {inputs: {} for inputs in cell.inputs}
    for split in ("validation", "test"):
        rows = {inputs: cell.scored_rows(split, inputs) for inputs in cell.inputs}
        scored = {inputs: own for inputs, own in rows.items() if len(own)}
        every = np.unique(np.concatenate(list(rows.values())))
        said = predicted(every, {i: np.searchsorted(every, own) for i, own in scored.items()}) if scored else {}
        for inputs in rows:
            found[inputs][split] = said.get(inputs, np.empty(0))
    return found


def predictions_frame(cell: Cell, scores: Scores) -> pd.DataFrame:
    """Return the table that the evaluation reads, see `cardiobind.evaluation.cells.read_cells`."""
    samples, frames = cell.study.cohort.samples, []
    task = cell.task
    for inputs, by_split in scores.items():
        for split, values in by_split.items():
            rows = cell.scored_rows(split, inputs)
            keys = samples.iloc[rows][["subject", "visit"]].reset_index(drop=True).assign(inputs=inputs, split=split)
            frames.append(ROWS.get(task.kind)(task, keys, cell.labels[rows], values))
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(
        arm=cell.arm.name, fraction=cell.fraction, seed=cell.seed, task=cell.study.experiment.protocol.task
    )
