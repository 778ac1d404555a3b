"""The predictor of a joint-embedding predictive architecture: from seen tokens to hidden ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.models.vit import Block, initialise_linear, sincos_positions


class LatentPredictor(nn.Module):
    """Narrow transformer over the visible tokens and one mask token for each hidden place.

    Args:
        width: of the encoder's tokens.
        grid: rows and columns of the encoder's patches.
        narrow: length of a token here, a multiple of 4 and of `heads`.
        depth: number of blocks.
        heads: attention heads.

    Raises:
        ConfigError: the heads do not divide the width, or there is no block.

    Source: Assran et al. 2023 (I-JEPA), section 3.
    """

    def __init__(self, width: int, grid: tuple[int, int], *, narrow: int, depth: int, heads: int) -> None:
        super().__init__()
        if depth < 1 or heads < 1 or narrow % heads:
            raise ConfigError("heads must divide width, and depth be at least 1", got=f"{heads}, {narrow}, {depth}")
        self.rows = grid[0]
        self.embed = nn.Linear(width, narrow)
        self.mask_token = nn.Parameter(torch.zeros(narrow))
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", sincos_positions(*grid, narrow), persistent=False)
        self.blocks = nn.ModuleList([Block(narrow, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(narrow, eps=1e-6)
        self.project = nn.Linear(narrow, width)
        initialise_linear(self)
        nn.init.normal_(self.mask_token, std=0.02)

    def forward(
        self, tokens: Tensor, visible: Tensor, hidden: Tensor, columns: int, present: Tensor | None = None
    ) -> Tensor:
        """Return the prediction (B, h, width) of the hidden tokens.

        Args:
            tokens: (B, n, width) of the encoder.
            visible: (B, n) their places.
            hidden: (B, h) places to predict.
            columns: of the patch grid of this batch, at most those of the whole record.
            present: (B, n + h), which of both a subject has; None for all.
        """
        positions = self.pos_embed[:, :columns].flatten(0, 1)
        seen = self.embed(tokens) + positions[visible]
        x = torch.cat([seen, self.mask_token + positions[hidden]], dim=1)
        for block in self.blocks:
            x = block(x, present)
        return self.project(self.norm(x[:, visible.shape[1] :]))  # type: ignore[no-any-return]
