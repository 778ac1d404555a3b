"""One arm at one share of the labels and one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.cohort import label_subset
from cardiobind.config import ArmConfig, deciding
from cardiobind.errors import InputError
from cardiobind.models import Tower, load_weights
from cardiobind.objectives.endpoints import ENDPOINTS, EndpointObjective
from cardiobind.pipeline.components import Study, build_towers
from cardiobind.pipeline.first_weights import encoder_facts
from cardiobind.pipeline.networks import load_state
from cardiobind.tasks import KINDS, TASKS, Kind, Task


@dataclass(frozen=True)
class Cell:
    """One arm at one share of the labels and one seed.

    Attributes:
        study: the experiment at work.
        arm: how the predictor is made.
        fraction: share of the training labels.
        seed: of the choice of labels and of the training.
        start: artefacts that hold the first weights, by modality; none for an arm from scratch.
        members: the same cell of the arms that this one is made of.
    """

    study: Study
    arm: ArmConfig
    fraction: float
    seed: int
    start: Mapping[str, tuple[Artifact, str]]
    members: tuple[Cell, ...] = ()

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
        chosen = label_subset(
            subjects.tolist(), strata, self.fraction, self.seed, least_classes=self.kind.least_strata,
            least_subjects=self.kind.least_in_stratum,
        )  # fmt: skip
        return rows[chosen]

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
            "encoders": {m: encoder_facts(getattr(experiment, m).encoder) for m in self.modalities},
            "pool": experiment.pools,
            "inputs": list(self.inputs),
            "fraction": self.fraction,
            "seed": self.seed,
            "experiment_seed": experiment.seed,
        }
