"""Endpoints that are a number of the table: regression on standardised targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.objectives.endpoints.base import ENDPOINTS, EndpointObjective, Floats, choose, columns, positive, tall

Loss = Literal["mse", "huber", "gaussian"]

LARGEST_LOG_VARIANCE = 10.0
"""Bound of the logarithm of a predicted variance, either way: beyond it one confident sample ends a training."""


@ENDPOINTS.register("regression")
class Regression(EndpointObjective):
    """A number, learnt as a z-score by the mean and standard deviation of the training labels.

    Args:
        mean: of the training labels, in the unit of the endpoint.
        sd: their standard deviation.
        loss: ``mse`` half the squared error; ``huber`` the same up to `delta` standard deviations and linear beyond;
            ``gaussian`` the negative log likelihood of a mean and a variance that the network gives both.
        delta: of ``huber``.

    Raises:
        ConfigError: an option is out of range.

    Source: Huber 1964; Nix and Weigend 1994 for the variance.
    """

    monitors: ClassVar[Mapping[str, bool]] = {"r2": True, "mae": False, "loss": False}

    def __init__(self, mean: float, sd: float, *, loss: Loss = "mse", delta: float = 1.0) -> None:
        choose(loss, get_args(Loss), "loss")
        positive(delta, "delta")
        if not (np.isfinite(mean) and 0 < sd < float("inf")):
            raise ConfigError(
                "labels cannot be standardised", expected="a finite mean and a positive sd", got=(mean, sd)
            )
        self.mean, self.sd, self.kind, self.delta = mean, sd, loss, delta
        self.outputs = 2 if loss == "gaussian" else 1
        self.why_not_linear = "a ridge regression gives a mean and no variance" if loss == "gaussian" else None

    @classmethod
    def fit(cls, labels: Floats, *, loss: Loss = "mse", delta: float = 1.0) -> Self:
        """Return the objective standardised by the known training labels."""
        known = labels[np.isfinite(labels)]
        if len(known) < 2 or np.ptp(known) == 0:
            raise InputError("the training labels have no spread", expected="two different values", got=len(known))
        return cls(float(known.mean()), float(known.std()), loss=loss, delta=delta)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of standardised values over the known labels."""
        known = labels.isfinite()
        outputs = columns(logits)
        if not bool(known.any()):
            return 0.0 * outputs.sum()
        found, target = outputs[known], ((labels[known] - self.mean) / self.sd).to(outputs.dtype)
        error = found[:, 0] - target
        if self.kind == "gaussian":
            log_variance = found[:, 1].clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
            return 0.5 * (log_variance + error.square() * torch.exp(-log_variance)).mean()
        if self.kind == "huber":
            return F.huber_loss(found[:, 0], target, delta=self.delta)
        return 0.5 * error.square().mean()

    def measure(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return R2 (NaN where the labels have no spread) and the mean absolute error in the endpoint's unit."""
        error, spread = self.predicted(logits) - labels, labels - labels.mean() if len(labels) else labels
        return {
            "r2": float(1 - (error**2).sum() / (spread**2).sum()) if np.any(spread != 0) else float("nan"),
            "mae": float(np.abs(error).mean()) if len(labels) else float("nan"),
        }

    def predicted(self, logits: Floats) -> Floats:
        """Return the value (n,) in the unit of the endpoint."""
        return np.asarray(self.mean + self.sd * tall(logits)[:, 0])

    def to_json(self) -> dict[str, Any]:
        """Return mean, standard deviation and loss."""
        return {"mean": self.mean, "sd": self.sd, "loss": self.kind, "delta": self.delta}
