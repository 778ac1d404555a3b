"""Encoding of the places of a heart one by one with shared weights, absent ones left out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cardiobind.errors import InputError
from cardiobind.modalities.cmr.layouts import ABSENT_VALUE, LONG_AXIS, Planes
from cardiobind.modalities.spec import InputSpec

EncodePlaces = Callable[[Tensor, Tensor], Tensor]
"""From images (n, moments, H, W) and which place (n,) each is, to tokens (n, N, width)."""


class Places(nn.Module):
    """Splits images into places, has those encoded that are there, and averages their tokens.

    A place that a subject may lack (a long-axis view) is absent where all its planes are `ABSENT_VALUE` everywhere. It
    is not encoded, so it enters neither batch statistics nor the mean: tokens are those of a layout without it.

    Args:
        inputs: of a CMR; its names tell places and moments.

    Raises:
        DataContractError: as `cardiobind.modalities.cmr.Planes.of_names`.
    """

    def __init__(self, inputs: InputSpec) -> None:
        super().__init__()
        planes = Planes.of_names(inputs.names)
        self.inputs, self.count, self.moments = inputs, len(planes.places), len(planes.moments)
        self.always: Tensor
        always = torch.tensor([place not in LONG_AXIS for place in planes.places])
        self.register_buffer("always", always, persistent=False)
        self.any_optional = bool(planes.optional)

    @property
    def of_one(self) -> InputSpec:
        """The input of an encoder of one place: (moments, rows, columns)."""
        return InputSpec(
            "cmr", (self.moments, *self.inputs.shape[1:]), names=Planes.of_names(self.inputs.names).moments
        )

    def forward(self, x: Tensor, encode: EncodePlaces) -> Tensor:
        """Return tokens (B, N, width) of images (B, places * moments, H, W): the mean over the places that are there.

        Raises:
            InputError: the batch does not fit `inputs`.
        """
        if tuple(x.shape[1:]) != self.inputs.shape:
            expected = f"(B, {', '.join(map(str, self.inputs.shape))})"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        images = x.reshape(x.shape[0], self.count, self.moments, *x.shape[2:])
        place = torch.arange(self.count, device=x.device).expand(x.shape[0], -1)
        if not self.any_optional:
            each = encode(images.flatten(0, 1), place.flatten())
            return each.reshape(x.shape[0], self.count, *each.shape[1:]).mean(dim=1)
        present = self.present(images)
        tokens = encode(images[present], place[present])
        spread = tokens.new_zeros(x.shape[0], self.count, *tokens.shape[1:])
        spread[present] = tokens
        return spread.sum(dim=1) / present.sum(dim=1)[:, None, None]

    def present(self, images: Tensor) -> Tensor:
        """Return which places (B, places) are there, of images (B, places, moments, H, W)."""
        return self.always | (images != ABSENT_VALUE).flatten(2).any(dim=2)
