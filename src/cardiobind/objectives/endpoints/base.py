"""What an endpoint of any kind asks of a network: outputs, a loss, what validation measures, what is predicted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.errors import ConfigError, InputError
from cardiobind.registry import Registry

Floats = NDArray[np.float64]
Said = Callable[[], tuple[Floats, Floats]]
"""Gives logits (n, outputs) and labels (n,) or (n, K) of some subjects."""


class EndpointObjective(ABC):
    """The objective of one endpoint, fitted on the labels of the training subjects alone.

    Attributes:
        outputs: logits a subject that it asks of the network.
        monitors: validation values that can choose the best weights, and whether a higher one is better; the first is
            the default.
        why_not_linear: why its logits cannot be those of a linear probe; None where they can.
    """

    outputs: int = 1
    why_not_linear: str | None = None
    monitors: ClassVar[Mapping[str, bool]]

    @classmethod
    @abstractmethod
    def fit(cls, labels: Floats, *args: Any, **options: Any) -> Self:
        """Return the objective for training labels (n,) or (n, K), NaN where unknown.

        Raises:
            InputError: nothing can be learnt from these labels.
            ConfigError: an option is out of range.
        """

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of logits (B, outputs) or, with one output, (B,); unknown labels do not count.

        It is 0, with zero gradients, where no label of the batch is known.
        """

    @abstractmethod
    def measure(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return the monitors but for the loss, NaN where undefined, of logits (n, outputs) and labels."""

    @abstractmethod
    def predicted(self, logits: Floats) -> Floats:
        """Return what is said of each subject, (n,) or (n, K), from logits (n, outputs): risk, value or risks."""

    def settled(self, validation: Said, training: Said) -> Self:
        """Return the objective with what only a trained network tells, such as a baseline hazard.

        Args:
            validation: gives logits (n, outputs) and labels of the validation subjects; called where it is needed.
            training: the same of the training subjects, for where validation does not suffice.
        """
        return self

    def to_json(self) -> dict[str, Any]:
        """Return the keyword arguments of the constructor that turn logits into predictions, JSON-compatible."""
        return {}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return an objective that predicts as the one `to_json` described."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in value.items()})

    def summarise(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return all monitors of logits (n, outputs) and labels (n,) or (n, K)."""
        known = np.isfinite(tall(labels)).any(axis=1)
        loss = self.loss(torch.from_numpy(logits[known]), torch.from_numpy(labels[known])) if known.any() else np.nan
        return {**self.measure(logits[known], labels[known]), "loss": float(loss)}


ENDPOINTS: Registry[type[EndpointObjective]] = Registry("kind of endpoint")
"""Objectives by the kind of task."""


def tall(values: Floats) -> Floats:
    """Return (n,) as (n, 1) and (n, K) as it is."""
    return values if values.ndim == 2 else values[:, None]


def columns(logits: Tensor) -> Tensor:
    """Return logits (B, outputs) in float32 or wider; (B,) becomes (B, 1)."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return wide if wide.ndim == 2 else wide[:, None]


def choose(value: str, allowed: tuple[str, ...], name: str) -> None:
    """Check that an option is one of those allowed.

    Raises:
        ConfigError: it is not.
    """
    if value not in allowed:
        raise ConfigError("no such choice", where=f"objective.{name}", expected=" | ".join(allowed), got=value)


def positive(value: float, name: str) -> None:
    """Check that an option is positive and finite.

    Raises:
        ConfigError: it is not.
    """
    if not 0 < value < float("inf"):
        raise ConfigError("option out of range", where=f"objective.{name}", expected="positive", got=value)


def positive_weight(labels: Any) -> float:
    """Return the weight of a positive that makes both classes weigh the same: negatives over positives.

    Args:
        labels: (n,) of the training subjects; NaN is unknown and does not count.

    Raises:
        InputError: a class is absent.
    """
    known = np.asarray(labels, dtype=np.float64)
    positives, negatives = int((known == 1).sum()), int((known == 0).sum())
    if positives == 0 or negatives == 0:
        raise InputError(
            "the training labels have one class only", expected="both 0 and 1",
            got=f"{positives} positives, {negatives} negatives",
        )  # fmt: skip
    return negatives / positives
