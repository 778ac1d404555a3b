"""All tokens of all modalities meet in one small transformer; those of an absent modality are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError
from cardiobind.models.multimodal import FUSIONS, Fusion, Tower, classifier
from cardiobind.models.vit import Attention, Mlp, initialise_linear


class MaskedBlock(nn.Module):
    """Pre-norm transformer block in which no token looks at one that is not there.

    Args:
        width: length of a token.
        heads: attention heads, a divisor of `width`.
        mlp_ratio: hidden width of the MLP over `width`.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float = 2.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def attend(self, x: Tensor, there: Tensor) -> Tensor:
        """Return what each token of `x` (B, N, width) gathers from the tokens that are `there` (B, N) bool."""
        batch, count, width = x.shape
        q, k, v = (
            self.attn.qkv(x).reshape(batch, count, 3, self.attn.heads, width // self.attn.heads).permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None, :])
        return self.attn.proj(mixed.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Return tokens of the shape (B, N, width) of `x`; of each subject at least one is `there` (B, N) bool."""
        x = x + self.attend(self.norm1(x), there)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


@FUSIONS.register("token")
class TokenFusion(Fusion):
    """A CLS token attends to the tokens of all modalities that a subject has, each marked by its modality.

    Of each tower enter the pooled embedding, which is what was aligned, and behind it the tokens themselves.

    Args:
        towers: by modality.
        outputs: logits a subject.
        hidden: width of the classifier's hidden layer; 0 for a linear one.
        dropout: before the last layer.
        modality_dropout: probability with which training hides a modality that a subject has; one is always left.
        fusion_width: length of a token where modalities meet.
        fusion_depth: number of blocks.
        fusion_heads: attention heads, a divisor of `fusion_width`.

    Raises:
        ConfigError: no tower, an option out of range, or heads that do not divide the width.

    Source: Nagrani et al. 2021 (joint attention over the tokens of modalities); Du et al. 2024 (TIP) for a CLS token
        over image and table.
    """

    def __init__(
        self,
        towers: Mapping[str, Tower],
        *,
        outputs: int = 1,
        hidden: int = 128,
        dropout: float = 0.0,
        modality_dropout: float = 0.3,
        fusion_width: int = 128,
        fusion_depth: int = 2,
        fusion_heads: int = 4,
    ) -> None:
        super().__init__(towers, modality_dropout=modality_dropout)
        if fusion_width < 1 or fusion_depth < 1 or fusion_heads < 1 or fusion_width % fusion_heads:
            got = f"{fusion_heads}, {fusion_width}, {fusion_depth}"
            raise ConfigError("fusion_heads must divide fusion_width, and fusion_depth be at least 1", got=got)
        self.norms = nn.ModuleDict({name: nn.LayerNorm(tower.width) for name, tower in towers.items()})
        self.enter = nn.ModuleDict({name: nn.Linear(tower.width, fusion_width) for name, tower in towers.items()})
        self.kinds = nn.ParameterDict({name: 0.02 * torch.randn(fusion_width) for name in towers})
        self.cls = nn.Parameter(0.02 * torch.randn(fusion_width))
        self.blocks = nn.ModuleList([MaskedBlock(fusion_width, fusion_heads) for _ in range(fusion_depth)])
        self.norm = nn.LayerNorm(fusion_width, eps=1e-6)
        for part in (self.enter, self.blocks):
            initialise_linear(part)
        self.head = classifier(fusion_width, hidden=hidden, outputs=outputs, dropout=dropout)

    def encode(self, name: str, x: Tensor) -> Tensor:
        """Return the pooled embedding and the tokens (P, 1 + N, fusion_width), marked by their modality."""
        tower = cast(Tower, self.towers[name])
        tokens = tower.encoder(x)
        every = torch.cat([tower.pool(tokens)[:, None], tokens], dim=1)
        return self.enter[name](self.norms[name](every)) + self.kinds[name]  # type: ignore[no-any-return]

    def join(self, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        """Return the CLS token (B, fusion_width) after the blocks."""
        tokens, there = [self.cls.expand(have.shape[0], 1, -1)], [torch.ones_like(have[:, :1])]
        for i, name in enumerate(self.towers):
            if name in held:
                own = held[name]
                rows = have[:, i].nonzero().flatten()
                tokens.append(own.new_zeros(have.shape[0], *own.shape[1:]).index_copy(0, rows, own))
                there.append(shown[:, i : i + 1].expand(-1, own.shape[1]))
        x, mask = torch.cat(tokens, dim=1), torch.cat(there, dim=1)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x[:, 0])  # type: ignore[no-any-return]
