"""Arms that are linear models on features that are not trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.methods.linear_probes import FitProbe, Probe, probe_of
from cardiobind.methods.probe import mean_token_features
from cardiobind.models import Tower
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.on_features import Features, fit_on_features
from cardiobind.pipeline.pretrain import dataset
from cardiobind.pipeline.workspace import Stage


def build_encoders(cell: Cell) -> dict[str, Tower]:
    """Return the towers of the one input set that a linear arm is fitted for."""
    towers = cell.towers()
    return {modality: towers[modality] for modality in single_input(cell).split("+")}


def rehearse_encoders(cell: Cell) -> None:
    """Build the towers of a linear arm and show them a training subject."""
    towers, study = build_encoders(cell), cell.study
    linear_model(cell)
    rows = study.cohort.rows_with(study.protocol.rows("train"), tuple(towers), every=True)[:1]
    if len(rows):
        mean_token_features(towers, dataset(study, rows, tuple(towers)), **cell.arm.options)  # type: ignore[arg-type]


def fit_linear_probe(cell: Cell, stage: Stage) -> None:
    """Fit the linear model of the endpoint's kind on the mean tokens of frozen encoders."""
    towers, chosen = build_encoders(cell), cell.arm.options

    def features(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return mean_token_features(towers, dataset(cell.study, wanted, tuple(towers)), **chosen)  # type: ignore[arg-type]

    fit_probe(cell, stage, features)


def linear_model(cell: Cell) -> FitProbe:
    """Return how the linear model of the endpoint's kind is fitted.

    Raises:
        ConfigError: the objective's logits cannot be those of a linear model.
    """
    return probe_of(cell.task.kind, cell.objective())


def fit_probe(cell: Cell, stage: Stage, features: Features) -> None:
    """Fit the linear model on features of the arm's one input set and commit its scores."""
    sees = tuple(single_input(cell).split("+"))
    fit_on_features(cell, stage, sees, features, linear_model(cell), penalty_of)


def penalty_of(probe: Probe) -> dict[str, object]:
    """Return the penalty that validation chose, as it is written beside the scores."""
    return {"regularisation_c": probe.penalty}


def single_input(cell: Cell) -> str:
    """Return the one input set of a linear arm.

    Raises:
        ConfigError: it has several.
    """
    inputs = cell.inputs
    if len(inputs) != 1:
        hint = "give the arm inputs of its own"
        raise ConfigError(
            "a linear arm is fitted for one input set", where=cell.arm.name, got=", ".join(inputs), hint=hint
        )
    return inputs[0]


ARMS.register("linear_probe")(Arm(fit_linear_probe, rehearse_encoders, mean_token_features, given=2))
