"""From the words of an experiment to the objects of the rooms below: settings, sources, encoders, methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cardiobind import rng
from cardiobind.artifact import Artifact
from cardiobind.cohort import Cohort, Protocol
from cardiobind.config import CmrConfig, EcgConfig, Experiment, MachineConfig, TrainingConfig
from cardiobind.config.parts import Component
from cardiobind.errors import ConfigError
from cardiobind.methods import METHODS
from cardiobind.modalities.cmr.preparation import CmrPreparation, cmr_spec
from cardiobind.modalities.ecg.preparation import EcgPreparation, ecg_spec
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.features.presets import preset
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import POOLS, Tower, build_pool, encoder_options, pool_of
from cardiobind.models.encoder import refuse_absent_places, refuse_missing_extra
from cardiobind.pipeline.first_weights import encoder_facts, first_encoder
from cardiobind.pipeline.workspace import Workspace
from cardiobind.registry import did_you_mean
from cardiobind.sources import SOURCES, Source
from cardiobind.tasks import KINDS, TASKS
from cardiobind.training import TrainingSettings

COHORT_ROOMS = ("rng", "modalities", "formats", "sources", "simulate", "cohort", "tasks")
NETWORK_ROOMS = (
    "rng", "modalities", "cohort/store", "data", "models", "objectives", "methods", "training", "pipeline/components",
    "pipeline/first_weights", "pipeline/measured", "pipeline/networks", "pipeline/pretrain",
)  # fmt: skip
_NO_PREPARATION = {"encoder", "pretrain", "pool"}
ARM_ROOMS = (
    *NETWORK_ROOMS,
    "tasks",
    "cohort/splits",
    "pipeline/arms",
    "pipeline/predictions",
    "pipeline/semi_supervised",
)


@dataclass(frozen=True)
class Study:
    """An experiment at work on its cohort.

    Attributes:
        experiment: what is to be done.
        workspace: where artefacts go.
        cohort: prepared records.
        protocol: splits, table contract, labels.
        division: splits and table contract alone, what learning without labels depends on: endpoints of one experiment
            share it; None where the protocol stands for it.
        endpoint: name in the names of stages, empty for the experiment's first endpoint.
    """

    experiment: Experiment
    workspace: Workspace
    cohort: Cohort
    protocol: Protocol
    division: Artifact | None = None
    endpoint: str = ""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that the experiment configures."""
        return self.experiment.modalities


def check_names(experiment: Experiment) -> None:
    """Look every name of an experiment up in its registry before any work is done.

    Raises:
        ConfigError: a name or an option is unknown; the message suggests the nearest.
    """
    source = SOURCES.get(experiment.source.kind)
    check_options(source, experiment.source.options, "source.options")
    if experiment.evaluation.ceiling and not hasattr(source, "best_scores"):
        raise ConfigError("only a source that knows the truth has a ceiling", where="evaluation.ceiling",
                          got=experiment.source.kind)  # fmt: skip
    KINDS.get(TASKS.get(experiment.protocol.task).kind)
    for modality in experiment.modalities:
        part = getattr(experiment, modality)
        kind, given = pool_of(experiment.pools, modality)
        check_options(POOLS.get(kind), given, f"{modality}.pool", positional=1)
        encoder_options(part.encoder.kind, part.encoder.options)
        refuse_missing_extra(part.encoder.kind)
        if part.pretrain is not None:
            _check_method(part.pretrain.method, f"{modality}.pretrain")
    if (cmr := cmr_preparation(experiment.cmr)) is not None and experiment.cmr is not None:
        refuse_absent_places(experiment.cmr.encoder.kind, cmr_spec(cmr))
    _check_weights(experiment)
    if experiment.align is not None:
        _check_method(experiment.align.method, "align")
    for name in feature_names(experiment) or ():
        if name not in FEATURE_BY_NAME:
            raise ConfigError(
                f"unknown feature {name!r}", where="tabular.features", hint=did_you_mean(name, list(FEATURE_BY_NAME))
            )


def check_options(factory: Callable[..., object], given: Iterable[str], where: str, *, positional: int = 0) -> None:
    """Refuse options whose names a factory does not take.

    Args:
        factory: class or function that will be called with them.
        given: their names.
        where: section of the experiment.
        positional: how many of the factory's first parameters are no options.

    Raises:
        ConfigError: naming the nearest option.
    """
    parameters = list(inspect.signature(factory).parameters.values())[positional:]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters]
    for name in given:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}", where=where, hint=did_you_mean(name, known))


def _check_weights(experiment: Experiment) -> None:
    """Load the files of weights once; what a table's encoder is fed is not known before its columns are."""
    ecg, cmr = ecg_preparation(experiment.ecg), cmr_preparation(experiment.cmr)
    specs = {"ecg": None if ecg is None else ecg_spec(ecg), "cmr": None if cmr is None else cmr_spec(cmr)}
    for modality in experiment.modalities:
        chosen, spec = getattr(experiment, modality).encoder, specs.get(modality)
        encoder_facts(chosen)
        if chosen.weights is not None and spec is not None:
            first_encoder(chosen, spec)


def _check_method(chosen: Component, where: str) -> None:
    check_options(METHODS.get(chosen.kind), chosen.options, f"{where}.method.options", positional=1)


def feature_names(experiment: Experiment) -> tuple[str, ...] | None:
    """Return the columns asked for: none without a table, None for all inputs that the training rows hold.

    Raises:
        ConfigError: a set of features is named that there is not.
    """
    if experiment.tabular is None:
        return ()
    names = experiment.tabular.features
    if names == "all_inputs":
        return None
    return preset(names) if isinstance(names, str) else names


def build_source(experiment: Experiment) -> Source:
    """Return the source of the raw records, rooted at the experiment's `data_root`.

    Raises:
        ConfigError: the source is unknown or does not take an option.
    """
    given = options(experiment.source)
    if experiment.data_root is not None:
        given["root"] = Path(experiment.data_root)
    try:
        return SOURCES.get(experiment.source.kind)(**given)
    except TypeError as error:
        raise ConfigError(f"the source does not take these options: {error}", where="source.options") from error


def ecg_preparation(config: EcgConfig | None) -> EcgPreparation | None:
    """Return how ECGs are prepared, or None in an experiment without ECG."""
    return None if config is None else EcgPreparation(**config.model_dump(exclude=_NO_PREPARATION))


def cmr_preparation(config: CmrConfig | None) -> CmrPreparation | None:
    """Return how cines are prepared, or None in an experiment without CMR."""
    return None if config is None else CmrPreparation(**config.model_dump(exclude=_NO_PREPARATION))


def training_settings(config: TrainingConfig, machine: MachineConfig) -> TrainingSettings:
    """Return the settings of a training in the words of the training room."""
    values = machine.model_dump() | config.model_dump(exclude={"alone"})
    return TrainingSettings(**values | ({"devices": 1, "nodes": 1} if config.alone else {}))


def options(component: Component) -> dict[str, Any]:
    """Return the keyword arguments of a component, lists as tuples."""
    return {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in component.options.items()}


def seeded(seed: int, purpose: str) -> None:
    """Key torch's generator, so that the first weights of a network depend on nothing but seed and purpose."""
    torch.manual_seed(rng.integer(seed, "weights", purpose))


def build_towers(experiment: Experiment, specs: Mapping[str, InputSpec], seed: int) -> dict[str, Tower]:
    """Return one tower for each modality of the experiment, random but for encoders that start from a file of weights.

    Args:
        experiment: names the encoders.
        specs: input of each modality.
        seed: all random weights depend on nothing else.
    """
    seeded(seed, "towers")
    towers = {}
    for modality in experiment.modalities:
        encoder = first_encoder(getattr(experiment, modality).encoder, specs[modality])
        towers[modality] = Tower(encoder, build_pool(experiment.pools, modality, encoder.width))
    return towers
