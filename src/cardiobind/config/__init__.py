"""One TOML file an experiment, read into strict and frozen models, with dotted overrides and a stable digest."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from cardiobind.config.explain import explain, origin
from cardiobind.config.files import read_tree
from cardiobind.config.names import check_apart
from cardiobind.config.overrides import apply_override
from cardiobind.config.parts import Component as Component
from cardiobind.config.parts import EncoderConfig as EncoderConfig
from cardiobind.config.parts import Pool as Pool
from cardiobind.config.parts import Strict, pool_in_words
from cardiobind.config.sections import EXECUTION as EXECUTION
from cardiobind.config.sections import MODALITIES as MODALITIES
from cardiobind.config.sections import ArmConfig as ArmConfig
from cardiobind.config.sections import CmrConfig as CmrConfig
from cardiobind.config.sections import EcgConfig as EcgConfig
from cardiobind.config.sections import EndpointConfig as EndpointConfig
from cardiobind.config.sections import EvaluationConfig as EvaluationConfig
from cardiobind.config.sections import MachineConfig as MachineConfig
from cardiobind.config.sections import PartVariant as PartVariant
from cardiobind.config.sections import ProtocolConfig as ProtocolConfig
from cardiobind.config.sections import StageConfig as StageConfig
from cardiobind.config.sections import StageVariant as StageVariant
from cardiobind.config.sections import TabularConfig as TabularConfig
from cardiobind.config.sections import TrainingConfig as TrainingConfig
from cardiobind.config.sections import VariantConfig as VariantConfig
from cardiobind.errors import ConfigError


class Experiment(Strict):
    """All that decides the results of ``cardiobind run``; a relative `data_root` counts from the current folder."""

    name: str
    title: str
    description: str = ""
    data_root: str | None = None
    seed: int = 0
    seeds: tuple[int, ...] = (0,)
    label_fractions: tuple[float, ...] = (1.0,)
    source: Component
    ecg: EcgConfig | None = None
    cmr: CmrConfig | None = None
    tabular: TabularConfig | None = None
    pool: Pool = "attention"
    training: MachineConfig = MachineConfig()
    protocol: ProtocolConfig
    align: StageConfig | None = None
    finetune: TrainingConfig
    arms: tuple[ArmConfig, ...] = Field(min_length=1)
    export: str | None = None
    evaluation: EvaluationConfig
    variants: dict[str, VariantConfig] = Field(default_factory=dict)
    endpoints: tuple[EndpointConfig, ...] = ()
    sparse = ("variants", "endpoints")

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        _check_arms(self)
        _check_inputs("evaluation.inputs", self.evaluation.inputs, self.modalities)
        for arm in self.arms:
            _check_start(self, arm)
            if arm.inputs is not None:
                _check_inputs(f"inputs of arm {arm.name!r}", arm.inputs, self.modalities)
        _check_endpoints(self)
        if not all(0 < f <= 1 for f in self.label_fractions):
            raise ValueError("label_fractions lie in (0, 1]")
        for name, values in {"seeds": self.seeds, "label_fractions": self.label_fractions}.items():
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} hold at least one value, each once")
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that the experiment configures."""
        return tuple(m for m in MODALITIES if getattr(self, m) is not None)

    @property
    def pools(self) -> Any:
        """Pool of all modalities, or of each by modality where one has its own or options."""
        own = {m: pool_in_words(getattr(self, m).pool or self.pool) for m in self.modalities}
        alone = not any(getattr(self, m).pool for m in self.modalities)
        every = pool_in_words(self.pool)
        return every if alone and isinstance(every, str) else own

    def per_endpoint(self) -> tuple[Experiment, ...]:
        """Return an experiment for each endpoint, that of `protocol.task` first; only that one is exported."""
        first = self.model_copy(update={"endpoints": ()})
        return (first, *(_of_endpoint(first, endpoint) for endpoint in self.endpoints))

    def varied(self, variant: str | None) -> Experiment:
        """Return the experiment with the encoders, pre-trainings and alignment of one of its variants.

        Raises:
            ConfigError: there is no such variant, it varies a modality that the experiment does not have, or a stage of
                which the experiment lacks the rest.
        """
        if variant is None:
            return self
        if variant not in self.variants:
            near = difflib.get_close_matches(variant, self.variants, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"variants: {', '.join(self.variants) or 'none'}"
            raise ConfigError(f"no such variant: {variant!r}", where="arms", hint=hint)
        chosen, where = self.variants[variant], f"variants.{variant}"
        changed = {m: _varied_part(self, m, getattr(chosen, m), where) for m in MODALITIES if getattr(chosen, m)}
        if chosen.align is not None:
            changed["align"] = _varied_stage(self.align, chosen.align, f"{where}.align")
        return self.model_copy(update=changed)


def _of_endpoint(experiment: Experiment, endpoint: EndpointConfig) -> Experiment:
    narrowed = [_narrowed(arm, endpoint) for arm in experiment.arms]
    arms = tuple(arm for arm in narrowed if arm is not None)
    names, evaluation = {arm.name for arm in arms}, experiment.evaluation
    pairs = tuple(pair for pair in evaluation.comparisons if set(pair) <= names)
    changed = {"comparisons": pairs} | ({"inputs": endpoint.inputs} if endpoint.inputs else {})
    return experiment.model_copy(update={
        "protocol": experiment.protocol.model_copy(update={"task": endpoint.task}), "arms": arms, "export": None,
        "evaluation": evaluation.model_copy(update=changed),
    })  # fmt: skip


def _narrowed(arm: ArmConfig, endpoint: EndpointConfig) -> ArmConfig | None:
    """Return an arm as an endpoint has it; None where it has no input set of the endpoint."""
    inputs = endpoint.inputs or arm.inputs
    if endpoint.inputs and arm.inputs:
        inputs = tuple(chosen for chosen in arm.inputs if chosen in endpoint.inputs)
        if not inputs:
            return None
    return arm.model_copy(update={"inputs": inputs, "objective": endpoint.objective})


def _varied_part(experiment: Experiment, modality: str, change: PartVariant, where: str) -> Any:
    part, where = getattr(experiment, modality), f"{where}.{modality}"
    if part is None:
        raise ConfigError("a variant of a modality that the experiment does not have", where=where)
    new: dict[str, Any] = {"encoder": change.encoder or part.encoder, "pool": change.pool or part.pool}
    if change.pretrain is not None:
        new["pretrain"] = _varied_stage(part.pretrain, change.pretrain, f"{where}.pretrain")
    return part.model_copy(update=new)


def _varied_stage(stage: StageConfig | None, change: StageVariant, where: str) -> StageConfig:
    method = change.method or (stage.method if stage else None)
    training = change.training or (stage.training if stage else None)
    if method is None or training is None:
        raise ConfigError("the variant says half of a stage that the experiment lacks", where=where,
                          expected="method and training")  # fmt: skip
    return StageConfig(method=method, training=training)


def _check_arms(experiment: Experiment) -> None:
    names = [arm.name for arm in experiment.arms]
    if len(set(names)) != len(names):
        raise ValueError("two arms have one name")
    check_apart("arms", names)
    check_apart("variants", experiment.variants)
    wanted = {name for pair in experiment.evaluation.comparisons for name in pair} | {experiment.export or names[0]}
    for unknown in sorted(wanted - set(names)):
        raise ValueError(f"no arm is called {unknown!r}; arms are {names}")


def _check_endpoints(experiment: Experiment) -> None:
    tasks = [experiment.protocol.task, *(endpoint.task for endpoint in experiment.endpoints)]
    if len(set(tasks)) != len(tasks):
        raise ValueError(f"endpoints and protocol.task name each task once; they are {tasks}")
    for endpoint in experiment.endpoints:
        if endpoint.inputs is not None:
            _check_inputs(f"inputs of endpoint {endpoint.task!r}", endpoint.inputs, experiment.modalities)
        if all(_narrowed(arm, endpoint) is None for arm in experiment.arms):
            raise ValueError(f"no arm has an input set of endpoint {endpoint.task!r}")


def _check_start(experiment: Experiment, arm: ArmConfig) -> None:
    try:
        own = experiment.varied(arm.variant)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if own.align is None and arm.start == "aligned":
        raise ValueError("an arm starts from aligned encoders, but there is no [align]")
    if arm.start == "pretrained" and all(getattr(own, m).pretrain is None for m in own.modalities):
        raise ValueError("an arm starts from pre-trained encoders, but no modality has a [pretrain]")


def _check_inputs(where: str, chosen: tuple[str, ...], modalities: tuple[str, ...]) -> None:
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"{where} hold at least one input set, each once")
    for inputs in chosen:
        ordered = "+".join(sorted(set(inputs.split("+"))))
        if inputs != ordered:
            raise ValueError(f"input sets are written in alphabetical order: {ordered!r} instead of {inputs!r}")
        for modality in inputs.split("+"):
            if modality not in modalities:
                raise ValueError(f"inputs {inputs!r} name {modality!r}, but the experiment has {modalities}")


def load_experiment(path: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment and apply overrides.

    Args:
        path: TOML file; it may extend another (`cardiobind.config.files`).
        overrides: words such as ``ecg.rate_hz=100``; the value is TOML, or text where it is not; ``none`` takes an
            option or a section away, so that its default holds.

    Raises:
        ConfigError: the file is absent or not TOML, or a field is unknown, missing, of the wrong type or out of range.
    """
    return parse_experiment(read_tree(Path(path)), overrides, where=str(path))


def parse_experiment(data: dict[str, Any], overrides: Sequence[str] = (), where: str = "experiment") -> Experiment:
    """Check a tree of options and return the experiment it describes; arguments and errors as `load_experiment`."""
    tree = copy.deepcopy(data)
    for word in overrides:
        apply_override(tree, word)
    try:
        return Experiment.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise explain(error, origin(error, overrides, where), Experiment) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"a value is of a type that no option has: {error}", where=where) from error


def resolved(config: BaseModel) -> dict[str, Any]:
    """Return the config as JSON-compatible data with all defaults filled in."""
    data: dict[str, Any] = config.model_dump(mode="json")
    return data


def deciding(config: BaseModel) -> dict[str, Any]:
    """Return the resolved config without the options that say how a training is executed (`EXECUTION`)."""
    data: dict[str, Any] = _without_execution(resolved(config))
    return data


def _without_execution(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_without_execution(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    left_out = EXECUTION if {"round_steps", "precision"} & set(tree) else ()
    return {key: _without_execution(value) for key, value in tree.items() if key not in left_out}


def digest(config: BaseModel) -> str:
    """Return a SHA-256 of the resolved config that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(resolved(config), sort_keys=True).encode()).hexdigest()
