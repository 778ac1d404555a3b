"""Contrastive predictive coding of ECGs: tell what comes next from what comes at other times and in other hearts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.augment_ecg import crop_samples
from cardiobind.methods.base import METHODS, Step, embedding_spread, having
from cardiobind.methods.views import Views
from cardiobind.models import Encoder, SequenceEncoder
from cardiobind.objectives import contrastive_prediction, gather_rows, prediction_similarities
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("cpc")
class Cpc(nn.Module):
    """Contrastive predictive coding: from the causal context of a token, the local tokens of the next steps.

    Args:
        encoder: a `cardiobind.models.SequenceEncoder` with a causal context, such as ``s4`` with ``bidirectional =
            false``; it holds the pre-trained weights afterwards.
        steps: tokens ahead that are predicted, each by a linear map of its own.
        temperature: of the loss.
        crop_s: length of the random stretch that is learnt from, None for the whole record.
        augment_probability: with which a record is augmented.
        lead_dropout: probability with which an ECG loses a random part of its leads.

    Raises:
        ConfigError: the encoder has no causal context, or an option is out of range.

    Source: van den Oord et al. 2018; for ECGs Mehari and Strodthoff 2022 (12 steps ahead at 50 tokens a second), and
        with a state space model as context Al-Masud et al. 2025 (arXiv 2509.25095).
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(
        self, encoder: Encoder, *, steps: int = 12, temperature: float = 0.1, crop_s: float | None = None,
        augment_probability: float = 0.0, lead_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(encoder, SequenceEncoder) or not encoder.causal:
            hint = "[ecg.encoder] kind = 's4', options = { bidirectional = false }"
            raise ConfigError("cpc needs an encoder with a causal context", got=type(encoder).__name__, hint=hint)
        inputs = encoder.inputs
        if crop_s is not None:
            crop_samples(crop_s, inputs.rate_hz, inputs.shape[1])
        if steps < 1 or not temperature > 0.0:
            got = f"{steps} steps, temperature {temperature}"
            raise ConfigError("option out of range", where="cpc", expected="at least 1 step, above 0", got=got)
        self.modalities: tuple[str, ...] = ("ecg",)
        self.views = Views.of(
            {"ecg": inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0, lead_dropout=lead_dropout
        )
        self.encoder: Any = encoder
        self.predictors = nn.ModuleList([nn.Linear(encoder.width, encoder.width, bias=False) for _ in range(steps)])
        self.temperature = temperature

    def training_step(self, batch: Batch) -> Step:
        """Return the mean loss over the steps ahead, among the subjects of all processes."""
        loss, right, context = self.predict(self.views.random("ecg", batch.signals["ecg"]), gather_rows)
        spread = embedding_spread(context) if len(context) > 1 else context.new_zeros(())
        return Step(loss.mean(), logs={"right": right.mean(), "spread": spread})

    def predict(self, x: Tensor, gather: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return per subject loss (B,), share of right guesses (B,) and mean context (B, width).

        Args:
            x: ECGs (B, 12, T).
            gather: makes rows of all processes of those of this one; None for this one alone.

        Raises:
            ConfigError: the ECG has no more tokens than there are steps ahead.
        """
        local = self.encoder.local(x)
        context = self.encoder.context(local)
        if local.shape[1] <= len(self.predictors):
            raise ConfigError("the ECG is too short", where="cpc.steps", expected=f"under {local.shape[1]}",
                              got=len(self.predictors))  # fmt: skip
        losses, right = [], []
        for ahead, predictor in enumerate(self.predictors, start=1):
            guess, truth = predictor(context[:, :-ahead]), local[:, ahead:]
            if gather is not None:
                guess, truth = gather(guess), gather(truth)
            similarities = prediction_similarities(guess, truth, self.temperature)
            losses.append(contrastive_prediction(similarities))
            true = torch.arange(similarities.shape[1], device=x.device)
            right.append((similarities.detach().argmax(dim=2) == true).float().mean(dim=1))
        return torch.stack(losses).mean(dim=0), torch.stack(right).mean(dim=0), context.float().mean(dim=1)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per subject the loss, the share of right guesses and the mean context, of the central crop."""
        (x,) = self.views.fixed("ecg", batch.signals["ecg"])
        loss, right, context = self.predict(x)
        return {"loss": loss, "right": right, "embedding": context}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the means over the validation subjects, and the spread of their embeddings."""
        embeddings = torch.from_numpy(outputs["embedding"])
        spread = float(embedding_spread(embeddings)) if len(embeddings) > 1 else 0.0
        return {"loss": float(outputs["loss"].mean()), "right": float(outputs["right"].mean()), "spread": spread}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has an ECG."""
        return having(present, self.modalities, 1)
