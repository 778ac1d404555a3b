"""Prediction of the latent of hidden stretches of an ECG (JEPA)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.augment_ecg import crop_samples
from cardiobind.methods.base import METHODS, Step, embedding_spread, having
from cardiobind.methods.views import Views
from cardiobind.models import Encoder, LatentPredictor, Teacher, ViT
from cardiobind.models.block_masks import TimeSplit, block_count, block_mask
from cardiobind.objectives import latent_distance
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("jepa")
class Jepa(nn.Module):
    """Joint-embedding predictive architecture over ECGs.

    The student sees the record with stretches of time cut out of all leads; a narrow predictor guesses from its tokens
    what the teacher, a moving average of the student, makes of the whole record there. The loss of two rounds cannot be
    compared, for the targets change with the teacher: the last weights are kept, and `spread` tells of a collapse.

    Args:
        encoder: a ViT over ECGs, the student; it holds the pre-trained weights afterwards.
        mask_ratio: part of the time that is hidden.
        block_s: length of a hidden stretch in seconds, rounded to patches.
        predictor_width: length of a token in the predictor.
        predictor_depth: blocks of the predictor.
        predictor_heads: attention heads of the predictor.
        momentum: share of itself that the teacher keeps at a step, at first and at last.
        momentum_steps: steps over which it grows.
        beta: of the smooth L1 distance; where it turns from square to linear.
        crop_s: length of the random stretch that is learnt from, None for the whole record.
        augment_probability: with which a record is augmented.
        lead_dropout: probability with which an ECG loses a random part of its leads.

    Raises:
        ConfigError: the encoder is no ViT over ECGs, or an option is out of range.

    Source: Assran et al. 2023 (I-JEPA); for ECGs Weimann and Conrad 2024 (arXiv 2410.13867: blocks, momentum .998 to
        .9995, what is seen 15 to 25 %) and Kim 2024 (arXiv 2410.08559).
    """

    monitor = "steps"
    higher_is_better = True

    def __init__(
        self, encoder: Encoder, *, mask_ratio: float = 0.8, block_s: float = 0.5, predictor_width: int = 192,
        predictor_depth: int = 4, predictor_heads: int = 6, momentum: tuple[float, float] = (0.998, 0.9995),
        momentum_steps: int = 20_000, beta: float = 1.0, crop_s: float | None = None,
        augment_probability: float = 0.0, lead_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(encoder, ViT) or encoder.inputs.modality != "ecg":
            raise ConfigError("JEPA needs a ViT over ECGs", got=type(encoder).__name__)
        if not beta > 0.0:
            raise ConfigError("option out of range", where="jepa.beta", expected="above 0", got=beta)
        inputs, patch = encoder.inputs, encoder.patch[1]
        self.modalities: tuple[str, ...] = ("ecg",)
        samples = inputs.shape[1] if crop_s is None else crop_samples(crop_s, inputs.rate_hz, inputs.shape[1], patch)
        self.block = max(1, round(block_s * (inputs.rate_hz or 0.0) / patch))
        self.blocks = block_count(samples // patch, mask_ratio, self.block)
        self.views = Views.of(
            {"ecg": inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0, lead_dropout=lead_dropout
        )
        self.encoder: ViT = encoder
        self.predictor = LatentPredictor(
            encoder.width, encoder.grid, narrow=predictor_width, depth=predictor_depth, heads=predictor_heads
        )
        self.teacher = Teacher(encoder, momentum=momentum, steps=momentum_steps)
        self.beta = beta

    def training_step(self, batch: Batch) -> Step:
        """Let the teacher follow, then return the distance of prediction and teacher at the hidden places."""
        self.teacher.follow(self.encoder)
        loss, tokens = self.predict(self.views.random("ecg", batch.signals["ecg"]))
        spread = embedding_spread(tokens) if len(tokens) > 1 else tokens.new_zeros(())
        return Step(loss.mean(), logs={"spread": spread})

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss and the teacher's mean token (B, width) of the leads that are there, of ECGs (B, 12, T)."""
        patches = self.encoder.patchify(x)
        present, rows = self.encoder.present(patches), self.encoder.grid[0]
        columns = patches.shape[1] // rows
        split = TimeSplit.of(block_mask(len(x), columns, self.blocks, self.block, x.device), rows)
        with torch.no_grad():
            truth = self.teacher.network.encode(self.teacher.network.embed(patches), present)
        seen, sought = (None if present is None else present.gather(1, p) for p in (split.visible, split.hidden))
        latent = self.encoder.encode(self.encoder.embed(patches, split.visible), seen)
        both = None if seen is None or sought is None else torch.cat([seen, sought], dim=1)
        prediction = self.predictor(latent, split.visible, split.hidden, columns, both)
        target = truth.gather(1, split.hidden[..., None].expand_as(prediction))
        return latent_distance(prediction, target, beta=self.beta, counted=sought), _mean_token(truth, present)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the loss of the central crop, and the teacher's embeddings."""
        (x,) = self.views.fixed("ecg", batch.signals["ecg"])
        loss, tokens = self.predict(x)
        return {"loss": loss.expand(len(x)), "embedding": tokens}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the mean loss, the spread of the embeddings and the steps made, by which the last weights are kept."""
        embeddings = torch.from_numpy(outputs["embedding"])
        spread = float(embedding_spread(embeddings)) if len(embeddings) > 1 else 0.0
        return {"loss": float(outputs["loss"].mean()), "spread": spread, "steps": float(self.teacher.updates)}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of student and predictor."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has an ECG."""
        return having(present, self.modalities, 1)


def _mean_token(tokens: Tensor, present: Tensor | None) -> Tensor:
    if present is None:
        return tokens.float().mean(dim=1)
    weight = present.float()[..., None]
    return (weight * tokens.float()).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0)
