"""What the arms have in common that fit a model on features computed beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import ConfigError
from cardiobind.methods.linear_probes import Split
from cardiobind.objectives.endpoints import EndpointObjective
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.scores import Places, predictions_frame, score
from cardiobind.pipeline.workspace import Stage

Features = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Samples of the cohort (n,) -> their features (n, d)."""


class Model(Protocol):
    """A fitted model."""

    def predicted(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what is said of each subject, as `EndpointObjective.predicted`."""
        ...


Fitted = TypeVar("Fitted", bound=Model)
Fit = Callable[[EndpointObjective, Split, Split, int], Fitted]
"""(objective, training, validation, seed) -> model, what is free in it chosen on validation."""


def fit_on_features(
    cell: Cell, stage: Stage, sees: Sequence[str], features: Features, fit: Fit[Fitted],
    facts: Callable[[Fitted], Mapping[str, object]],
) -> None:  # fmt: skip
    """Fit a model on the labelled training subjects who have all that it sees and commit its scores.

    Args:
        cell: whose labels are used.
        stage: to commit to.
        sees: modalities that the features are made from; every input set that is scored holds them.
        features: of samples that have them.
        fit: makes the model; it is not fitted again with the validation subjects.
        facts: what is written of the model beside its scores.
    """
    cohort = cell.study.cohort
    rows = cohort.rows_with(cell.training_rows(), sees, every=True)
    held_out = cell.scored_rows("validation", "+".join(sees))
    both = features(np.concatenate([rows, held_out]))
    train, validation = Split(both[: len(rows)], cell.labels[rows]), Split(both[len(rows) :], cell.labels[held_out])
    model = fit(cell.objective(), train, validation, cell.seed)

    def predicted(wanted: NDArray[np.int64], places: Places) -> dict[str, NDArray[np.float64]]:
        said = model.predicted(features(wanted))
        return {inputs: said[own] for inputs, own in places.items()}

    scores = score(cell, predicted)
    with stage.commit() as folder:
        written = cell.description() | {"training_labels": len(rows)} | dict(facts(model))
        (folder / "probe.json").write_text(json.dumps(written, indent=1))
        predictions_frame(cell, scores).to_parquet(folder / "predictions.parquet", index=False)


def check_inputs(cell: Cell, sees: Sequence[str]) -> None:
    """Check that an arm is scored on input sets that hold all it sees.

    Raises:
        ConfigError: one does not, or the experiment lacks a modality.
    """
    wanted = "+".join(sees)
    absent = [m for m in sees if m not in cell.study.modalities]
    if absent:
        raise ConfigError(f"the arm {cell.arm.name!r} needs a modality that the experiment lacks", where=absent[0])
    for inputs in cell.inputs:
        if not set(sees) <= set(inputs.split("+")):
            raise ConfigError(
                f"the arm {cell.arm.name!r} sees {wanted}, which is not in the inputs it would be scored on",
                where="arms.inputs", got=inputs, hint=f'give the arm inputs of its own, such as ["{wanted}"]',
            )  # fmt: skip
