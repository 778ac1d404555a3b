"""One embedding for any subset of the modalities: the mean of what is present."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.models.multimodal import FUSIONS, Fusion, Tower, classifier


@FUSIONS.register("dropout")
class DropFusion(Fusion):
    """Each modality is projected into one common space, where the mean of the present ones is classified.

    Modality dropout makes each projection fit to decide alone. With ``hidden = 0`` the logit is the mean of one linear
    classifier a modality.

    Args:
        towers: by modality.
        outputs: logits a subject.
        hidden: width of the classifier's hidden layer; 0 for a linear one.
        dropout: before the last layer.
        modality_dropout: probability with which training hides a modality that a subject has; one is always left.
        fusion_width: of the common space.

    Raises:
        ConfigError: no tower, or an option out of range.

    Source: ml4h DROPFUSE (Radhakrishnan et al. 2023): one representation from whichever modalities there are.
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
    ) -> None:
        super().__init__(towers, modality_dropout=modality_dropout)
        if fusion_width < 1:
            raise ConfigError("fusion_width must be positive", got=fusion_width)
        self.fusion_width = fusion_width
        self.norms = nn.ModuleDict({name: nn.LayerNorm(tower.width) for name, tower in towers.items()})
        self.enter = nn.ModuleDict({name: nn.Linear(tower.width, fusion_width) for name, tower in towers.items()})
        self.head = classifier(fusion_width, hidden=hidden, outputs=outputs, dropout=dropout)

    def encode(self, name: str, x: Tensor) -> Tensor:
        """Return the embeddings in the common space (P, fusion_width)."""
        return self.enter[name](self.norms[name](self.towers[name](x)))  # type: ignore[no-any-return]

    def join(self, held: Mapping[str, Tensor], have: Tensor, shown: Tensor) -> Tensor:
        """Return the mean (B, fusion_width) over the modalities that are shown."""
        places = [i for i, name in enumerate(self.towers) if name in held]
        if not places:
            return have.new_zeros((len(have), self.fusion_width), dtype=torch.float32)
        filled = torch.stack([_spread(own, have[:, i]) for i, own in zip(places, held.values(), strict=True)], dim=1)
        weight = shown[:, places, None].to(filled.dtype)
        return torch.where(weight > 0, filled, 0.0).sum(dim=1) / weight.sum(dim=1)


def _spread(rows: Tensor, have: Tensor) -> Tensor:
    """Return (B, d) with the rows (P, d) at the places that have one."""
    return rows.new_zeros(have.shape[0], rows.shape[1]).index_copy(0, have.nonzero().flatten(), rows)
