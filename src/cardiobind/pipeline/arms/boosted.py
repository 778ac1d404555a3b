"""Arms that boost trees on what can be written in a table: medical facts, what is measured in ECG and cine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.methods.boosting import Boosted, boosted_of
from cardiobind.modalities.measurable import MEASURABLE
from cardiobind.modalities.tabular.design import gaps_as_nan
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.on_features import Features, check_inputs, fit_on_features
from cardiobind.pipeline.measured import check_measurable, measurements
from cardiobind.pipeline.workspace import Stage


def table_features(cell: Cell) -> Features:
    """Return how samples become the columns of the table, NaN where nothing was observed."""
    cohort, contract = cell.study.cohort, cell.study.protocol.contract
    if contract is None:
        raise ConfigError("the arm needs a table", where=cell.arm.name, hint="add a section [tabular]")
    return lambda wanted: gaps_as_nan(contract.encode(cohort.table.iloc[wanted]))


def measured_features(cell: Cell, modality: str) -> Features:
    """Return how samples that have a signal become what is measured in it, NaN where it cannot be measured."""
    stored, rows = measurements(cell.study, modality), np.flatnonzero(cell.study.cohort.has(modality))
    return lambda wanted: np.asarray(stored[np.searchsorted(rows, wanted)], dtype=np.float32)


def rehearse_boosted(cell: Cell, sees: tuple[str, ...]) -> None:
    """Check inputs, kind of endpoint, and that what is to be measured can be."""
    check_inputs(cell, sees)
    boosted_of(cell.task.kind, cell.objective())
    for modality in set(sees) & set(MEASURABLE):
        check_measurable(cell.study, modality, cell.arm.name)


def fit_boosted(cell: Cell, stage: Stage, sees: tuple[str, ...]) -> None:
    """Boost trees on the features of all modalities that the arm sees, side by side."""
    parts = [FEATURES[modality](cell) for modality in sees]

    def features(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.concatenate([part(wanted) for part in parts], axis=1)

    fit_on_features(cell, stage, sees, features, boosted_of(cell.task.kind, cell.objective()), _chosen)


def _chosen(model: Boosted) -> dict[str, object]:
    outputs = zip(model.trees, model.rounds, strict=True)
    return {"trees": [{**asdict(trees), "rounds": rounds} for trees, rounds in outputs]}


FEATURES: Mapping[str, Callable[[Cell], Features]] = {
    **{modality: partial(measured_features, modality=modality) for modality in MEASURABLE}, "tabular": table_features,
}  # fmt: skip


def _register(name: str, *sees: str) -> None:
    ARMS.register(name)(Arm(partial(fit_boosted, sees=sees), partial(rehearse_boosted, sees=sees)))


_register("boosted_table", "tabular")
_register("boosted_ecg", "ecg")
_register("boosted_ecg_table", "ecg", "tabular")
_register("boosted_cmr", "cmr")
_register("boosted_all", "cmr", "ecg", "tabular")
