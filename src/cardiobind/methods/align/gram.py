"""All modalities at once, by the volume that a subject's embeddings span."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from cardiobind.methods.align.pairs import AlignAllPairs
from cardiobind.methods.align.subsets import among, first_subjects
from cardiobind.methods.base import METHODS
from cardiobind.objectives import PairLosses, gram, whole_or_pairs


@METHODS.register("align_gram")
class AlignGram(AlignAllPairs):
    """A subject's embeddings span less volume than they do with those of others; who lacks a modality spans an area.

    Arguments and errors as `AlignAllPairs`; the temperature is learnt unless that is turned off.

    Source: Cicchetti et al. 2024 (arXiv 2412.11959).
    """

    learns_temperature: ClassVar[bool] = True

    def pair_loss(self, a: Tensor, b: Tensor, alike: Tensor | None = None) -> Tensor:
        """Return the loss of the areas that two modalities span."""
        return gram([a, b], self.temperature, alike=alike)

    def contrast(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], alike: Tensor | None = None
    ) -> PairLosses:
        """Return the losses of a batch; arguments as `AlignAllPairs.contrast`."""

        def loss(z: tuple[Tensor, ...], who: Tensor, anchors: Tensor | None) -> Tensor:
            return gram(z, self.temperature, alike=among(alike, who), anchors=anchors)

        return whole_or_pairs(embeddings, present, loss, self.pairs(embeddings))

    def validation_loss(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], scores: Mapping[str, float]
    ) -> float:
        """Return the loss of the first subjects; arguments as `AlignAllPairs.validation_loss`."""
        rows, masks = first_subjects(embeddings, present)
        found = self.contrast(rows, masks)
        return float(found.loss) if scores and found.parts else float("nan")
