"""Multi-layer perceptron over a table with numbers, categories and gaps."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder

Columns = Literal["indicators", "plain"]


def cardinality_of(inputs: InputSpec) -> Tensor:
    """Return the cardinality of each feature, (features,) int64, 0 for a number.

    Raises:
        ConfigError: the cardinalities are not one a feature.
    """
    if len(inputs.cardinalities) != inputs.shape[0]:
        got = f"{len(inputs.cardinalities)} cardinalities, {inputs.shape[0]} features"
        raise ConfigError("each feature needs a cardinality, 0 for a number", got=got)
    return torch.tensor(inputs.cardinalities, dtype=torch.long)


def check_table(x: Tensor, cardinality: Tensor) -> None:
    """Refuse a batch of tables (B, features, 2) that no encoder of these features can read.

    Raises:
        InputError: the shape is another, or an observed category is not in its range.
    """
    if x.ndim != 3 or tuple(x.shape[1:]) != (len(cardinality), 2):
        expected = (len(cardinality), 2)
        raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape[1:]))
    value, observed = x.unbind(2)
    code = value.round()
    wrong = (observed != 0) & (cardinality > 0) & ~((code >= 0) & (code < cardinality))
    if bool(wrong.any()):
        raise InputError("a category is outside its cardinality", hint="encode the table with its TableContract")


@ENCODERS.register("tabular_mlp")
class TabularMLP(Encoder):
    """Linear, batch norm, ReLU, linear over the columns of a table.

    With ``columns = "indicators"`` a number takes two inputs (value, missing) and a category of cardinality k takes
    k + 1 (the last: missing). With ``"plain"`` every feature takes one, its value or code, and a missing one is 0, the
    mean of a number: the paper's network, which cannot tell a gap from the mean, nor from a category's first code.

    Args:
        inputs: a table (features, 2) of (value, observed), with its cardinalities.
        width: length of the single token, and of the hidden layer.
        columns: what the first layer sees of a feature, ``indicators`` or ``plain``.

    Raises:
        ConfigError: the width is below 1, the cardinalities are not one a feature, or there are no such columns.

    Source: arXiv 2411.05900, section 3.1 (Linear 33-384, BN, ReLU, Linear 384): ``columns = "plain"``, 33 features.
    """

    modalities: ClassVar[tuple[str, ...]] = ("tabular",)

    def __init__(self, inputs: InputSpec, *, width: int = 384, columns: Columns = "indicators") -> None:
        super().__init__()
        if width < 1:
            raise ConfigError("a width must be positive", where="tabular_mlp.width", got=width)
        if columns not in get_args(Columns):
            expected = " | ".join(get_args(Columns))
            raise ConfigError("no such columns", where="tabular_mlp.columns", expected=expected, got=columns)
        self.inputs, self.width, self.columns = inputs, width, columns
        cardinality = cardinality_of(inputs)
        slots = cardinality[cardinality > 0] + 1
        self.cardinality: Tensor
        self.register_buffer("cardinality", cardinality, persistent=False)
        self.numbers: Tensor
        self.categories: Tensor
        self.missing_slot: Tensor
        self.register_buffer("numbers", torch.nonzero(cardinality == 0).flatten(), persistent=False)
        self.register_buffer("categories", torch.nonzero(cardinality > 0).flatten(), persistent=False)
        self.register_buffer("missing_slot", slots - 1, persistent=False)
        self.first_slot: Tensor
        self.register_buffer("first_slot", slots.cumsum(0) - slots, persistent=False)
        self.indicators = int(slots.sum())
        plain = columns == "plain"
        entering = len(cardinality) if plain else 2 * len(self.numbers) + self.indicators
        self.fc1 = nn.Linear(entering, width, bias=plain)
        self.norm = nn.BatchNorm1d(width)
        self.fc2 = nn.Linear(width, width)

    def enter(self, x: Tensor) -> Tensor:
        """Return the network's inputs (B, columns) of a table (B, features, 2).

        Raises:
            InputError: the batch does not fit `inputs`, or an observed category is not in its range.
        """
        check_table(x, self.cardinality)
        return x[..., 0] * x[..., 1] if self.columns == "plain" else self.one_hot(x)

    def one_hot(self, x: Tensor) -> Tensor:
        """Return numbers, their missing indicators and one-hot categories (B, columns) of a table (B, features, 2)."""
        value, observed = x.unbind(2)
        number, seen = value.index_select(1, self.numbers), observed.index_select(1, self.numbers)
        category, known = value.index_select(1, self.categories), observed.index_select(1, self.categories)
        slot = self.first_slot + torch.where(known == 0, self.missing_slot, category.round().long())
        hot = x.new_zeros(x.shape[0], self.indicators).scatter_(1, slot, 1.0)
        return torch.cat([number * seen, 1 - seen, hot], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one token (B, 1, width) of a table (B, features, 2)."""
        hidden = F.relu(self._normalise(self.fc1(self.enter(x))))
        return self.fc2(hidden).unsqueeze(1)  # type: ignore[no-any-return]

    def _normalise(self, hidden: Tensor) -> Tensor:
        if len(hidden) > 1:
            return self.norm(hidden)  # type: ignore[no-any-return]
        # A single subject has no batch variance: fall back on the running statistics.
        norm = self.norm
        return F.batch_norm(hidden, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
