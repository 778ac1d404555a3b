"""Several modalities in one prediction, whichever of them a subject has."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError, InputError
from cardiobind.models.encoder import Encoder


class Tower(nn.Module):
    """An encoder and the pooling of its tokens: (B, *inputs.shape) to (B, width).

    Args:
        encoder: of one modality.
        pool: (B, N, width) to (B, width), such as `MeanPool()`.
    """

    def __init__(self, encoder: Encoder, pool: nn.Module) -> None:
        super().__init__()
        self.inputs, self.width = encoder.inputs, encoder.width
        self.encoder = encoder
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding (B, width)."""
        return self.pool(self.encoder(x))  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """Classifier over the embeddings of several towers; an absent modality is a learned token.

    Args:
        towers: by modality.
        outputs: logits a subject.
        hidden: width of the hidden layer; 0 for a linear classifier.
        dropout: before the last layer.
        modality_dropout: probability with which training hides a modality that a subject has; one is always left.

    Raises:
        ConfigError: no tower, or a rate that is not in [0, 1).

    Source: ml4h DROPFUSE for the modality dropout.
    """

    def __init__(
        self,
        towers: Mapping[str, Tower],
        *,
        outputs: int = 1,
        hidden: int = 128,
        dropout: float = 0.0,
        modality_dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if not towers:
            raise ConfigError("a fusion needs at least one tower")
        if not (0.0 <= dropout < 1.0 and 0.0 <= modality_dropout < 1.0):
            raise ConfigError("a dropout rate is out of range", expected="[0, 1)", got=f"{dropout}, {modality_dropout}")
        self.modality_dropout = modality_dropout
        self.towers = nn.ModuleDict(towers)
        widths = {name: tower.width for name, tower in towers.items()}
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name, width in widths.items()})
        self.absent = nn.ParameterDict({name: 0.02 * torch.randn(width) for name, width in widths.items()})
        self.head = _head(sum(widths.values()), hidden, outputs, dropout)

    def embed(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per modality the normalised embeddings (P, width) of the subjects that have it."""
        named = [name for name in self.towers if name in signals and len(signals[name])]
        for name in named:
            if int(present[name].sum()) != len(signals[name]):
                got = f"{len(signals[name])} signals, {int(present[name].sum())} subjects that have it"
                raise InputError(f"signals of {name!r} do not match their mask", got=got)
        return {name: self.norms[name](self.towers[name](signals[name])) for name in named}

    def keep(self, have: Tensor) -> Tensor:
        """Hide modalities at random, never the last one that a subject has.

        Args:
            have: (B, modalities) bool, which a subject has.

        Returns:
            (B, modalities) bool, a part of `have`.
        """
        if not self.training or self.modality_dropout == 0.0:
            return have
        noise = torch.rand(have.shape, device=have.device).masked_fill(~have, -1.0)
        spared = torch.zeros_like(have).scatter_(1, noise.argmax(dim=1, keepdim=True), True)
        return have & (spared | (noise >= self.modality_dropout))

    def features(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return what the classifier sees (B, sum of widths): an embedding or the learned token of each modality.

        Args:
            signals: per modality the rows (P, ...) of the subjects that have it, in batch order.
            present: per modality (B,) bool; a modality that is not named is absent.

        Raises:
            InputError: a subject has none of the modalities, or signals and masks do not match.
        """
        embedded = self.embed(signals, present)
        some = next(iter(present.values()))
        have = torch.stack([present[name] if name in embedded else torch.zeros_like(some) for name in self.towers], 1)
        if not bool(have.any(dim=1).all()):
            count = int((~have.any(dim=1)).sum())
            raise InputError(f"{count} subjects have none of the modalities", expected=" or ".join(self.towers))
        shown = self.keep(have)
        columns = [self._column(name, embedded, have[:, i], shown[:, i]) for i, name in enumerate(self.towers)]
        return torch.cat(columns, dim=1)

    def forward(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return logits (B, outputs); arguments and errors as `features`."""
        return self.head(self.features(signals, present))  # type: ignore[no-any-return]

    def _column(self, name: str, embedded: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        absent: Tensor = self.absent[name].expand(len(have), -1)
        if name not in embedded:
            return absent
        rows = have.nonzero().flatten()
        filled = absent.to(embedded[name].dtype).index_copy(0, rows, embedded[name])
        return torch.where(shown[:, None], filled, absent)


def _head(width: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    if hidden == 0:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs))
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))
