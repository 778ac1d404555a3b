"""A plain vision transformer over ECGs and its masked autoencoder, step by step as the public codes have them.

Written from He et al. 2022 and arXiv 2411.05900 in float32: all patches are embedded by a convolution, attention is a
softmax of a product, the masked views are encoded one after the other, the prediction is put back into a signal for
the correlation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEADS = 12


class Attention(nn.Module):
    """Softmax attention, written out."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * self.scale).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, count, width))


class Mlp(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """One convolution over all patches of (B, 1, 12, T)."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, width, (1, patch), stride=(1, patch))

    def forward(self, image: Tensor) -> Tensor:
        return self.proj(image).flatten(2).transpose(1, 2)


class EcgViT(nn.Module):
    """Tokens (B, N, width) of ECGs (B, 12, T)."""

    def __init__(self, samples: int, patch: int = 100, width: int = 384, depth: int = 3, heads: int = 6) -> None:
        super().__init__()
        self.patch, self.width, self.grid = patch, width, (LEADS, samples // patch)
        self.patch_embed = PatchEmbed(patch, width)
        self.register_buffer("pos_embed", torch.zeros(*self.grid, width), persistent=False)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def embed(self, x: Tensor) -> Tensor:
        return self.patch_embed(x[:, None]) + self.pos_embed.flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.blocks(self.embed(x)))


class EcgMae(nn.Module):
    """Masked autoencoder with the SimSiam cosine of two views."""

    def __init__(self, encoder: EcgViT, siamese: nn.Module, *, mask_ratio: float = 0.8, width: int = 256) -> None:
        super().__init__()
        self.encoder, self.mask_ratio = encoder, mask_ratio
        self.decoder_embed = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(width))
        self.register_buffer("decoder_pos_embed", torch.zeros(*encoder.grid, width), persistent=False)
        self.decoder_blocks = nn.Sequential(*[Block(width, 8) for _ in range(2)])
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_pred = nn.Linear(width, encoder.patch)
        self.siamese = siamese

    def one_view(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of one view (B, 12, T), masked by sorting `noise` (B, N), and its latent."""
        tokens = self.encoder.embed(x)
        batch, count, width = tokens.shape
        visible = round(count * (1.0 - self.mask_ratio))
        order = noise.argsort(dim=1)
        restore = order.argsort(dim=1)
        kept = tokens.gather(1, order[:, :visible, None].repeat(1, 1, width))
        latent = self.encoder.norm(self.encoder.blocks(kept))
        y = self.decoder_embed(latent)
        y = torch.cat([y, self.mask_token.repeat(batch, count - visible, 1)], dim=1)
        y = y.gather(1, restore[..., None].repeat(1, 1, y.shape[2])) + self.decoder_pos_embed.flatten(0, 1)
        predicted = self.decoder_pred(self.decoder_norm(self.decoder_blocks(y)))
        return self.reconstruction_loss(predicted, x), latent

    def reconstruction_loss(self, predicted: Tensor, x: Tensor) -> Tensor:
        """Return 0.9 MSE over all patches + 0.1 (1 - correlation of each lead of the signal)."""
        target = x.reshape(len(x), -1, self.encoder.patch)
        signal = predicted.reshape(len(x), LEADS, -1)
        a = signal - signal.mean(dim=-1, keepdim=True)
        b = x - x.mean(dim=-1, keepdim=True)
        correlation = (a * b).sum(dim=-1) / (a.square().sum(dim=-1) * b.square().sum(dim=-1)).sqrt()
        return 0.9 * F.mse_loss(predicted, target) + 0.1 * (1.0 - correlation.mean())

    def forward(self, views: tuple[Tensor, Tensor], noise: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of two views, encoded one after the other."""
        (loss1, latent1), (loss2, latent2) = (self.one_view(x, n) for x, n in zip(views, noise, strict=True))
        z, p = self.siamese(torch.cat([latent1.mean(dim=1), latent2.mean(dim=1)]))
        (z1, z2), (p1, p2) = z.chunk(2), p.chunk(2)
        cosine = F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()
        return 0.5 * (loss1 + loss2) + 0.1 * (1.0 - 0.5 * cosine)
