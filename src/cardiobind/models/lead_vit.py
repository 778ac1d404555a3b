"""Vision transformer over single leads, for ECGs of any subset of the twelve (after Na et al. 2024, ST-MEM)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from cardiobind.errors import ConfigError
from cardiobind.modalities.spec import InputSpec
from cardiobind.models.encoder import ENCODERS
from cardiobind.models.vit import PatchEmbed, ViT, sincos_positions


class LeadPatchEmbed(PatchEmbed):
    """Linear embedding of the patches of one lead, a learned embedding of each lead, and of its two ends if wanted."""

    def __init__(self, patch: tuple[int, int], width: int, leads: int, *, separators: bool) -> None:
        super().__init__(1, patch, width)
        self.leads = nn.Embedding(leads, width)
        self.separators = nn.Embedding(2, width) if separators else None


@ENCODERS.register("lead_vit")
class LeadViT(ViT):
    """ViT whose tokens are stretches of one lead, with a learned lead embedding and a fixed position in time.

    A lead that is 0 or NaN throughout is absent: no token attends to it. In the output its tokens are the mean of the
    tokens of the leads that are there at the same time, so every pool sees these alone.

    Args:
        inputs: an ECG (12, samples).
        patch_s: length of a patch in seconds, the same number of tokens at every sampling rate.
        width: length of a token, an even number.
        depth: number of blocks.
        heads: attention heads, a divisor of `width`.
        mlp_ratio: hidden width of a block's MLP over `width`.
        drop_path: rate of stochastic depth at the last block.
        separators: two more tokens for each lead in the blocks, that hold no signal and are not put out.

    Raises:
        ConfigError: a patch is no whole number of samples or does not divide the input, or as `ViT`.

    Source: Na et al. 2024 (ST-MEM, arXiv 2402.09450), lead embeddings and separators.
    """

    modalities: ClassVar[tuple[str, ...]] = ("ecg",)

    def __init__(
        self,
        inputs: InputSpec,
        *,
        patch_s: float = 0.2,
        width: int = 384,
        depth: int = 3,
        heads: int = 6,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        separators: bool = False,
    ) -> None:
        patch = (1, whole_samples(patch_s, inputs.rate_hz))
        super().__init__(
            inputs, patch=patch, width=width, depth=depth, heads=heads, mlp_ratio=mlp_ratio, drop_path=drop_path
        )
        self.patch_embed: LeadPatchEmbed = LeadPatchEmbed(patch, width, inputs.shape[0], separators=separators)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.view(width, -1))
        nn.init.zeros_(self.patch_embed.proj.bias)  # type: ignore[arg-type]
        for part in (self.patch_embed.leads, self.patch_embed.separators):
            if part is not None:
                nn.init.normal_(part.weight, std=0.02)
        self.register_buffer("pos_embed", sincos_positions(1, self.grid[1], 2 * width)[:, :, width:], persistent=False)

    def as_image(self, x: Tensor) -> Tensor:
        """Return a batch (B, 12, T) as images (B, 1, 12, T), a missing sample as 0; errors as `ViT.as_image`."""
        return super().as_image(torch.where(x.isnan(), 0.0, x))

    def present(self, patches: Tensor) -> Tensor | None:
        """Return which patches (B, N) are of a lead that is there; None where all are, or an ECG has none."""
        leads = (patches != 0.0).reshape(patches.shape[0], self.grid[0], -1).any(dim=2)
        leads = leads | ~leads.any(dim=1, keepdim=True)
        if bool(leads.all()):
            return None
        return leads.repeat_interleave(patches.shape[1] // self.grid[0], dim=1)

    def positions(self, count: int) -> Tensor:
        """Return lead embedding plus position in time (count, width); a crop takes the first times."""
        return (self.patch_embed.leads.weight[:, None] + self.pos_embed[:, : count // self.grid[0]]).flatten(0, 1)

    def encode(self, tokens: Tensor, present: Tensor | None = None) -> Tensor:
        """Run the blocks over tokens (B, n, width), with separators beside them; arguments as `ViT.encode`."""
        ends = self.patch_embed.separators
        if ends is None:
            return super().encode(tokens, present)
        batch, count = tokens.shape[:2]
        beside = (self.patch_embed.leads.weight[:, None] + ends.weight).flatten(0, 1).expand(batch, -1, -1)
        if present is not None:
            present = torch.cat([present, present.new_ones(batch, beside.shape[1])], dim=1)
        return super().encode(torch.cat([tokens, beside], dim=1), present)[:, :count]

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens (B, N, width) of ECGs (B, 12, T), lead by lead."""
        patches = self.patchify(x)
        present = self.present(patches)
        tokens = self.encode(self.embed(patches), present)
        return tokens if present is None else self._fill(tokens, present)

    def _fill(self, tokens: Tensor, present: Tensor) -> Tensor:
        by_lead = tokens.reshape(tokens.shape[0], self.grid[0], -1, self.width)
        weight = present.reshape(by_lead.shape[:3])[..., None].to(tokens.dtype)
        mean = (weight * by_lead).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True)
        return torch.where(weight > 0, by_lead, mean).flatten(1, 2)


def whole_samples(length_s: float, rate_hz: float | None) -> int:
    """Return a length as a number of samples.

    Raises:
        ConfigError: it is not a whole number of them, or none.
    """
    samples = length_s * (rate_hz or 0.0)
    if round(samples) < 1 or abs(samples - round(samples)) > 1e-6:
        raise ConfigError(
            "a length is not a whole number of samples", where="patch_s", got=f"{length_s} s at {rate_hz} Hz"
        )
    return round(samples)
