"""Projector and predictor of SimSiam (Chen and He 2021)."""

from __future__ import annotations

from torch import Tensor, nn


class SiameseHead(nn.Module):
    """Embeds views for `cardiobind.objectives.negative_cosine`: z, and the prediction p of the other view's z.

    Args:
        inputs: width of what is projected.
        width: of the embeddings; the predictor narrows to a quarter of it.

    Source: Chen and He 2021, section 3: batch norm in every layer of the projector, none after the predictor.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width, affine=False),
        )  # fmt: skip
        narrow = max(1, width // 4)
        self.predictor = nn.Sequential(
            nn.Linear(width, narrow, bias=False), nn.BatchNorm1d(narrow), nn.ReLU(), nn.Linear(narrow, width)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and p, both (B, width), of embeddings (B, inputs)."""
        z = self.projector(x)
        return z, self.predictor(z)
