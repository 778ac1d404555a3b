"""Masked autoencoder (He et al. 2022) around a `ViT`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError
from cardiobind.models.vit import Block, ViT, initialise_linear, sincos_positions, unpatchify


@dataclass(frozen=True)
class Masking:
    """Which patches of each subject an encoder sees.

    Attributes:
        visible: (B, n) places of the visible patches, the first n of `order`.
        order: (B, N) all places, in random order.
        rank: (B, N) of each patch in that order.
        hidden: (B, N) bool.
        seen: (B, n) bool, which of `visible` the subject has; None where all.
        present: (B, N) bool, which patches the subject has; None where all.
        decoded: how many of `order` the decoder predicts; None for all.
    """

    visible: Tensor
    order: Tensor
    rank: Tensor
    hidden: Tensor
    seen: Tensor | None = None
    present: Tensor | None = None
    decoded: int | None = None

    @property
    def predicted(self) -> Tensor | None:
        """Which patches (B, N) the decoder predicts, None where all."""
        return None if self.decoded is None else self.rank < self.decoded

    def of(self, rows: slice) -> Masking:
        """Return that of some of the subjects."""
        named: dict[str, Any] = {name: x[rows] for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **named)


class _Permute(torch.autograd.Function):
    """Tokens in another order; its gradient is gathered back, where that of `gather` would be scattered and added."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return tokens.gather(1, order[..., None].expand_as(tokens))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return gradients[0].gather(1, inverse[..., None].expand_as(gradients[0])), None, None


def _permute(tokens: Tensor, masking: Masking) -> Tensor:
    restored: Tensor = _Permute.apply(tokens, masking.rank, masking.order)  # type: ignore[no-untyped-call]
    return restored


class MaskedAutoencoder(nn.Module):
    """Encodes the visible patches and predicts all of them; the loss is in `cardiobind.objectives.reconstruction`.

    Args:
        encoder: the encoder to pre-train.
        mask_ratio: part of the patches that is hidden.
        decoder_width: length of a token in the decoder.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        decode_ratio: part of the hidden patches that training predicts; evaluation predicts all.

    Raises:
        ConfigError: a ratio is out of range, or the decoder's heads do not divide its width.

    Source: He et al. 2022; arXiv 2411.05900, section 3.1.
    """

    def __init__(
        self,
        encoder: ViT,
        *,
        mask_ratio: float = 0.8,
        decoder_width: int = 256,
        decoder_depth: int = 2,
        decoder_heads: int = 8,
        decode_ratio: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0.0 < mask_ratio < 1.0:
            raise ConfigError("mask_ratio is out of range", expected="(0, 1)", got=mask_ratio)
        if not 0.0 < decode_ratio <= 1.0:
            raise ConfigError("decode_ratio is out of range", expected="(0, 1]", got=decode_ratio)
        if decoder_heads < 1 or decoder_width % decoder_heads:
            raise ConfigError("decoder_heads must divide decoder_width", got=f"{decoder_heads}, {decoder_width}")
        self.encoder = encoder
        self.mask_ratio, self.decode_ratio = mask_ratio, decode_ratio
        self.decoder_embed = nn.Linear(encoder.width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(decoder_width))
        self.decoder_pos_embed: Tensor
        self.register_buffer("decoder_pos_embed", sincos_positions(*encoder.grid, decoder_width), persistent=False)
        self.decoder_blocks = nn.Sequential(*[Block(decoder_width, decoder_heads) for _ in range(decoder_depth)])
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=1e-6)
        patch_size = encoder.channels * encoder.patch[0] * encoder.patch[1]
        self.decoder_pred = nn.Linear(decoder_width, patch_size)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_pred):
            initialise_linear(part)
        nn.init.normal_(self.mask_token, std=0.02)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Put patches (B, N, patch) back into signals (B, 12, T) or images (B, C, H, W)."""
        image = unpatchify(patches, self.encoder.patch, self.encoder.channels, self.encoder.grid[0])
        return image.squeeze(1) if self.encoder.inputs.modality == "ecg" else image

    def random_masking(self, patches: Tensor) -> Masking:
        """Choose the visible patches of each subject by sorting noise of torch's global generator.

        Where patches are absent, the mask ratio holds for those that a subject has.

        Args:
            patches: (B, N, patch).
        """
        batch, count = patches.shape[:2]
        present = self.encoder.present(patches)
        noise = torch.rand(batch, count, device=patches.device)
        order = (noise if present is None else noise + 2.0 * ~present).argsort(dim=1)
        rank = order.argsort(dim=1)
        visible = max(1, round(count * (1.0 - self.mask_ratio)))
        part = self.training and self.decode_ratio < 1.0
        decoded = visible + max(1, round((count - visible) * self.decode_ratio)) if part else None
        if present is None:
            return Masking(order[:, :visible], order, rank, rank >= visible, decoded=decoded)
        shown = (present.sum(dim=1, keepdim=True) * (1.0 - self.mask_ratio)).round().clamp(min=1)
        seen = torch.arange(visible, device=patches.device) < shown
        return Masking(order[:, :visible], order, rank, (rank >= shown) & present, seen, present, decoded)

    def forward_encoder(self, patches: Tensor, masking: Masking) -> Tensor:
        """Return the latent (B, n, width) of the visible patches; the others are never embedded."""
        return self.encoder.encode(self.encoder.embed(patches, masking.visible), masking.seen)

    def forward_decoder(self, latent: Tensor, masking: Masking) -> Tensor:
        """Return the prediction (B, N, patch) of patches from the latent of the visible ones; 0 where none is made."""
        visible = self.decoder_embed(latent)
        if masking.seen is not None:
            visible = torch.where(masking.seen[..., None], visible, self.mask_token)
        batch, count = masking.rank.shape
        positions = self.decoder_pos_embed[:, : count // self.encoder.grid[0]].flatten(0, 1)
        hidden = self.mask_token.expand(batch, (masking.decoded or count) - visible.shape[1], -1)
        shuffled = torch.cat([visible, hidden], dim=1)
        if masking.decoded is None:
            return self._decode(_permute(shuffled, masking) + positions, masking.present)
        places = masking.order[:, : masking.decoded]
        present = None if masking.present is None else masking.present.gather(1, places)
        made = self._decode(shuffled + positions[places], present)
        return _permute(F.pad(made, (0, 0, 0, count - masking.decoded)), masking)

    def _decode(self, tokens: Tensor, present: Tensor | None) -> Tensor:
        for block in self.decoder_blocks:
            tokens = block(tokens, present)
        return self.decoder_pred(self.decoder_norm(tokens))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prediction (B, N, patch) of all patches and the mask (B, N), True where hidden."""
        patches = self.encoder.patchify(x)
        masking = self.random_masking(patches)
        return self.forward_decoder(self.forward_encoder(patches, masking), masking), masking.hidden
