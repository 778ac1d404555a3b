"""The sections of an experiment: strict and frozen models of what a TOML file may say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from cardiobind.config.parts import Component, EncoderConfig, Option, Pool, Strict

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
    """Input sets to score, comparisons to test, size of the bootstrap, the ceiling of a source that knows the truth.

    ``examples`` is how many test subjects the report shows one by one; without it 3 simulated ones, and of others none.
    """

    inputs: tuple[str, ...]
    comparisons: tuple[tuple[str, str], ...] = ()
    resamples: int = Field(1000, ge=100)
    ceiling: bool = False
    examples: int | None = Field(None, ge=0, le=6)
    sparse = ("ceiling", "examples")


class EndpointConfig(Strict):
    """A further endpoint of an experiment: the same subjects, splits, pre-training, alignment and arms.

    ``inputs`` are the input sets that its arms are fitted for and scored on, of an arm with inputs of its own those of
    them that it has; without them all is as for the experiment's first endpoint. ``objective`` is that of its arms.
    """

    task: str
    inputs: tuple[str, ...] | None = None
    objective: dict[str, Option] = Field(default_factory=dict)
