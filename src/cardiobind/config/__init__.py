"""One TOML file an experiment, read into strict and frozen models, with dotted overrides and a stable digest."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from cardiobind.config.explain import explain, origin
from cardiobind.config.names import check_apart
from cardiobind.config.overrides import apply_override
from cardiobind.config.parts import Component, EncoderConfig, Option, Pool, Strict, pool_in_words
from cardiobind.errors import ConfigError

EXECUTION = ("accelerator", "devices", "nodes", "alone", "data_workers", "checkpoint_interval_s", "checkpoints_kept")
"""Options of a training that say how it is executed; what is computed does not depend on them, but for rounding."""

MODALITIES = ("ecg", "cmr", "tabular")


class TrainingConfig(Strict):
    """How one network is trained; the fields are those of `cardiobind.training.TrainingSettings`.

    ``alone`` trains it in one process though several were launched, for a training whose batches are small.
    """

    batch_size: int = Field(64, ge=1)
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_fraction: float = Field(0.1, ge=0, lt=1)
    clip_norm: float | None = Field(1.0, gt=0)
    patience: int | None = Field(None, ge=1)
    min_delta: float = Field(0.0, ge=0)
    round_steps: int | None = Field(None, ge=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    shard_window: int | None = Field(None, ge=1)
    alone: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of epochs and steps")
        return self


class MachineConfig(Strict):
    """What holds for every training of an experiment; `precision` as in `cardiobind.training.choose_precision`.

    The other fields, as in `cardiobind.training.TrainingSettings`, say how it is executed (`EXECUTION`).
    """

    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps"] = "auto"
    devices: int | None = Field(None, ge=1)
    nodes: int | None = Field(None, ge=1)
    data_workers: int = Field(0, ge=0)
    checkpoint_interval_s: float = Field(30.0, ge=0)
    checkpoints_kept: int = Field(2, ge=2)


class StageConfig(Strict):
    """A training method with its settings."""

    method: Component
    training: TrainingConfig


class EcgConfig(Strict):
    """Preparation of the ECG, its encoder and its pre-training."""

    rate_hz: int = Field(500, ge=50)
    duration_s: float = Field(10.0, gt=0)
    clip_sd: float = Field(4.0, gt=0)
    baseline_lambda: float = Field(1e7, gt=0)
    baseline_asymmetry: float = Field(0.3, gt=0, lt=1)
    baseline_iterations: int = Field(5, ge=1)
    encoder: EncoderConfig
    pretrain: StageConfig | None = None
    pool: Pool | None = None
    sparse = ("pool",)


class CmrConfig(Strict):
    """Preparation of the cine MRI, its encoder and its pre-training."""

    size_px: int = Field(210, ge=16)
    crop_mm: float = Field(142.0, gt=0)
    layout: Literal["frames", "slices", "video"] = "frames"
    video_phases: int = Field(8, ge=2, le=100)
    long_axis: tuple[Literal["lax_2ch", "lax_3ch", "lax_4ch"], ...] = ()
    encoder: EncoderConfig
    pretrain: StageConfig | None = None
    pool: Pool | None = None
    sparse = ("pool",)

    @model_validator(mode="after")
    def _each_view_once(self) -> CmrConfig:
        if len(set(self.long_axis)) < len(self.long_axis):
            raise ValueError("long_axis names each view once")
        return self


class TabularConfig(Strict):
    """Columns of the table, their encoder and its pre-training; `features` may name a set of `feature_presets`."""

    features: tuple[str, ...] | str = "all_inputs"
    encoder: EncoderConfig
    pretrain: StageConfig | None = None
    pool: Pool | None = None
    sparse = ("pool",)


class StageVariant(Strict):
    """What a variant changes of a training stage; the rest is the experiment's."""

    method: Component | None = None
    training: TrainingConfig | None = None


class PartVariant(Strict):
    """What a variant changes of a modality; the rest is the experiment's."""

    encoder: EncoderConfig | None = None
    pretrain: StageVariant | None = None
    pool: Pool | None = None


class VariantConfig(Strict):
    """Encoders, pre-training or alignment of their own for the arms that name the variant."""

    ecg: PartVariant | None = None
    cmr: PartVariant | None = None
    tabular: PartVariant | None = None
    align: StageVariant | None = None


class ProtocolConfig(Strict):
    """Endpoint and division of the subjects."""

    task: str
    split: Literal["hash", "official"] = "hash"
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    seed: int = 0
    allow_leaks: tuple[str, ...] = ()


class ArmConfig(Strict):
    """One way of making a predictor, a row of the results table.

    ``start`` says where the encoders' weights come from, ``classifier`` whether a network's classifier starts at random
    or as the best linear one, ``kind`` how the labels are used (see `cardiobind.pipeline.ARMS`), ``objective`` the loss
    (see `cardiobind.objectives.endpoints`). ``inputs`` are the input sets it is fitted for and scored on, instead of
    those of the evaluation; ``variant`` names its encoders.
    """

    name: str
    kind: str = "network"
    start: Literal["scratch", "pretrained", "aligned"] = "scratch"
    classifier: Literal["random", "probe"] = "random"
    options: dict[str, Option] = Field(default_factory=dict)
    objective: dict[str, Option] = Field(default_factory=dict)
    training: TrainingConfig | None = None
    inputs: tuple[str, ...] | None = None
    variant: str | None = None
    sparse = ("inputs", "objective", "variant")


class EvaluationConfig(Strict):
    """Input sets to score, comparisons to test, size of the bootstrap."""

    inputs: tuple[str, ...]
    comparisons: tuple[tuple[str, str], ...] = ()
    resamples: int = Field(1000, ge=100)


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
    sparse = ("variants",)

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        _check_arms(self)
        _check_inputs("evaluation.inputs", self.evaluation.inputs, self.modalities)
        for arm in self.arms:
            _check_start(self, arm)
            if arm.inputs is not None:
                _check_inputs(f"inputs of arm {arm.name!r}", arm.inputs, self.modalities)
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
        path: TOML file.
        overrides: words such as ``ecg.rate_hz=100``; the value is TOML, or text where it is not; ``none`` takes an
            option or a section away, so that its default holds.

    Raises:
        ConfigError: the file is absent or not TOML, or a field is unknown, missing, of the wrong type or out of range.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError("no experiment file there", where=path, hint="give the path of a TOML file")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the experiment is not valid TOML: {error}", where=path) from error
    return parse_experiment(data, overrides, where=str(path))


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
