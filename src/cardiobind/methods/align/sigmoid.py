"""All pairs of modalities by the sigmoid loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from cardiobind.methods.align.pairs import AlignAllPairs
from cardiobind.methods.base import METHODS
from cardiobind.objectives import pairwise_sigmoid


@METHODS.register("align_sigmoid")
class AlignSigmoid(AlignAllPairs):
    """All pairs of modalities, each pair of subjects told true or false by itself; temperature and bias are learnt.

    Arguments and errors as `AlignAllPairs`; the temperature starts at 0.1 (t' = log 10) and the bias at -10.

    Source: Zhai et al. 2023 (arXiv 2303.15343).
    """

    learns_temperature: ClassVar[bool] = True
    learns: ClassVar[Mapping[str, float]] = {"bias": -10.0}

    def pair_loss(self, a: Tensor, b: Tensor, alike: Tensor | None = None) -> Tensor:
        """Return the sigmoid loss of two modalities."""
        return pairwise_sigmoid(a, b, self.temperature, self.learnt["bias"], alike=alike)
