"""Two views of a subject against all other subjects: SimCLR for images and signals, SCARF for tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.methods.base import METHODS, Step, embedding_spread, having, require_modality, zero_loss
from cardiobind.methods.views import Views
from cardiobind.models import Encoder, MeanPool, ProjectionHead, Tower
from cardiobind.objectives import gather_rows, nt_xent, retrieval_recall
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

EVALUATED = 2048
"""Validation subjects that the loss is taken over: its similarities grow with their square."""


class TwoViews(nn.Module):
    """Contrast of two random views of each subject.

    Args:
        encoder: it holds the pre-trained weights afterwards.
        views: that are drawn from.
        temperature: of the loss.
        projection: width of the embeddings that are compared.
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(self, encoder: Encoder, views: Views, *, temperature: float, projection: int) -> None:
        super().__init__()
        self.modalities: tuple[str, ...] = (encoder.inputs.modality,)
        self.tower = Tower(encoder, MeanPool())
        self.head = ProjectionHead(encoder.width, encoder.width, projection, batch_norm=True)
        self.views, self.temperature = views, temperature

    def embed_views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the embeddings (B, projection) of two random views."""
        modality = self.modalities[0]
        x = batch.signals[modality]
        first, second = (self.views.random(modality, x) for _ in range(2))
        z = self.head(self.tower(torch.cat([first, second])))
        return z[: len(x)], z[len(x) :]

    def training_step(self, batch: Batch) -> Step:
        """Return the NT-Xent loss of two views among the subjects of all processes."""
        z1, z2 = (gather_rows(z) for z in self.embed_views(batch))
        if len(z1) < 2:
            return Step(zero_loss([z1, z2]))
        return Step(nt_xent(z1, z2, self.temperature), logs={"spread": embedding_spread(z1)})

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the embeddings of two views, which are the same at each validation."""
        z1, z2 = self.embed_views(batch)
        return {"z1": z1, "z2": z2}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return loss, share of views that find their partner, and spread, over the first `EVALUATED` subjects."""
        z1, z2 = (torch.from_numpy(outputs[name][:EVALUATED]) for name in ("z1", "z2"))
        if len(z1) < 2:
            return {"loss": float("nan")}
        return {
            "loss": float(nt_xent(z1, z2, self.temperature)),
            "recall_at_1": float(retrieval_recall(z1, z2, 1)),
            "spread": float(embedding_spread(z1)),
        }

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has the modality."""
        return having(present, self.modalities, 1)


@METHODS.register("simclr")
def simclr(
    encoder: Encoder, *, temperature: float = 0.1, projection: int = 128, augment_probability: float = 0.95,
    smallest_area: float = 0.2, crop_s: float | None = None, lead_dropout: float = 0.0,
) -> TwoViews:  # fmt: skip
    """Return SimCLR over CMR frames, or over ECGs by any encoder.

    Args:
        encoder: it holds the pre-trained weights afterwards.
        temperature: of the loss.
        projection: width of the embeddings that are compared.
        augment_probability: with which a view is augmented.
        smallest_area: of the resized crop of a CMR.
        crop_s: length of ECG crops in seconds, or None for the whole.
        lead_dropout: probability with which a view of an ECG loses a random part of its leads.

    Raises:
        ConfigError: the encoder is for another modality, or an option is out of range.

    Source: Chen et al. 2020; arXiv 2411.05900, section 3.1.
    """
    require_modality(encoder.inputs.modality, ("cmr", "ecg"), "simclr")
    views = Views.of(
        {encoder.inputs.modality: encoder.inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0,
        smallest_area=smallest_area, lead_dropout=lead_dropout,
    )  # fmt: skip
    return TwoViews(encoder, views, temperature=temperature, projection=projection)


@METHODS.register("scarf")
def scarf(encoder: Encoder, *, temperature: float = 0.1, projection: int = 128, corruption: float = 0.3) -> TwoViews:
    """Return SCARF over tables: two corrupted views of a row.

    Args:
        encoder: it holds the pre-trained weights afterwards.
        temperature: of the loss.
        projection: width of the embeddings that are compared.
        corruption: probability of replacing an entry.

    Raises:
        ConfigError: the encoder is for another modality, or an option is out of range.

    Source: Bahri et al. 2022; arXiv 2411.05900, section 3.1.
    """
    require_modality(encoder.inputs.modality, ("tabular",), "scarf")
    views = Views.of({"tabular": encoder.inputs}, crop_s=None, probability=0.0, corruption=corruption)
    return TwoViews(encoder, views, temperature=temperature, projection=projection)
