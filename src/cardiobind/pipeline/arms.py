"""The ways of making a predictor that an experiment compares: networks, linear probes, random convolution kernels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.cohort import label_subset
from cardiobind.config import ArmConfig, Experiment, deciding, resolved
from cardiobind.data import CohortDataset, KeyedBatchSampler
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods import Finetune, learn, predict, start_from_probe
from cardiobind.methods.linear_probes import FitProbe, Probe, Split, probe_of
from cardiobind.methods.probe import mean_token_features
from cardiobind.models import RandomKernels, Tower, load_weights
from cardiobind.objectives.endpoints import ENDPOINTS, EndpointObjective
from cardiobind.pipeline.components import (
    ARM_ROOMS,
    Study,
    build_towers,
    check_options,
    seeded,
    training_settings,
)
from cardiobind.pipeline.networks import load_state, save_network
from cardiobind.pipeline.predictions import ROWS
from cardiobind.pipeline.pretrain import dataset, rehearse_method
from cardiobind.pipeline.workspace import Stage
from cardiobind.registry import Registry
from cardiobind.tasks import KINDS, TASKS, Kind, Task
from cardiobind.training import computing
from cardiobind.training.protocol import OrderFactory

Tuned = TypeVar("Tuned", bound=Finetune)
Scores = dict[str, dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Cell:
    """One arm at one share of the labels and one seed.

    Attributes:
        study: the experiment at work.
        arm: how the predictor is made.
        fraction: share of the training labels.
        seed: of the choice of labels and of the training.
        start: artefacts that hold the first weights, by modality; none for an arm from scratch.
    """

    study: Study
    arm: ArmConfig
    fraction: float
    seed: int
    start: Mapping[str, tuple[Artifact, str]]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Input sets that the arm is scored on."""
        return self.arm.inputs or self.study.experiment.evaluation.inputs

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that the arm looks at: those of its own inputs, or all of the experiment."""
        own = {name for inputs in self.arm.inputs or () for name in inputs.split("+")}
        return tuple(m for m in self.study.modalities if not own or m in own)

    @property
    def labels(self) -> NDArray[np.float64]:
        """Labels of each sample of the cohort, (n,) or (n, K), NaN where unknown."""
        labels = self.study.protocol.labels
        if labels is None:
            raise InputError("the protocol has no task", where="protocol.task")
        return labels

    @property
    def task(self) -> Task:
        """The endpoint."""
        return TASKS.get(self.study.experiment.protocol.task)

    @property
    def kind(self) -> Kind:
        """How the labels are read."""
        return KINDS.get(self.task.kind)

    def objective(self) -> EndpointObjective:
        """Return the objective of the endpoint's kind, fitted on the training labels."""
        build = ENDPOINTS.get(self.task.kind).fit
        return build(self.labels[self.training_rows()], **self.arm.objective)

    def training_rows(self) -> NDArray[np.int64]:
        """Return the samples whose labels may be learnt from."""
        rows = self.study.cohort.rows_with(self.study.protocol.rows("train"), self.modalities)
        subjects = self.study.cohort.samples["subject"].to_numpy()[rows]
        strata = self.kind.strata(self.labels[rows])
        return rows[label_subset(subjects.tolist(), strata, self.fraction, self.seed)]

    def scored_rows(self, split: str, inputs: str) -> NDArray[np.int64]:
        """Return the labelled samples of a split that have all modalities of an input set such as ``ecg+tabular``."""
        rows = self.study.cohort.rows_with(self.study.protocol.rows(split), inputs.split("+"), every=True)
        return rows[self.kind.known(self.labels[rows])]

    def towers(self) -> dict[str, Tower]:
        """Return the towers of the arm's modalities with the weights that they start from."""
        towers = build_towers(self.study.experiment, self.study.protocol.specs, self.seed)
        towers = {modality: towers[modality] for modality in self.modalities}
        for modality, (found, part) in ((m, self.start[m]) for m in towers if m in self.start):
            target = towers[modality] if self.arm.start == "aligned" else towers[modality].encoder
            load_weights(target, load_state(found, part))
        return towers

    def description(self) -> dict[str, Any]:
        """Return what decides the result besides the parents, JSON-compatible."""
        experiment = self.study.experiment
        return {
            "arm": deciding(self.arm),
            "training": deciding(self.arm.training or experiment.finetune) | deciding(experiment.training),
            "encoders": {m: resolved(getattr(experiment, m).encoder) for m in self.modalities},
            "pool": experiment.pools,
            "inputs": list(self.inputs),
            "fraction": self.fraction,
            "seed": self.seed,
            "experiment_seed": experiment.seed,
        }


@dataclass(frozen=True)
class Arm:
    """A way of making a predictor.

    Attributes:
        fit: computes the predictor of a cell and commits it.
        rehearse: makes what `fit` will train, with random weights, and shows it a subject, so that what does not fit is
            found before any work; raises `ConfigError` or `InputError`.
        takes: class whose keyword arguments are the options; None where there are none.
        given: how many parameters of `takes`, from the first, are no options.
        exportable: whether its predictor is a network, of which a bundle can be made.
        together: whether several processes can compute it together.
    """

    fit: Callable[[Cell, Stage], None]
    rehearse: Callable[[Cell], object]
    takes: Callable[..., object] | None = None
    given: int = 1
    exportable: bool = False
    together: bool = False


ARMS: Registry[Arm] = Registry("arm")


def check_arms(experiment: Experiment) -> None:
    """Look the arms of an experiment and their options up before any work is done.

    Raises:
        ConfigError: a kind or an option is unknown, a classifier that starts from a probe is not linear, or the arm
            to export is no network.
    """
    for index, arm in enumerate(experiment.arms):
        kind = ARMS.get(arm.kind)
        where = f"arms.{index}.options"
        check_options(kind.takes or _no_options, arm.options, where, positional=kind.given if kind.takes else 0)
        objective = ENDPOINTS.get(TASKS.get(experiment.protocol.task).kind)
        check_options(objective.fit, arm.objective, f"arms.{index}.objective", positional=1)
        if arm.classifier == "probe" and arm.options.get("hidden") != 0:
            raise ConfigError("a classifier that starts from a probe is linear", where=f"{where}.hidden", expected=0)
        if arm.name == experiment.export and not kind.exportable:
            hint = "export an arm of kind " + " | ".join(name for name in ARMS if ARMS.get(name).exportable)
            raise ConfigError("this arm is no network that could be exported", where="export", got=arm.name, hint=hint)


def _no_options() -> None:
    """Stand for an arm that takes no option."""


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
        _linear(cell)


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
    if cell.arm.classifier == "probe" and held_out is not None:
        start_from_probe(method, cell.task.kind, train, held_out, seed=cell.seed)
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
    scores = score(
        cell, lambda wanted, chosen: objective.predicted(predict(method, dataset(study, wanted, chosen), chosen))
    )
    with stage.commit() as folder:
        facts = {"training_labels": len(rows), "crops": method.crops, "objective": objective.to_json()}
        save_network(folder, method.fusion, cell.description() | facts, history)
        predictions_frame(cell, scores).to_parquet(folder / "predictions.parquet", index=False)


def build_encoders(cell: Cell) -> dict[str, Tower]:
    """Return the towers of the one input set that a linear arm is fitted for."""
    towers = cell.towers()
    return {modality: towers[modality] for modality in _single_input(cell).split("+")}


def rehearse_encoders(cell: Cell) -> None:
    """Build the towers of a linear arm and show them a training subject."""
    towers, study = build_encoders(cell), cell.study
    _linear(cell)
    rows = study.cohort.rows_with(study.protocol.rows("train"), tuple(towers), every=True)[:1]
    if len(rows):
        mean_token_features(towers, dataset(study, rows, tuple(towers)), **cell.arm.options)  # type: ignore[arg-type]


def fit_linear_probe(cell: Cell, stage: Stage) -> None:
    """Fit the linear model of the endpoint's kind on the mean tokens of frozen encoders."""
    towers, chosen = build_encoders(cell), cell.arm.options

    def features(wanted: NDArray[np.int64]) -> NDArray[np.float32]:
        return mean_token_features(towers, dataset(cell.study, wanted, tuple(towers)), **chosen)  # type: ignore[arg-type]

    _fit_probe(cell, stage, features)


def build_kernels(cell: Cell) -> RandomKernels:
    """Return the kernels of an arm that is fitted for ECGs alone, without their biases."""
    inputs = _single_input(cell)
    if inputs != "ecg":
        raise ConfigError("random kernels see an ECG and nothing else", where=cell.arm.name, expected="ecg", got=inputs)
    _linear(cell)
    return _kernels(cell.study, dict(cell.arm.options))


def fit_random_kernels(cell: Cell, stage: Stage) -> None:
    """Fit a linear model on random convolution kernels of the raw ECG, a baseline that is hard to beat."""
    stored = kernel_features(cell.study, dict(cell.arm.options))
    _fit_probe(cell, stage, lambda wanted: stored[np.searchsorted(ecg_rows(cell.study), wanted)])


def ecg_rows(study: Study) -> NDArray[np.int64]:
    """Return all samples that have an ECG, in order."""
    return np.flatnonzero(study.cohort.has("ecg"))


def kernel_features(study: Study, options: dict[str, Any]) -> NDArray[np.float32]:
    """Return the random-kernel features of all ECGs, (ECGs, features), computed once for all cells.

    The kernels are random; their biases are quantiles of training ECGs alone.
    """
    config = {"options": options, "seed": study.experiment.seed}
    parents = [study.cohort.artifact, study.protocol.artifact]

    def build(stage: Stage) -> None:
        kernels = _kernels(study, options)
        biases = study.cohort.rows_with(study.protocol.rows("train"), ["ecg"])[:512]
        with computing(kernels) as device:
            kernels.fit(dataset(study, biases, ("ecg",)).batch(range(len(biases))).signals["ecg"].to(device))
        with stage.commit() as folder:
            np.save(folder / "features.npy", _convolve(study, kernels, stage.name))

    found = study.workspace.obtain(
        "kernel-features", "features", build, config=config, rooms=ARM_ROOMS, parents=parents
    )
    stored: NDArray[np.float32] = np.load(found.file("features.npy"), mmap_mode="r")
    return stored


def _kernels(study: Study, options: dict[str, Any]) -> RandomKernels:
    try:
        return RandomKernels(study.protocol.specs["ecg"], seed=study.experiment.seed, **options)
    except TypeError as error:
        raise ConfigError(f"random kernels do not take these options: {error}", where="random_kernels") from error


def _convolve(study: Study, kernels: RandomKernels, title: str) -> NDArray[np.float32]:
    data = dataset(study, ecg_rows(study), ("ecg",))
    blocks = []
    with computing(kernels) as device, torch.inference_mode():
        for start in range(0, len(data), 64):
            end = min(start + 64, len(data))
            blocks.append(kernels(data.batch(range(start, end)).signals["ecg"].to(device)).cpu().numpy())
            study.workspace.reporter.advance(title, end, len(data))
    return np.concatenate(blocks)


def _linear(cell: Cell) -> FitProbe:
    return probe_of(cell.task.kind, cell.objective())


def _fit_probe(cell: Cell, stage: Stage, features: Callable[[NDArray[np.int64]], NDArray[np.float32]]) -> None:
    inputs, rows = _single_input(cell), cell.training_rows()
    rows = cell.study.cohort.rows_with(rows, inputs.split("+"), every=True)
    held_out = cell.scored_rows("validation", inputs)
    both = features(np.concatenate([rows, held_out]))
    train, validation = Split(both[: len(rows)], cell.labels[rows]), Split(both[len(rows) :], cell.labels[held_out])
    probe = _linear(cell)(cell.objective(), train, validation, cell.seed)
    scores = score(cell, lambda wanted, chosen: probe.predicted(features(wanted)))
    with stage.commit() as folder:
        _save_probe(folder / "probe.json", probe, cell, len(rows))
        predictions_frame(cell, scores).to_parquet(folder / "predictions.parquet", index=False)


def _save_probe(file: Any, probe: Probe, cell: Cell, labels: int) -> None:
    facts = cell.description() | {"training_labels": labels, "regularisation_c": probe.penalty}
    file.write_text(json.dumps(facts, indent=1))


def _single_input(cell: Cell) -> str:
    inputs = cell.inputs
    if len(inputs) != 1:
        hint = "give the arm inputs of its own"
        raise ConfigError(
            "a linear arm is fitted for one input set", where=cell.arm.name, got=", ".join(inputs), hint=hint
        )
    return inputs[0]


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


ARMS.register("network")(Arm(fit_network, rehearse_network, Finetune, exportable=True, together=True))
ARMS.register("linear_probe")(Arm(fit_linear_probe, rehearse_encoders, mean_token_features, given=2))
ARMS.register("random_kernels")(Arm(fit_random_kernels, build_kernels, RandomKernels))
