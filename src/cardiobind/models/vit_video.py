"""Vision transformer over space and time of a cine: tokens are tubelets (Arnab et al. 2021)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS, Encoder
from cardiobind.models.places import Places
from cardiobind.models.vit import Block, PatchEmbed, initialise_linear, patchify, sincos_positions


@ENCODERS.register("vit_video")
class VideoViT(Encoder):
    """Transformer over the tubelets of one place's video, run over all places that a subject has.

    A token is a patch of `tubelet` moments, `patch` rows and columns. It gets a fixed 2-D position, a learned vector of
    its time and one of its place; all tokens of a place attend to each other; tokens are averaged over the places.

    Args:
        inputs: planes of a CMR in any layout; long-axis views may be absent.
        tubelet: moments of a token, a divisor of the layout's moments.
        patch: rows and columns of a token, a divisor of the image's.
        width: length of a token, a multiple of 4.
        depth: number of blocks.
        heads: attention heads, a divisor of `width`.
        mlp_ratio: hidden width of a block's MLP over `width`.
        drop_path: rate of stochastic depth at the last block; it grows linearly from 0 at the first.

    Raises:
        ConfigError: something does not divide what it has to, or a rate is not in [0, 1).

    Source: Arnab et al. 2021 (ViViT), model 1 with tubelet embedding.
    """

    modalities: ClassVar[tuple[str, ...]] = ("cmr",)
    takes_absent_places: ClassVar[bool] = True

    def __init__(
        self,
        inputs: InputSpec,
        *,
        tubelet: int = 1,
        patch: int = 10,
        width: int = 384,
        depth: int = 3,
        heads: int = 6,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        self.places = Places(inputs)
        _check_sizes(self.places.of_one.shape, tubelet, patch, width, depth, heads, drop_path)
        self.inputs, self.width, self.tubelet, self.patch = inputs, width, tubelet, (patch, patch)
        self.times = self.places.moments // tubelet
        self.patch_embed = PatchEmbed(tubelet, self.patch, width)
        self.pos_embed: Tensor
        grid = sincos_positions(inputs.shape[1] // patch, inputs.shape[2] // patch, width)
        self.register_buffer("pos_embed", grid.flatten(0, 1), persistent=False)
        self.time_embed = nn.Parameter(0.02 * torch.randn(self.times, width))
        self.place_embed = nn.Parameter(0.02 * torch.randn(self.places.count, width))
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.Sequential(*[Block(width, heads, mlp_ratio, rate) for rate in rates])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        initialise_linear(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, times * cells, width) of images (B, places * moments, H, W).

        Raises:
            InputError: the batch does not fit `inputs`.
        """
        return self.places(x, self.encode)  # type: ignore[no-any-return]

    def encode(self, images: Tensor, place: Tensor) -> Tensor:
        """Return tokens (n, times * cells, width) of single places (n, moments, H, W), each told by its number (n,)."""
        stretches = images.reshape(-1, self.tubelet, *images.shape[2:])
        tokens = self.patch_embed(patchify(stretches, self.patch)).reshape(images.shape[0], self.times, -1, self.width)
        tokens = tokens + self.pos_embed + self.time_embed[:, None] + self.place_embed[place][:, None, None]
        return self.norm(self.blocks(tokens.flatten(1, 2)))  # type: ignore[no-any-return]


def _check_sizes(
    shape: tuple[int, ...], tubelet: int, patch: int, width: int, depth: int, heads: int, drop_path: float
) -> None:
    moments, rows, columns = shape
    if tubelet < 1 or moments % tubelet:
        raise ConfigError(
            "the tubelet does not divide the moments", where="vit_video.tubelet", expected=moments, got=tubelet
        )
    if patch < 1 or rows % patch or columns % patch:
        raise ConfigError("the patch does not divide the image", where="vit_video.patch", expected=shape[1:], got=patch)
    if depth < 1 or heads < 1 or width < 1 or width % heads:
        raise ConfigError("heads must divide width, and depth be at least 1", got=f"{heads}, {width}, {depth}")
    if not 0.0 <= drop_path < 1.0:
        raise ConfigError("drop_path is out of range", where="vit_video.drop_path", expected="[0, 1)", got=drop_path)
