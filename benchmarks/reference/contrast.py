"""Contrast of an image with an ECG or a table in plain float32, as the public codes have it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def head(inputs: int, outputs: int = 128) -> nn.Sequential:
    """Return a projection head."""
    return nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, outputs))


def clip_loss(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """Return CLIP's loss of embeddings (n, d) whose rows are the same subjects."""
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    logits = a @ b.T / temperature
    own = torch.arange(len(a))
    return 0.5 * F.cross_entropy(logits, own) + 0.5 * F.cross_entropy(logits.T, own)


class TwoTowers(nn.Module):
    """An image tower and another one, each with its head; `pool` makes one vector of the other tower's tokens."""

    def __init__(self, image: nn.Module, other: nn.Module, widths: tuple[int, int]) -> None:
        super().__init__()
        self.image, self.other = image, other
        self.image_head, self.other_head = head(widths[0]), head(widths[1])

    def forward(self, image: Tensor, other: Tensor) -> Tensor:
        tokens = self.other(other)
        embedded = tokens.mean(dim=1) if tokens.ndim == 3 else tokens
        return clip_loss(self.image_head(self.image(image)), self.other_head(embedded))
