"""All modalities at once, by their multilinear inner product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from cardiobind import rng
from cardiobind.methods.align.pairs import AlignAllPairs
from cardiobind.methods.align.subsets import among, first_subjects
from cardiobind.methods.base import METHODS
from cardiobind.objectives import PairLosses, info_nce, same_everywhere, symile, whole_or_pairs


@METHODS.register("align_symile")
class AlignSymile(AlignAllPairs):
    """Each modality finds the product of the others among shuffled ones; who lacks one takes part by a CLIP loss.

    Arguments and errors as `AlignAllPairs`; the temperature is learnt unless that is turned off.

    Source: Saporta et al. 2024 (arXiv 2411.01053), with O(n) negatives.
    """

    learns_temperature: ClassVar[bool] = True

    def contrast(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], alike: Tensor | None = None
    ) -> PairLosses:
        """Return the losses of a batch; arguments as `AlignAllPairs.contrast`."""

        def loss(z: tuple[Tensor, ...], who: Tensor, anchors: Tensor | None) -> Tensor:
            if len(z) == 2:
                return info_nce(*z, self.temperature, alike=among(alike, who), anchors=anchors)
            return symile(z, self.temperature, orders=self._orders(z), alike=among(alike, who))

        return whole_or_pairs(embeddings, present, loss, self.pairs(embeddings))

    def _orders(self, z: tuple[Tensor, ...]) -> Tensor:
        fixed = None if self.training else torch.Generator().manual_seed(rng.integer(0, "symile"))
        orders = torch.stack([torch.randperm(len(z[0]), generator=fixed) for _ in z]).to(z[0].device)
        return same_everywhere(orders) if self.training else orders

    def validation_loss(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], scores: Mapping[str, float]
    ) -> float:
        """Return the loss of the first subjects; arguments as `AlignAllPairs.validation_loss`."""
        rows, masks = first_subjects(embeddings, present)
        found = self.contrast(rows, masks)
        return float(found.loss) if scores and found.parts else float("nan")
