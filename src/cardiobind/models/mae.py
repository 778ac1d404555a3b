"""Masked autoencoder (He et al. 2022) around a `ViT`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.models.vit import Block, ViT, initialise_linear, patchify, sincos_positions, unpatchify


class MaskedAutoencoder(nn.Module):
    """Encodes the visible patches and predicts all of them; the loss is in `cardiobind.objectives.reconstruction`.

    Args:
        encoder: the encoder to pre-train.
        mask_ratio: part of the patches that is hidden.
        decoder_width: length of a token in the decoder.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.

    Raises:
        ConfigError: the mask leaves nothing visible or hides nothing, or the decoder's heads do not divide its width.

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
    ) -> None:
        super().__init__()
        if not 0.0 < mask_ratio < 1.0:
            raise ConfigError("mask_ratio is out of range", expected="(0, 1)", got=mask_ratio)
        if decoder_heads < 1 or decoder_width % decoder_heads:
            raise ConfigError("decoder_heads must divide decoder_width", got=f"{decoder_heads}, {decoder_width}")
        self.encoder = encoder
        self.mask_ratio = mask_ratio
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

    def patchify(self, x: Tensor) -> Tensor:
        """Cut a batch of signals or images into patches (B, N, patch)."""
        return patchify(self.encoder.as_image(x), self.encoder.patch)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Put patches (B, N, patch) back into signals (B, 12, T) or images (B, C, H, W)."""
        image = unpatchify(patches, self.encoder.patch, self.encoder.channels, self.encoder.grid[0])
        return image.squeeze(1) if self.encoder.inputs.modality == "ecg" else image

    def random_masking(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keep a random part of the tokens of each subject by sorting noise of torch's global generator.

        Args:
            tokens: (B, N, width).

        Returns:
            visible tokens (B, n, width); mask (B, N), 1 where hidden; the permutation (B, N) that restores the order.
        """
        batch, count, width = tokens.shape
        visible = max(1, round(count * (1.0 - self.mask_ratio)))
        order = torch.rand(batch, count, device=tokens.device).argsort(dim=1)
        restore = order.argsort(dim=1)
        kept = tokens.gather(1, order[:, :visible, None].expand(-1, -1, width))
        mask = (restore >= visible).to(tokens.dtype)
        return kept, mask, restore

    def forward_encoder(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the latent of the visible tokens (B, n, width), the mask and the restoring permutation."""
        visible, mask, restore = self.random_masking(self.encoder.embed(x))
        return self.encoder.encode(visible), mask, restore

    def forward_decoder(self, latent: Tensor, restore: Tensor) -> Tensor:
        """Return the prediction of all patches (B, N, patch) from the latent of the visible ones."""
        visible = self.decoder_embed(latent)
        batch, count, width = *restore.shape, visible.shape[2]
        hidden = self.mask_token.expand(batch, count - visible.shape[1], -1)
        tokens = torch.cat([visible, hidden], dim=1).gather(1, restore[..., None].expand(-1, -1, width))
        columns = count // self.encoder.grid[0]
        tokens = tokens + self.decoder_pos_embed[:, :columns].flatten(0, 1)
        return self.decoder_pred(self.decoder_norm(self.decoder_blocks(tokens)))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the prediction (B, N, patch) of all patches and the mask (B, N), 1 where hidden."""
        latent, mask, restore = self.forward_encoder(x)
        return self.forward_decoder(latent, restore), mask
