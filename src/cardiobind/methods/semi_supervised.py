"""Fine-tuning from few labels and many subjects without one: they must be judged alike in a weak and a strong view."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.base import METHODS, Step, zero_loss
from cardiobind.methods.finetune import Finetune
from cardiobind.methods.predict import restrict
from cardiobind.methods.views import Views
from cardiobind.models import Teacher, Tower
from cardiobind.objectives import Consistency, class_consistency, gather_rows, value_consistency
from cardiobind.objectives.endpoints import Binary, Multilabel


@singledispatch
def agreement(objective: object, student: Tensor, teacher: Tensor, threshold: float) -> Consistency:
    """Return how far the outputs (B, K) of a student are from its teacher's, in the sense of an objective.

    Outputs that are no classes are compared by their squared difference.

    Args:
        objective: of the endpoint.
        student: outputs (B, K).
        teacher: outputs (B, K), without gradient.
        threshold: of the teacher's evidence for a class.
    """
    return value_consistency(student, teacher)


@agreement.register
def _(objective: Binary, student: Tensor, teacher: Tensor, threshold: float) -> Consistency:
    return class_consistency(student, teacher, (objective.positive_weight,), threshold)


@agreement.register
def _(objective: Multilabel, student: Tensor, teacher: Tensor, threshold: float) -> Consistency:
    return class_consistency(student, teacher, objective.positive_weights, threshold)


@METHODS.register("semi_supervised")
class SemiSupervised(Finetune):
    """Fine-tuning that also learns from subjects whose labels are unknown.

    A teacher, the running average of the network, sees a weak view of them; the network must agree with it on a strong
    view, with modalities hidden. Labelled subjects are learnt from exactly as in `Finetune`, which this is, bit for
    bit, with an `unlabelled_weight` of 0. Everything but the weights is a function of the step.

    Args:
        towers: by modality, with the weights to start from.
        unlabelled_weight: of the agreement in the loss, once it has grown.
        ramp_steps: over which it grows from nearly 0.
        threshold: how sure the teacher has to be of a class, as the probability it would have if both classes were
            equally frequent; up to 0.5 every belief counts.
        teacher_momentum: share of itself that the teacher keeps at a step; it grows from 0 over `ramp_steps`, too.
        strong_probability: with which the strong view augments an ECG or a CMR.
        strong_corruption: with which it replaces an entry of the table.
        unlabelled_ratio: unlabelled subjects a labelled one in a batch, for whoever makes the batches.
        options: those of `Finetune`; the weak view is its view of training.

    Raises:
        ConfigError: an option is out of range.

    Source: Sohn et al. 2020 (FixMatch); Tarvainen and Valpola 2017 (mean teacher) for the teacher and the growth.
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, unlabelled_weight: float = 1.0, ramp_steps: int = 100,
        threshold: float = 0.8, teacher_momentum: float = 0.99, strong_probability: float = 0.95,
        strong_corruption: float = 0.3, unlabelled_ratio: int = 3, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(towers, **options)
        _check(unlabelled_weight, ramp_steps, threshold, unlabelled_ratio)
        self.unlabelled_weight, self.ramp_steps = unlabelled_weight, ramp_steps
        self.threshold, self.unlabelled_ratio = threshold, unlabelled_ratio
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.strong_views = Views.of(
            inputs, crop_s=options.get("crop_s"), probability=strong_probability, corruption=strong_corruption,
            lead_dropout=options.get("lead_dropout", 0.0),
        )  # fmt: skip
        if unlabelled_weight:
            self.teacher = Teacher(self.fusion, momentum=(0.0, teacher_momentum), steps=max(ramp_steps, 1))

    def training_step(self, batch: Batch) -> Step:
        """Return the loss of the labelled subjects and the weighted agreement about the others."""
        known = _known(batch)
        joint = gather_rows(known)  # no process may miss what all of them gather
        labelled = restrict(batch, self.modalities, known)
        supervised = super().training_step(labelled) if bool(joint.any()) else None
        if self.unlabelled_weight == 0.0:
            return supervised or Step(zero_loss(list(self.parameters())))
        step = int(self.teacher.updates)
        self.teacher.follow(self.fusion)
        parts = {} if supervised is None else {"supervised": supervised.loss}
        logs: dict[str, Tensor] = {}
        if not bool(joint.all()):
            found = self.agree(restrict(batch, self.modalities, ~known))
            parts["agreement"] = self.unlabelled_weight * growth(step, self.ramp_steps) * found.loss
            logs["counted"] = found.counted
        return Step(torch.stack(list(parts.values())).sum(), parts=parts, logs=logs)

    def agree(self, batch: Batch) -> Consistency:
        """Return how far the network's view of subjects without a label is from the teacher's."""
        weak = {name: self.views.random(name, x) for name, x in batch.signals.items()}
        with torch.no_grad():
            teacher = self.teacher.network(weak, batch.present)
        strong = {name: self.strong_views.random(name, x) for name, x in batch.signals.items()}
        student = self.fusion(strong, batch.present)
        return agreement(self.objective, gather_rows(student), gather_rows(teacher), self.threshold)


def _signature() -> inspect.Signature:
    """Return the arguments with those of `Finetune` by name, so that a misspelt option of an experiment is found."""
    own, inherited = (inspect.signature(kind).parameters for kind in (SemiSupervised, Finetune))
    merged = dict(inherited) | {name: p for name, p in own.items() if p.kind is not p.VAR_KEYWORD}
    return inspect.Signature(list(merged.values()))


SemiSupervised.__signature__ = _signature()  # type: ignore[attr-defined]


def growth(step: int, ramp_steps: int) -> float:
    """Return the share of the full weight at a step, counted from 0: exp(-5 (1 - step / ramp_steps)^2), then 1.

    Source: Laine and Aila 2017, section 2.1.
    """
    return 1.0 if step >= ramp_steps else math.exp(-5.0 * (1.0 - step / ramp_steps) ** 2)


def _known(batch: Batch) -> Tensor:
    if batch.labels is None:
        return torch.zeros(batch.size, dtype=torch.bool, device=batch.rows.device)
    return batch.labels.reshape(batch.size, -1).isfinite().any(dim=1)


def _check(unlabelled_weight: float, ramp_steps: int, threshold: float, unlabelled_ratio: int) -> None:
    ranges = {
        "unlabelled_weight": (unlabelled_weight >= 0.0, "at least 0", unlabelled_weight),
        "ramp_steps": (ramp_steps >= 0, "at least 0", ramp_steps),
        "unlabelled_ratio": (unlabelled_ratio >= 1, "at least 1", unlabelled_ratio),
        "threshold": (0.0 <= threshold < 1.0, "[0, 1)", threshold),
    }
    for name, (fits, expected, got) in ranges.items():
        if not fits:
            raise ConfigError("option out of range", where=f"semi_supervised.{name}", expected=expected, got=got)
