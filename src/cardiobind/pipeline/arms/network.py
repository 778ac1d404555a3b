"""Arms that are networks: towers and a fusion head, trained together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cardiobind.data import CohortDataset, KeyedBatchSampler
from cardiobind.errors import ConfigError
from cardiobind.methods import Finetune, learn, predict, predict_each, start_from_probe
from cardiobind.pipeline.arms.base import ARMS, Arm
from cardiobind.pipeline.arms.cell import Cell
from cardiobind.pipeline.arms.linear import linear_model
from cardiobind.pipeline.arms.scores import Places, predictions_frame, score
from cardiobind.pipeline.components import seeded, training_settings
from cardiobind.pipeline.networks import save_network
from cardiobind.pipeline.pretrain import dataset, rehearse_method
from cardiobind.pipeline.workspace import Stage
from cardiobind.training.protocol import OrderFactory

Tuned = TypeVar("Tuned", bound=Finetune)


def build_network(cell: Cell, factory: Callable[..., Tuned]) -> Tuned:
    """Return towers and a fusion head, not yet fine-tuned; a class weighs what the objective makes it weigh.

    Args:
        cell: to build them for.
        factory: `Finetune`, or what has its arguments and more.
    """
    towers = cell.towers()
    seeded(cell.seed, "classifier")
    objective = cell.objective()
    try:
        return factory(towers, objective=objective, **cell.arm.options)
    except TypeError as error:
        raise ConfigError(f"fine-tuning does not take these options: {error}", where=cell.arm.name) from error


def rehearse_network(cell: Cell, factory: Callable[..., Finetune] = Finetune) -> None:
    """Build the network of a cell and show it some training subjects."""
    rehearse_method(cell.study, build_network(cell, factory))
    if cell.arm.classifier == "probe":
        linear_model(cell)


def fit_network(cell: Cell, stage: Stage) -> None:
    """Fine-tune towers and a fusion head; from scratch it is the same code with no parent encoder."""
    train = dataset(cell.study, cell.training_rows(), cell.modalities)
    fine_tune(cell, stage, build_network(cell, Finetune), train, KeyedBatchSampler)


def fine_tune(cell: Cell, stage: Stage, method: Finetune, shown: CohortDataset, order: OrderFactory) -> None:
    """Train the network of a cell and commit it with its scores.

    Args:
        cell: whose labels are used.
        stage: to commit to.
        method: not yet trained.
        shown: training samples; labels that may not be learnt from are unknown there.
        order: of the batches.
    """
    study, rows = cell.study, cell.training_rows()
    validation = study.cohort.rows_with(study.protocol.rows("validation"), cell.modalities)
    validation = validation[cell.kind.known(cell.labels[validation])]
    train = dataset(study, rows, cell.modalities)
    held_out = dataset(study, validation, cell.modalities) if len(validation) else None
    begun = {}
    if cell.arm.classifier == "probe":
        probe = start_from_probe(method, cell.task.kind, train, held_out, seed=cell.seed)
        begun = {"classifier_start": {"regularisation_c": probe.penalty, "validation_labels": len(validation)}}
    settings = training_settings(cell.arm.training or study.experiment.finetune, study.experiment.training)
    history = learn(
        method, shown, held_out, settings, seed=cell.seed, work=stage.work,
        title=f"fine-tune {cell.arm.name}, {cell.fraction:.0%} of labels, seed {cell.seed}",
        progress=study.workspace.reporter, order=order,
    )  # fmt: skip
    objective = method.objective.settled(
        lambda: (predict(method, held_out or train), cell.labels[validation if held_out else rows]),
        lambda: (predict(method, train), cell.labels[rows]),
    )

    def predicted(wanted: NDArray[np.int64], places: Places) -> dict[str, NDArray[np.float64]]:
        inputs = [each.split("+") for each in places]
        data = dataset(study, wanted, sorted({name for each in inputs for name in each}))
        logits = predict_each(method, data, inputs)
        return {i: objective.predicted(own[places[i]]) for i, own in zip(places, logits, strict=True)}

    scores = score(cell, predicted)
    with stage.commit() as folder:
        facts = {"training_labels": len(rows), "crops": method.crops, "objective": objective.to_json()}
        save_network(folder, method.fusion, cell.description() | facts | begun, history)
        predictions_frame(cell, scores).to_parquet(folder / "predictions.parquet", index=False)


ARMS.register("network")(Arm(fit_network, rehearse_network, Finetune, exportable=True, together=True))
