"""The arm that learns from all training subjects, with the labels of a few."""

from __future__ import annotations

from functools import partial

import numpy as np

from cardiobind.data import CohortDataset, MixedBatchSampler
from cardiobind.methods import SemiSupervised
from cardiobind.pipeline.arms import ARMS, Arm, Cell, build_network, fine_tune, rehearse_network
from cardiobind.pipeline.workspace import Stage


def labelled_and_other(cell: Cell) -> CohortDataset:
    """Return all training samples, first those whose labels may be learnt from; the labels of the others are hidden."""
    study, rows = cell.study, cell.training_rows()
    every = study.cohort.rows_with(study.protocol.rows("train"), cell.modalities)
    labels = np.full_like(cell.labels, np.nan)
    labels[rows] = cell.labels[rows]
    order = np.concatenate([rows, np.setdiff1d(every, rows)])
    return CohortDataset(study.cohort, study.protocol, order, cell.modalities, labels)


def fit_semi_supervised(cell: Cell, stage: Stage) -> None:
    """Fine-tune towers and head on few labels, and to agree with their running average about the other subjects."""
    method = build_network(cell, SemiSupervised)
    order = partial(MixedBatchSampler, labelled=len(cell.training_rows()), ratio=method.unlabelled_ratio)
    fine_tune(cell, stage, method, labelled_and_other(cell), order)


ARMS.register("semi_supervised")(
    Arm(fit_semi_supervised, partial(rehearse_network, factory=SemiSupervised), SemiSupervised, exportable=True)
)
