"""Small modules on top of an encoder: pooling of tokens and projection for contrastive losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError
from cardiobind.registry import Registry

POOLS: Registry[Callable[..., nn.Module]] = Registry("pool")
"""Ways of turning tokens (B, N, width) into one embedding (B, width), each built from the width and options."""


Pools = str | Mapping[str, str | Mapping[str, Any]]
"""The pool of all modalities, or that of each: a name in `POOLS`, or ``{"kind": name, "options": {...}}``."""


def pool_of(pools: Pools, modality: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and options of a modality's pool."""
    chosen = pools if isinstance(pools, str) else pools[modality]
    return (chosen, {}) if isinstance(chosen, str) else (chosen["kind"], chosen.get("options", {}))


def build_pool(pools: Pools, modality: str, width: int) -> nn.Module:
    """Return the pool of a modality over tokens of a width, with random weights.

    Raises:
        ConfigError: the pool is unknown, does not take an option, or one is out of range.
    """
    kind, options = pool_of(pools, modality)
    try:
        return POOLS.get(kind)(width, **options)
    except TypeError as error:
        raise ConfigError(f"the pool does not take these options: {error}", where=f"pool of {modality}") from error


@POOLS.register("mean")
class MeanPool(nn.Module):
    """Mean over the tokens: (B, N, width) to (B, width); without weights, so it suits few labels.

    Args:
        width: length of a token; not needed.
    """

    def __init__(self, width: int | None = None) -> None:
        super().__init__()
        self.width = width

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, width)."""
        return tokens.mean(dim=1)


@POOLS.register("attention")
class AttentionPool(nn.Module):
    """Attention over the tokens with their mean as the query: (B, N, width) to (B, width).

    Args:
        width: length of a token.
        heads: attention heads, a divisor of `width`.

    Raises:
        ConfigError: `heads` does not divide `width`.

    Source: arXiv 2411.05900, section 3.3, after Turgut et al. 2308.05764.
    """

    def __init__(self, width: int, *, heads: int = 4) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError("heads must divide width", where="attention pool", got=f"{heads}, {width}")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, width)."""
        batch, count, width = tokens.shape
        query = self.query(tokens.mean(dim=1)).reshape(batch, self.heads, 1, -1)
        key, value = self.key_value(tokens).reshape(batch, count, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        pooled = F.scaled_dot_product_attention(query, key, value)
        return self.proj(pooled.reshape(batch, width))  # type: ignore[no-any-return]


class ProjectionHead(nn.Sequential):
    """Linear, ReLU, linear: (B, inputs) to (B, outputs), where a contrastive loss is taken.

    Args:
        inputs: width of what is projected.
        hidden: width between.
        outputs: width of the embedding, 128 in the paper.
        batch_norm: normalise the hidden layer over the batch, which then needs two subjects. Without it two views of
            similar pictures stay at chance: all embeddings begin nearly equal.

    Source: Chen et al. 2020 (SimCLR), whose published code has the batch norm.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int = 128, *, batch_norm: bool = False) -> None:
        norm = [nn.BatchNorm1d(hidden)] if batch_norm else []
        super().__init__(nn.Linear(inputs, hidden), *norm, nn.ReLU(), nn.Linear(hidden, outputs))
