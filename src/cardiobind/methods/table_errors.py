"""How wrong predicted entries of tables are, subject by subject, numbers and categories apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.models import TableDecoder
from cardiobind.objectives import cross_entropies, squared_errors


class TableErrors(NamedTuple):
    """What was wrong about each subject, (B,) each.

    Attributes:
        squared: sum of the squared errors of the numbers that count.
        numbers: how many there were.
        entropy: sum of the cross-entropies of the categories that count.
        categories: how many there were.
        hits: how many of them had the likeliest code.
    """

    squared: Tensor
    numbers: Tensor
    entropy: Tensor
    categories: Tensor
    hits: Tensor

    @classmethod
    def of(cls, decoder: TableDecoder, tokens: Tensor, x: Tensor, counts: Tensor) -> TableErrors:
        """Return the errors of what a decoder reads from tokens.

        Args:
            decoder: of the table's features.
            tokens: (B, features, width), or (B, 1, width) for all features.
            x: (B, features, 2) the table.
            counts: (B, features) bool, the entries that count.
        """
        numbers, logits = decoder(tokens)
        is_number, is_category = decoder.numbers, decoder.categories
        code = x[:, is_category, 0].round().long()
        of_numbers, of_categories = counts[:, is_number], counts[:, is_category]
        return cls(
            squared_errors(numbers, x[:, is_number, 0], of_numbers), of_numbers.sum(dim=1),
            cross_entropies(logits, code, of_categories), of_categories.sum(dim=1),
            ((logits.argmax(dim=2) == code) & of_categories).sum(dim=1),
        )  # fmt: skip

    @classmethod
    def of_nobody(cls, x: Tensor) -> TableErrors:
        """Return errors of no subject, of the types that those of some have and on the device of `x`.

        Processes gather them from each other, and types that differ end all of them.
        """
        none, count = x.new_zeros(0), x.new_zeros(0, dtype=torch.long)
        return cls(none, count, none, count, count)

    def mean(self) -> Tensor:
        """Return the mean error of an entry, 0 where none counts."""
        return (self.squared + self.entropy).sum() / (self.numbers + self.categories).sum().clamp(min=1)


def summary(outputs: Mapping[str, NDArray[Any]], suffix: str = "") -> dict[str, float]:
    """Return ``loss``, ``squared_error``, ``cross_entropy`` and ``accuracy`` of all subjects, where they are defined.

    Args:
        outputs: the fields of `TableErrors` of all subjects, (n,) each.
        suffix: of the names in `outputs` and of those returned.
    """
    total = {name: float(np.sum(outputs[name + suffix])) for name in TableErrors._fields}
    found = {
        "loss": _ratio(total["squared"] + total["entropy"], total["numbers"] + total["categories"]),
        "squared_error": _ratio(total["squared"], total["numbers"]),
        "cross_entropy": _ratio(total["entropy"], total["categories"]),
        "accuracy": _ratio(total["hits"], total["categories"]),
    }
    return {name + suffix: value for name, value in found.items() if np.isfinite(value)}


def _ratio(total: float, count: float) -> float:
    return total / count if count else float("nan")
