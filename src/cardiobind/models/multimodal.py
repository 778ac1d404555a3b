"""Several modalities in one prediction, whichever of them a subject has."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError, InputError
from cardiobind.models.encoder import Encoder
from cardiobind.registry import Registry, did_you_mean


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


class Fusion(nn.Module, ABC):
    """A classifier over several towers; whatever a subject lacks takes no part, and is never computed from zeros.

    A plug-in says how a modality enters (`encode`) and how they meet (`join`), builds a `head` over what `join`
    returns, takes the keyword arguments ``outputs``, ``hidden``, ``dropout`` and ``modality_dropout``, and is
    registered in `FUSIONS`.

    Args:
        towers: by modality.
        modality_dropout: probability with which training hides a modality that a subject has; one is always left.

    Attributes:
        head: logits of what `features` returns.

    Raises:
        ConfigError: no tower, or a rate that is not in [0, 1).

    Source: ml4h DROPFUSE for the modality dropout.
    """

    head: nn.Sequential

    def __init__(self, towers: Mapping[str, Tower], *, modality_dropout: float) -> None:
        super().__init__()
        if not towers:
            raise ConfigError("a fusion needs at least one tower")
        if not 0.0 <= modality_dropout < 1.0:
            raise ConfigError("modality_dropout is out of range", expected="[0, 1)", got=modality_dropout)
        self.modality_dropout = modality_dropout
        self.towers = nn.ModuleDict(towers)

    @abstractmethod
    def encode(self, name: str, x: Tensor) -> Tensor:
        """Return what enters of the signals (P, ...) of one modality: (P, d) or (P, N, d)."""

    @abstractmethod
    def join(self, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        """Return what the classifier sees of each subject.

        Args:
            held: what `encode` returned, of each modality that somebody has.
            have: (B, modalities) bool, which a subject has.
            shown: (B, modalities) bool, a part of `have` that must decide alone, at least one of each subject.
        """

    def embed(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per modality what `encode` makes of the subjects that have it.

        Raises:
            InputError: signals and masks do not match.
        """
        named = [name for name in self.towers if name in signals and len(signals[name])]
        for name in named:
            if int(present[name].sum()) != len(signals[name]):
                got = f"{len(signals[name])} signals, {int(present[name].sum())} subjects that have it"
                raise InputError(f"signals of {name!r} do not match their mask", got=got)
        return {name: self.encode(name, signals[name]) for name in named}

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
        """Return what the classifier sees (B, d).

        Args:
            signals: per modality the rows (P, ...) of the subjects that have it, in batch order.
            present: per modality (B,) bool; a modality that is not named is absent.

        Raises:
            InputError: a subject has none of the modalities, or signals and masks do not match.
        """
        return self.meet(self.embed(signals, present), present)

    def meet(self, held: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return what the classifier sees (B, d) of subjects whose signals are encoded already.

        Args:
            held: what `embed` returned, or a part of it.
            present: per modality (B,) bool; a modality that is not named is absent.

        Raises:
            InputError: a subject has none of the modalities.
        """
        some = next(iter(present.values()))
        have = torch.stack([present[name] if name in held else torch.zeros_like(some) for name in self.towers], 1)
        if not bool(have.any(dim=1).all()):
            count = int((~have.any(dim=1)).sum())
            raise InputError(f"{count} subjects have none of the modalities", expected=" or ".join(self.towers))
        return self.join(held, have, self.keep(have))

    def forward(self, signals: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
        """Return logits (B, outputs); arguments and errors as `features`."""
        return self.head(self.features(signals, present))  # type: ignore[no-any-return]


FUSIONS: Registry[type[Fusion]] = Registry("fusion")


def build_fusion(towers: Mapping[str, Tower], *, fusion: str = "late", **options: Any) -> Fusion:
    """Build a registered fusion with random weights beyond its towers.

    Args:
        towers: by modality.
        fusion: a name in `FUSIONS`.
        options: keyword arguments of its constructor; one that is None keeps its default.

    Raises:
        UnknownNameError: no fusion of that kind.
        ConfigError: an option is unknown or out of range.
    """
    factory = FUSIONS.get(fusion)
    given = {name: value for name, value in options.items() if value is not None}
    known = [p.name for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigError(f"fusion {fusion!r} does not take the option {name!r}", where=name, hint=hint)
    return factory(towers, **given)


@FUSIONS.register("late")
class LateFusion(Fusion):
    """The embeddings of all towers side by side; an absent modality is a learned token.

    Args:
        towers: by modality.
        outputs: logits a subject.
        hidden: width of the classifier's hidden layer; 0 for a linear one.
        dropout: before the last layer.
        modality_dropout: probability with which training hides a modality that a subject has; one is always left.

    Raises:
        ConfigError: no tower, or a rate that is not in [0, 1).

    Source: arXiv 2411.05900, section 3.3; the learned tokens are ours.
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
        super().__init__(towers, modality_dropout=modality_dropout)
        widths = {name: tower.width for name, tower in towers.items()}
        self.norms = nn.ModuleDict({name: nn.LayerNorm(width) for name, width in widths.items()})
        self.absent = nn.ParameterDict({name: 0.02 * torch.randn(width) for name, width in widths.items()})
        self.head = classifier(sum(widths.values()), hidden=hidden, outputs=outputs, dropout=dropout)

    def encode(self, name: str, x: Tensor) -> Tensor:
        """Return the normalised embeddings (P, width)."""
        return self.norms[name](self.towers[name](x))  # type: ignore[no-any-return]

    def join(self, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        """Return (B, sum of widths): the embedding or the learned token of each modality."""
        columns = [self._column(name, held, have[:, i], shown[:, i]) for i, name in enumerate(self.towers)]
        return torch.cat(columns, dim=1)

    def _column(self, name: str, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        absent: Tensor = self.absent[name].expand(have.shape[0], -1)
        if name not in held:
            return absent
        rows = have.nonzero().flatten()
        filled = absent.to(held[name].dtype).index_copy(0, rows, held[name])
        return torch.where(shown[:, None], filled, absent)


def classifier(width: int, *, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Return a classifier (B, width) to (B, outputs), its last layer linear.

    Args:
        width: of what it sees.
        hidden: width of the hidden layer; 0 for none.
        outputs: logits a subject.
        dropout: before the last layer.

    Raises:
        ConfigError: the rate is not in [0, 1).
    """
    if not 0.0 <= dropout < 1.0:
        raise ConfigError("a dropout rate is out of range", where="dropout", expected="[0, 1)", got=dropout)
    if hidden == 0:
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs))
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))
