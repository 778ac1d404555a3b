"""Multi-layer perceptron over a table with numbers, categories and gaps."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder


@ENCODERS.register("tabular_mlp")
class TabularMLP(Encoder):
    """Linear, batch norm, ReLU, linear over numbers with a missing indicator and one-hot categories.

    A number takes two inputs (value, missing), a category of cardinality k takes k + 1 (the last: missing).

    Args:
        inputs: a table (features, 2) of (value, observed), with its cardinalities.
        width: length of the single token, and of the hidden layer.

    Raises:
        ConfigError: the width is below 1 or the cardinalities are not one a feature.

    Source: arXiv 2411.05900, section 3.1 (Linear 33-384, BN, ReLU, Linear 384).
    """

    modalities: ClassVar[tuple[str, ...]] = ("tabular",)

    def __init__(self, inputs: InputSpec, *, width: int = 384) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError("a width must be positive", where="tabular_mlp.width", got=width)
        if len(inputs.cardinalities) != inputs.shape[0]:
            got = f"{len(inputs.cardinalities)} cardinalities, {inputs.shape[0]} features"
            raise ConfigError("each feature needs a cardinality, 0 for a number", got=got)
        self.inputs, self.width = inputs, width
        cardinality = torch.tensor(inputs.cardinalities, dtype=torch.long)
        slots = cardinality[cardinality > 0] + 1
        self.numbers: Tensor
        self.categories: Tensor
        self.missing_slot: Tensor
        self.register_buffer("numbers", torch.nonzero(cardinality == 0).flatten(), persistent=False)
        self.register_buffer("categories", torch.nonzero(cardinality > 0).flatten(), persistent=False)
        self.register_buffer("missing_slot", slots - 1, persistent=False)
        self.slots = [int(s) for s in slots]
        self.fc1 = nn.Linear(2 * len(self.numbers) + sum(self.slots), width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, width)

    def one_hot(self, x: Tensor) -> Tensor:
        """Return the network's inputs (B, columns) of a table (B, features, 2).

        Raises:
            InputError: the batch does not fit `inputs`, or an observed category is not in its range.
        """
        if tuple(x.shape[1:]) != tuple(self.inputs.shape):
            raise InputError("the batch does not fit the encoder", expected=self.inputs.shape, got=tuple(x.shape[1:]))
        value, observed = x.unbind(2)
        number, seen = value[:, self.numbers], observed[:, self.numbers]
        category = value[:, self.categories].round().long()
        absent = observed[:, self.categories] == 0
        category = torch.where(absent, self.missing_slot, category)
        if bool(((category < 0) | (category > self.missing_slot) | (~absent & (category == self.missing_slot))).any()):
            raise InputError("a category is outside its cardinality", hint="encode the table with its TableContract")
        hot = [F.one_hot(category[:, i], slots).to(x.dtype) for i, slots in enumerate(self.slots)]
        return torch.cat([number * seen, 1 - seen, *hot], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one token (B, 1, width) of a table (B, features, 2)."""
        hidden = F.relu(self._normalise(self.fc1(self.one_hot(x))))
        return self.fc2(hidden).unsqueeze(1)  # type: ignore[no-any-return]

    def _normalise(self, hidden: Tensor) -> Tensor:
        if len(hidden) > 1:
            return self.norm(hidden)  # type: ignore[no-any-return]
        # A single subject has no batch variance: fall back on the running statistics.
        norm = self.norm
        return F.batch_norm(hidden, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
