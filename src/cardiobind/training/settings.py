"""How long, how fast and how often: the settings of one training run, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cardiobind.errors import ConfigError
from cardiobind.training.precision import PRECISIONS, PrecisionName


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the machine; a method reads `learning_rate` and `weight_decay` in `parameter_groups`.

    Attributes:
        batch_size: subjects in a step.
        epochs: passes over the training subjects; or
        steps: optimiser steps. Exactly one of the two is given.
        learning_rate: at the top of the schedule.
        weight_decay: AdamW's, for matrices and kernels; vectors (biases, norms, tokens) are not decayed.
        betas: AdamW's.
        warmup_fraction: part of all steps during which the learning rate rises linearly.
        schedule: what follows the warm-up: ``cosine`` to zero, or ``constant``.
        clip_norm: largest norm of the gradient, or None for no clipping.
        round_steps: steps between validations; None for one pass.
        patience: rounds without improvement before training stops; None for never. Needs a validation set.
        min_delta: smallest change of the monitor that counts as improvement for `patience`.
        precision: ``32-true``, ``bf16-mixed`` or ``auto``, see `cardiobind.training.choose_precision`.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        data_workers: processes that read batches ahead; the result does not depend on it.
        checkpoint_interval_s: a round that ends sooner than this after the last checkpoint writes none, so that short
            runs do not spend their time on the disk; within a longer round one is written. 0 for the end of each round
            and nowhere else. The result does not depend on it.
        checkpoints_kept: at least 2, so that one damaged checkpoint does not cost the run.
        devices: processes on each machine, which share a batch; None for as many as ``torchrun`` or ``srun`` launched,
            1 for this process by itself.
        nodes: machines; None for as many as were launched.
        shard_window: shards of the cohort that are read side by side; None for the order without regard to shards. See
            `cardiobind.data.KeyedBatchSampler`.
    """

    batch_size: int = 64
    epochs: int | None = None
    steps: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    warmup_fraction: float = 0.1
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float | None = 1.0
    round_steps: int | None = None
    patience: int | None = None
    min_delta: float = 0.0
    precision: PrecisionName = "auto"
    accelerator: str = "auto"
    data_workers: int = 0
    checkpoint_interval_s: float = 30.0
    checkpoints_kept: int = 2
    devices: int | None = None
    nodes: int | None = None
    shard_window: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense.

        Raises:
            ConfigError: naming the field.
        """
        if (self.epochs is None) == (self.steps is None):
            raise ConfigError("training needs a length", where="epochs, steps", expected="exactly one of the two")
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ConfigError("training setting out of range", where=name, expected=f"at least {least}", got=value)
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not (0 < value < math.inf):
                raise ConfigError("training setting out of range", where=name, expected="positive", got=value)
        if not 0 <= self.warmup_fraction <= 1:
            raise ConfigError(
                "training setting out of range", where="warmup_fraction", expected="0 to 1", got=self.warmup_fraction
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError("training setting out of range", where="betas", expected="in [0, 1)", got=self.betas)
        _check_choice("schedule", self.schedule, ("cosine", "constant"))
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("accelerator", self.accelerator, ("auto", "cpu", "cuda", "gpu", "mps"))

    def total_steps(self, steps_per_epoch: int) -> int:
        """Return the number of optimiser steps of the run.

        Args:
            steps_per_epoch: batches in one pass over the training subjects.
        """
        return self.steps if self.steps is not None else int(self.epochs or 0) * steps_per_epoch


_AT_LEAST = {
    "batch_size": 1, "epochs": 1, "steps": 1, "round_steps": 1, "patience": 1, "min_delta": 0, "weight_decay": 0,
    "data_workers": 0, "checkpoint_interval_s": 0, "checkpoints_kept": 2,
    "devices": 1, "nodes": 1, "shard_window": 1,
}  # fmt: skip


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError("unknown training setting", where=name, expected=" | ".join(choices), got=value)


def learning_rate_factor(step: int, total: int, settings: TrainingSettings) -> float:
    """Return what the learning rate is multiplied with at a step: a linear rise, then half a cosine.

    Args:
        step: optimiser steps made already, 0 at the first.
        total: optimiser steps of the run.
        settings: `warmup_fraction` and `schedule` are read.

    Returns:
        A number in (0, 1] that depends on nothing but the arguments.
    """
    warmup = round(settings.warmup_fraction * total)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
