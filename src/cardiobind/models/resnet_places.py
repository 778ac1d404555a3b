"""One residual network for every slice and view of a heart, told which it sees."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder
from cardiobind.models.places import Places
from cardiobind.models.resnet import ResNet


@ENCODERS.register("resnet_places")
class ResNetPlaces(Encoder):
    """A `ResNet` whose channels are the moments of one place, run over all places that a subject has.

    A learned vector of the place is added after the stem; tokens are the cells of the last feature map, averaged over
    the places. Weights of a `ResNet` of as many channels load into `network`.

    Args:
        inputs: planes of a CMR in any layout; long-axis views may be absent.
        depth, base_width, stem, zero_init_residual: as of `ResNet`.

    Raises:
        ConfigError: as `ResNet`.

    Source: He et al. 2016; weights shared over views as in Su et al. 2015 (multi-view CNN), the mean for their maximum.
    """

    modalities: ClassVar[tuple[str, ...]] = ("cmr",)
    takes_absent_places: ClassVar[bool] = True

    def __init__(
        self,
        inputs: InputSpec,
        *,
        depth: int = 18,
        base_width: int = 64,
        stem: Literal["standard", "small"] = "standard",
        zero_init_residual: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.places = Places(inputs)
        self.network = ResNet(
            self.places.of_one, depth=depth, base_width=base_width, stem=stem, zero_init_residual=zero_init_residual
        )
        self.width = self.network.width
        self.place_embed = nn.Parameter(0.02 * torch.randn(self.places.count, base_width))

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, cells, width) of images (B, places * moments, H, W).

        Raises:
            InputError: the batch does not fit `inputs`.
        """
        return self.places(x, self.encode)  # type: ignore[no-any-return]

    def encode(self, images: Tensor, place: Tensor) -> Tensor:
        """Return tokens (n, cells, width) of single places (n, moments, H, W), each told by its number (n,)."""
        return self.network.body(self.network.stem(images) + self.place_embed[place][:, :, None, None])
