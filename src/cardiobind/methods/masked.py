"""Masked autoencoding of ECGs: hide most patches, predict all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.augment_ecg import crop_samples
from cardiobind.methods.base import METHODS, Step, having
from cardiobind.methods.views import Views
from cardiobind.models import MaskedAutoencoder, ViT
from cardiobind.objectives import masked_reconstruction, normalised_correlation
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("masked")
class Masked(nn.Module):
    """Masked autoencoder of ECGs, chosen by the correlation of reconstruction and signal on the validation set.

    Args:
        encoder: a ViT over ECGs; it holds the pre-trained weights afterwards.
        mask_ratio: part of the patches that is hidden.
        decoder_width: length of a token in the decoder.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        crop_s: length of the random stretch that is learnt from, None for the whole record.
        correlation_weight: of ``1 - correlation`` in the loss.
        augment_probability: with which a record is augmented.

    Raises:
        ConfigError: the encoder is no ViT over ECGs, or an option is out of range.

    Source: arXiv 2411.05900, section 3.1; He et al. 2022.
    """

    monitor = "ncc"
    higher_is_better = True

    def __init__(
        self, encoder: nn.Module, *, mask_ratio: float = 0.8, decoder_width: int = 256, decoder_depth: int = 2,
        decoder_heads: int = 8, crop_s: float | None = 5.0, correlation_weight: float = 0.1,
        augment_probability: float = 0.95,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(encoder, ViT) or encoder.inputs.modality != "ecg":
            raise ConfigError("masked autoencoding needs a ViT over ECGs", got=type(encoder).__name__)
        self.modalities: tuple[str, ...] = ("ecg",)
        self.mae = MaskedAutoencoder(
            encoder, mask_ratio=mask_ratio, decoder_width=decoder_width, decoder_depth=decoder_depth,
            decoder_heads=decoder_heads,
        )  # fmt: skip
        inputs = encoder.inputs
        if crop_s is not None:
            crop_samples(crop_s, inputs.rate_hz, inputs.shape[1], encoder.patch[1])
        self.views = Views.of({"ecg": inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0)
        self.correlation_weight = correlation_weight

    def training_step(self, batch: Batch) -> Step:
        """Return the reconstruction loss of augmented crops."""
        signal = self.views.random("ecg", batch.signals["ecg"])
        prediction, _ = self.mae(signal)
        reconstruction = self.mae.unpatchify(prediction)
        loss = masked_reconstruction(
            prediction, self.mae.patchify(signal), reconstruction, signal, correlation_weight=self.correlation_weight
        )
        return Step(loss, logs={"ncc": normalised_correlation(reconstruction, signal).mean()})

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per subject the mean correlation over the leads and the squared error, of the central crop."""
        (signal,) = self.views.fixed("ecg", batch.signals["ecg"])
        reconstruction, _ = self.reconstruct(signal)
        return {
            "ncc": normalised_correlation(reconstruction, signal).mean(dim=1),
            "mse": (reconstruction - signal).square().mean(dim=(1, 2)),
        }

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the means over the validation subjects."""
        return {name: float(values.mean()) for name, values in outputs.items()}

    @torch.no_grad()
    def reconstruct(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the decoder predicts (B, 12, T), and 1 where the input was hidden (B, 12, T).

        Args:
            signal: (B, 12, T) as prepared for the network; T as in training.
        """
        prediction, mask = self.mae(signal)
        hidden = mask[..., None].expand_as(prediction)
        return self.mae.unpatchify(prediction), self.mae.unpatchify(hidden)

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has an ECG."""
        return having(present, self.modalities, 1)
