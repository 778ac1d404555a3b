"""Transformer over one token a feature of a table, with a token for what is missing."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder
from cardiobind.models.tabular import cardinality_of, check_table
from cardiobind.models.vit import Block, initialise_linear

Tokens = Literal["all", "cls"]


class FeatureTokens(nn.Module):
    """A table as tokens (B, 1 + features, width): CLS, then for each feature j its own vector plus what is known of it.

    A number adds its value times a vector of the feature, a category the vector of its code, a missing entry the
    MISSING vector, which all features share: value and code of a missing entry are never looked at.

    Args:
        cardinality: (features,) int64, 0 for a number.
        width: length of a token.

    Source: Gorishniy et al. 2021 (FT-Transformer), section 3.3; Du et al. 2024 (TIP) for the token of missing entries.
    """

    def __init__(self, cardinality: Tensor, width: int) -> None:
        super().__init__()
        rows = cardinality.clamp(min=1)
        self.cardinality: Tensor
        self.first_row: Tensor
        self.register_buffer("cardinality", cardinality, persistent=False)
        self.register_buffer("first_row", rows.cumsum(0) - rows, persistent=False)
        self.values = nn.Embedding(int(rows.sum()), width)
        self.features = nn.Parameter(torch.empty(len(cardinality), width))
        self.missing = nn.Parameter(torch.empty(width))
        self.cls = nn.Parameter(torch.empty(width))
        bound = width**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, 1 + features, width) of a table (B, features, 2) of (value, observed).

        Raises:
            InputError: the batch does not fit, or an observed category is not in its range.
        """
        check_table(x, self.cardinality)
        value, seen = x[..., 0], x[..., 1] != 0
        is_category = self.cardinality > 0
        code = torch.where(is_category & seen, value.round(), 0.0).long()
        scale = torch.where(is_category, 1.0, torch.where(seen, value, 0.0))
        known = self.values(self.first_row + code) * scale[..., None]
        tokens = self.features + torch.where(seen[..., None], known, self.missing)
        return torch.cat([self.cls.expand(x.shape[0], 1, -1), tokens], dim=1)


@ENCODERS.register("tabular_transformer")
class TabularTransformer(Encoder):
    """Pre-norm transformer over feature tokens; a missing value is a token of its own, so no gap is ever filled.

    Args:
        inputs: a table (features, 2) of (value, observed), with its cardinalities.
        width: length of a token.
        depth: number of blocks; TIP has 4 of width 512, FT-Transformer 3 of width 192.
        heads: attention heads, a divisor of `width`.
        mlp_ratio: hidden width of a block's MLP over `width`.
        drop_path: rate of stochastic depth at the last block; it grows linearly from 0 at the first.
        tokens: ``all`` gives CLS and one token a feature, ``cls`` the CLS token alone.

    Raises:
        ConfigError: the cardinalities are not one a feature, the heads do not divide the width, or an option is out of
            range.

    Source: Gorishniy et al. 2021 (FT-Transformer); Du et al. 2024 (TIP, ECCV), section 3.1.
    """

    modalities: ClassVar[tuple[str, ...]] = ("tabular",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        width: int = 192,
        depth: int = 3,
        heads: int = 8,
        mlp_ratio: float = 2.0,
        drop_path: float = 0.0,
        tokens: Tokens = "all",
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1 or heads < 1 or width % heads:
            raise ConfigError("heads must divide width, and depth be at least 1", got=f"{heads}, {width}, {depth}")
        if not (0.0 <= drop_path < 1.0 and mlp_ratio > 0.0):
            raise ConfigError("drop_path or mlp_ratio is out of range", got=f"{drop_path}, {mlp_ratio}")
        if tokens not in get_args(Tokens):
            raise ConfigError("no such choice", where="tabular_transformer.tokens", expected="all | cls", got=tokens)
        self.inputs, self.width, self.tokens = inputs, width, tokens
        self.embed = FeatureTokens(cardinality_of(inputs), width)
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.Sequential(*[Block(width, heads, mlp_ratio, rate) for rate in rates])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        initialise_linear(self.blocks)

    def encode(self, x: Tensor) -> Tensor:
        """Return CLS and one token a feature (B, 1 + features, width) of a table (B, features, 2)."""
        return self.norm(self.blocks(self.embed(x)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, 1 + features, width), or (B, 1, width) where only CLS is asked for."""
        tokens = self.encode(x)
        return tokens if self.tokens == "all" else tokens[:, :1]
