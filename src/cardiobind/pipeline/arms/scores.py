"""What an arm says of the held-out subjects, as the rows that the evaluation reads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.predictions import ROWS

Scores = dict[str, dict[str, NDArray[np.float64]]]


def score(cell: Cell, predicted: Callable[[NDArray[np.int64], tuple[str, ...]], NDArray[np.float64]]) -> Scores:
    """Return the scores of all held-out samples, by input set and split, aligned with `Cell.scored_rows`."""
    found: Scores = {}
    for inputs in cell.inputs:
        rows = {split: cell.scored_rows(split, inputs) for split in ("validation", "test")}
        modalities = tuple(inputs.split("+"))
        found[inputs] = {s: predicted(chosen, modalities) if len(chosen) else np.empty(0) for s, chosen in rows.items()}
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
