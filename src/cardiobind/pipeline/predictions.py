"""Rows of ``predictions.parquet`` for each kind of endpoint; `cardiobind.evaluation.cells.read_cells` reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.registry import Registry
from cardiobind.tasks import Task

Floats = NDArray[np.float64]

ROWS: Registry[Callable[[Task, pd.DataFrame, Floats, Floats], pd.DataFrame]] = Registry("kind of prediction")
"""By kind of task: (task, keys of n samples, labels, scores) -> rows with label, score and what else the kind needs."""


@ROWS.register("binary")
def binary(task: Task, keys: pd.DataFrame, labels: Floats, scores: Floats) -> pd.DataFrame:
    """Return a row a sample: label 1 or 0, score a probability."""
    return keys.assign(label=labels, score=scores)


@ROWS.register("regression")
def regression(task: Task, keys: pd.DataFrame, labels: Floats, scores: Floats) -> pd.DataFrame:
    """Return a row a sample: label and score in the unit of the task."""
    return keys.assign(label=labels, score=scores, kind=task.kind)


@ROWS.register("survival")
def survival(task: Task, keys: pd.DataFrame, labels: Floats, scores: Floats) -> pd.DataFrame:
    """Return a row a sample: label whether the event came, `time_days`, score the risk by the horizon."""
    labels = labels.reshape(-1, 2)
    return keys.assign(label=labels[:, 1], time_days=labels[:, 0], score=scores, kind=task.kind)


@ROWS.register("multilabel")
def multilabel(task: Task, keys: pd.DataFrame, labels: Floats, scores: Floats) -> pd.DataFrame:
    """Return a row a sample and label, named in `output`: label 1, 0 or unknown, score a probability."""
    shape = (len(keys), len(task.members))
    columns = zip(task.members, labels.reshape(shape).T, scores.reshape(shape).T, strict=True)
    rows = [keys.assign(label=y, score=s, kind=task.kind, output=name) for name, y, s in columns]
    return pd.concat(rows, ignore_index=True)
