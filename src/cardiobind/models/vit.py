"""Vision transformer over the (lead, time) grid of an ECG or the pixels of an image (Dosovitskiy et al. 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.attention import attend
from cardiobind.models.encoder import ENCODERS, Encoder


def patchify(image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cut images (B, C, H, W) into patches (B, N, C*h*w), row by row of the patch grid."""
    batch, channels, height, width = image.shape
    h, w = patch
    cells = image.reshape(batch, channels, height // h, h, width // w, w)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * h * w)


def unpatchify(patches: Tensor, patch: tuple[int, int], channels: int, rows: int) -> Tensor:
    """Put patches (B, N, C*h*w) of a grid with that many rows back into images (B, C, H, W)."""
    batch, count, _ = patches.shape
    h, w = patch
    cells = patches.reshape(batch, rows, count // rows, channels, h, w)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, rows * h, count // rows * w)


def sincos_positions(rows: int, columns: int, width: int) -> Tensor:
    """Return fixed 2-D positions (rows, columns, width): half of the channels encode the row, half the column.

    Raises:
        ConfigError: the width is not a multiple of 4.

    Source: He et al. 2022 (MAE), with the frequencies of Vaswani et al. 2017.
    """
    if width % 4:
        raise ConfigError("the width of 2-D positions must be a multiple of 4", got=width)
    frequency = 10_000.0 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))

    def encode(count: int) -> Tensor:
        angle = torch.arange(count, dtype=torch.float64)[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    by_row = encode(rows)[:, None].expand(rows, columns, -1)
    by_column = encode(columns)[None].expand(rows, columns, -1)
    return torch.cat([by_row, by_column], dim=2).float()


class PatchEmbed(nn.Module):
    """Linear embedding of patches, kept as the convolution whose weights the field's checkpoints hold."""

    def __init__(self, channels: int, patch: tuple[int, int], width: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, patches: Tensor) -> Tensor:
        """Return tokens (B, n, width) of any patches (B, n, C*h*w)."""
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Return tokens of the shape (B, N, width) of `x`; those that are not `present` (B, N) are not attended to."""
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1))
        return self.proj(attend(qkv, present))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens of the shape (B, N, width) of `x`."""
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class DropPath(nn.Module):
    """Stochastic depth: in training, drop a residual branch for a random part of the subjects.

    Args:
        rate: probability of dropping; the kept ones are divided by ``1 - rate``.

    Source: Huang et al. 2016.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` (B, ...) with the entries of dropped subjects zero."""
        if not self.training or self.rate == 0.0:
            return x
        kept = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * (kept / (1.0 - self.rate)).to(x.dtype)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        """Return tokens of the shape (B, N, width) of `x`; arguments as `Attention.forward`."""
        x = x + self.drop_path(self.attn(self.norm1(x), present))
        return x + self.drop_path(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


Positions = Literal["fixed", "learned"]


@ENCODERS.register("vit")
class ViT(Encoder):
    """Vision transformer with timm's parameter names, without class token.

    Args:
        inputs: an ECG (12, samples) or an image (channels, rows, columns).
        patch: rows (leads) and columns (samples) of a patch; (1, 100) is the paper's, (12, 20) holds all leads.
        width: length of a token, a multiple of 4.
        depth: number of blocks.
        heads: attention heads, a divisor of `width`.
        mlp_ratio: hidden width of a block's MLP over `width`.
        drop_path: rate of stochastic depth at the last block; it grows linearly from 0 at the first.
        positions: ``fixed`` 2-D sines and cosines, or ``learned`` ones that begin as these, as public weights have.

    Raises:
        ConfigError: the patch does not divide the input, the heads do not divide the width, a rate is not in [0, 1), or
            there are no such positions.

    Source: Dosovitskiy et al. 2021; sizes of arXiv 2411.05900, section 3.
    """

    modalities: ClassVar[tuple[str, ...]] = ("ecg", "cmr")

    def __init__(
        self,
        inputs: InputSpec,
        *,
        patch: tuple[int, int] = (1, 100),
        width: int = 384,
        depth: int = 3,
        heads: int = 6,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        positions: Positions = "fixed",
    ) -> None:
        super().__init__()
        _check_vit(inputs, patch, width, depth, heads, drop_path)
        if positions not in get_args(Positions):
            raise ConfigError("no such positions", where="vit.positions", expected="fixed | learned", got=positions)
        self.inputs, self.width, self.patch = inputs, width, patch
        self.channels = 1 if inputs.modality == "ecg" else inputs.shape[0]
        self.grid = (inputs.shape[-2] // patch[0], inputs.shape[-1] // patch[1])
        self.patch_embed = PatchEmbed(self.channels, patch, width)
        self.pos_embed: Tensor
        grid = sincos_positions(*self.grid, width)
        if positions == "learned":
            self.pos_embed = nn.Parameter(grid.reshape(1, -1, width))
        else:
            self.register_buffer("pos_embed", grid, persistent=False)
        rates = torch.linspace(0, drop_path, depth).tolist()
        self.blocks = nn.Sequential(*[Block(width, heads, mlp_ratio, rate) for rate in rates])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        initialise_linear(self)

    def as_image(self, x: Tensor) -> Tensor:
        """Return a batch as images (B, C, H, W).

        Raises:
            InputError: the batch does not fit `inputs`; columns may be fewer if the patch divides them.
        """
        image = x.unsqueeze(1) if self.inputs.modality == "ecg" else x
        channels, rows, columns = self.channels, *self.inputs.shape[-2:]
        fits = image.ndim == 4 and tuple(image.shape[1:3]) == (channels, rows)
        if not fits or image.shape[3] > columns or image.shape[3] % self.patch[1] or image.shape[3] == 0:
            expected = f"(B, {', '.join(map(str, self.inputs.shape))}), or fewer columns in steps of {self.patch[1]}"
            raise InputError("the batch does not fit the encoder", expected=expected, got=tuple(x.shape))
        return image

    def patchify(self, x: Tensor) -> Tensor:
        """Return the patches (B, N, patch) of a batch (B, 12, T) or (B, C, H, W); errors as `as_image`."""
        return patchify(self.as_image(x), self.patch)

    def present(self, patches: Tensor) -> Tensor | None:
        """Return which patches (B, N) hold a signal, None where all do; a plain ViT takes all for signal."""
        return None

    def positions(self, count: int) -> Tensor:
        """Return the positions (count, width) of that many patches; a crop takes the first columns' positions."""
        return self.pos_embed.reshape(*self.grid, self.width)[:, : count // self.grid[0]].flatten(0, 1)

    def embed(self, patches: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return patch embeddings with positions.

        Args:
            patches: (B, N, patch), all of them.
            kept: (B, n) places of the patches to embed; None for all.

        Returns:
            (B, N, width), or (B, n, width) of the kept ones.
        """
        positions = self.positions(patches.shape[1])
        if kept is None:
            return self.patch_embed(patches) + positions  # type: ignore[no-any-return]
        shown = patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[2]))
        return self.patch_embed(shown) + positions[kept]  # type: ignore[no-any-return]

    def encode(self, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Run the blocks over any set of embedded tokens (B, n, width); those not `present` are not attended to."""
        for block in self.blocks:
            tokens = block(tokens, present)
        return self.norm(tokens)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of a batch (B, 12, T) or (B, C, H, W)."""
        return self.encode(self.embed(self.patchify(x)))


def _check_vit(inputs: InputSpec, patch: tuple[int, int], width: int, depth: int, heads: int, drop_path: float) -> None:
    if min(patch) < 1 or inputs.shape[-2] % patch[0] or inputs.shape[-1] % patch[1]:
        raise ConfigError("the patch does not divide the input", where="vit.patch", expected=inputs.shape, got=patch)
    if depth < 1 or heads < 1 or width < 1 or width % heads:
        raise ConfigError("heads must divide width, and depth be at least 1", got=f"{heads}, {width}, {depth}")
    if not 0.0 <= drop_path < 1.0:
        raise ConfigError("drop_path is out of range", where="vit.drop_path", expected="[0, 1)", got=drop_path)


def initialise_linear(module: nn.Module) -> None:
    """Draw all linear (and patch) weights as MAE does: Xavier uniform, zero bias."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(part.weight.view(len(part.weight), -1))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
