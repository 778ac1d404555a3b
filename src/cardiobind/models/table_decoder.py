"""From tokens back to a table: a number or a distribution over the categories of each feature."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.models.vit import initialise_linear


class TableDecoder(nn.Module):
    """Predicts every feature from its token, or all of them from one token.

    A feature reads its token through vectors of its own: one for a number, one a category for a category.

    Args:
        cardinality: (features,) int64, 0 for a number.
        width: length of a token.

    Attributes:
        numbers, categories: places of the two kinds among the features.

    Source: Du et al. 2024 (TIP), section 3.2; the linear readout of a kind a feature of Gorishniy et al. 2021.
    """

    numbers: Tensor
    categories: Tensor
    slot_feature: Tensor
    number_slot: Tensor
    code_slot: Tensor
    allowed: Tensor

    def __init__(self, cardinality: Tensor, width: int) -> None:
        super().__init__()
        rows = cardinality.clamp(min=1)
        first, codes = rows.cumsum(0) - rows, torch.arange(int(rows.max()))
        is_number = cardinality == 0
        allowed = codes < cardinality[~is_number, None]
        buffers = {
            "numbers": is_number.nonzero().flatten(),
            "categories": (~is_number).nonzero().flatten(),
            "slot_feature": torch.arange(len(cardinality)).repeat_interleave(rows),
            "number_slot": first[is_number],
            "code_slot": torch.where(allowed, first[~is_number, None] + codes, 0),
            "allowed": allowed,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer, persistent=False)
        self.features = len(cardinality)
        self.mix = nn.Linear(width, width)
        self.readout = nn.Parameter(width**-0.5 * torch.randn(int(rows.sum()), width))
        self.bias = nn.Parameter(torch.zeros(int(rows.sum())))
        initialise_linear(self.mix)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return predicted numbers (B, numbers) and logits (B, categories, codes), -inf where there is no such code.

        Args:
            tokens: (B, features, width), or (B, 1, width) of a whole row.
        """
        hidden = F.gelu(self.mix(tokens)).expand(-1, self.features, -1)
        slots = (hidden.index_select(1, self.slot_feature) * self.readout).sum(dim=2) + self.bias
        logits = slots[:, self.code_slot].masked_fill(~self.allowed, -torch.inf)
        return slots[:, self.number_slot], logits
