"""All pairs of modalities by the sigmoid loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cardiobind.methods.align.pairs import AlignAllPairs
from cardiobind.methods.base import METHODS
from cardiobind.objectives import pairwise_sigmoid

START_BIAS = -10.0


@METHODS.register("align_sigmoid")
class AlignSigmoid(AlignAllPairs):
    """All pairs of modalities, each pair of subjects told true or false by itself; temperature and bias are learnt.

    Arguments and errors as `AlignAllPairs`; the temperature starts at 0.1 (t' = log 10) and the bias at -10.

    Source: Zhai et al. 2023 (arXiv 2303.15343).
    """

    learns_temperature: ClassVar[bool] = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.bias = nn.Parameter(torch.tensor(START_BIAS))

    def pair_loss(self, a: Tensor, b: Tensor, alike: Tensor | None = None) -> Tensor:
        """Return the sigmoid loss of two modalities."""
        return pairwise_sigmoid(a, b, self.temperature, self.bias, alike=alike)
