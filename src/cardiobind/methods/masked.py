"""Masked autoencoding of ECGs and CMR frames: hide most patches, predict them from the others."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.augment_ecg import crop_samples
from cardiobind.methods.base import METHODS, Step, embedding_spread, having
from cardiobind.methods.in_parts import added_in_parts, pays
from cardiobind.methods.views import Views
from cardiobind.models import Encoder, MaskedAutoencoder, SiameseHead, ViT
from cardiobind.models.mae import Masking
from cardiobind.objectives import masked_reconstruction, negative_cosine, normalised_correlation
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

_TIME = {"ecg": (2, 5), "cmr": (1, 2, 4, 5)}
"""Axes of (B, rows, columns, channels, h, w) that one correlation is taken over: those of a lead, or of a frame."""
_CORRELATION_WEIGHT = {"ecg": 0.1, "cmr": 0.0}
_HIDDEN_ONLY = {"ecg": False, "cmr": True}
_TOKENS_AT_ONCE = 4800
"""Of the decoder in half precision on a CPU, where more would leave its cache."""


@METHODS.register("masked")
class Masked(nn.Module):
    """Masked autoencoder, chosen by the correlation of reconstruction and signal on the validation set.

    What is None follows the paper for ECGs and He et al. for CMR frames.

    Args:
        encoder: a ViT over ECGs or CMR frames; it holds the pre-trained weights afterwards.
        mask_ratio: part of the patches that is hidden.
        decoder_width: length of a token in the decoder.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        decode_ratio: part of the hidden patches that a training step predicts, and that count in its loss; fewer are
            faster.
        crop_s: length of the random stretch of an ECG that is learnt from, None for the whole record.
        correlation_weight: of ``1 - correlation`` in the loss; None for 0.1 (ECG) or 0 (CMR).
        hidden_only: whether only hidden patches count in the loss; None for no (ECG) or yes (CMR).
        normalised_targets: predict each patch less its mean, over its standard deviation.
        similarity_weight: of the SimSiam cosine between two augmented and masked views of a subject; 0 for one view.
        projection: width of the embeddings that this cosine compares.
        augment_probability: with which a subject is augmented.
        lead_dropout: probability with which an ECG loses a random part of its leads.
        smallest_area: of the resized crop of a CMR.

    Raises:
        ConfigError: the encoder is no ViT over ECGs or CMR frames, or an option is out of range.

    Source: arXiv 2411.05900, section 3.1; He et al. 2022; Chen and He 2021 for the cosine.
    """

    monitor = "ncc"
    higher_is_better = True

    def __init__(
        self, encoder: Encoder, *, mask_ratio: float = 0.8, decoder_width: int = 256, decoder_depth: int = 2,
        decoder_heads: int = 8, decode_ratio: float = 1.0, crop_s: float | None = 5.0,
        correlation_weight: float | None = None, hidden_only: bool | None = None, normalised_targets: bool = False,
        similarity_weight: float = 0.0, projection: int = 256, augment_probability: float = 0.95,
        lead_dropout: float = 0.0, smallest_area: float = 0.6,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(encoder, ViT):
            raise ConfigError(
                "masked autoencoding needs a ViT over ECGs or CMR frames", where="masked", got=type(encoder).__name__,
                hint='choose the encoder "vit" (or "lead_vit" for ECGs), or pre-train this one by "simclr"',
            )  # fmt: skip
        if similarity_weight < 0.0:
            raise ConfigError("a weight is negative", where="masked.similarity_weight", got=similarity_weight)
        inputs = encoder.inputs
        self.modality = inputs.modality
        self.modalities: tuple[str, ...] = (inputs.modality,)
        self.mae = MaskedAutoencoder(
            encoder, mask_ratio=mask_ratio, decoder_width=decoder_width, decoder_depth=decoder_depth,
            decoder_heads=decoder_heads, decode_ratio=decode_ratio,
        )  # fmt: skip
        if crop_s is not None and self.modality == "ecg":
            crop_samples(crop_s, inputs.rate_hz, inputs.shape[1], encoder.patch[1])
        self.views = Views.of(
            {self.modality: inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0,
            smallest_area=smallest_area, lead_dropout=lead_dropout,
        )  # fmt: skip
        usual_weight, usually_hidden = _CORRELATION_WEIGHT[self.modality], _HIDDEN_ONLY[self.modality]
        self.correlation_weight = usual_weight if correlation_weight is None else correlation_weight
        self.hidden_only = usually_hidden if hidden_only is None else hidden_only
        self.normalised_targets, self.similarity_weight = normalised_targets, similarity_weight
        self.siamese = SiameseHead(encoder.width, projection) if similarity_weight else None

    def training_step(self, batch: Batch) -> Step:
        """Return the reconstruction loss of augmented subjects, with the cosine of two views where it is asked for."""
        x = batch.signals[self.modality]
        shown = torch.cat([self.views.random(self.modality, x) for _ in range(1 if self.siamese is None else 2)])
        patches = self.mae.encoder.patchify(shown)
        masking = self.mae.random_masking(patches)
        latent = self.mae.forward_encoder(patches, masking)
        loss, correlation = self.reconstruction(latent, patches, masking)
        logs = {"ncc": correlation}
        if self.siamese is None:
            return Step(loss, logs=logs)
        similarity, spread = self.similarity(latent, masking.seen, self.siamese)
        loss = loss + self.similarity_weight * (1.0 - similarity)
        return Step(loss, logs=logs | {"similarity": similarity, "spread": spread})

    def reconstruction(self, latent: Tensor, patches: Tensor, masking: Masking) -> tuple[Tensor, Tensor]:
        """Return the loss and the mean correlation; in half precision on a CPU some subjects at a time.

        Args:
            latent: (B, n, width) of the visible patches.
            patches: (B, N, patch).
            masking: which of them are visible.
        """
        counted = self.counted(masking)
        if pays(latent) and (counted is None or bool(counted.any(dim=1).all())):
            decoder = [weight for name, weight in self.mae.named_parameters() if not name.startswith("encoder.")]
            size = max(1, _TOKENS_AT_ONCE // (masking.decoded or patches.shape[1]))
            return added_in_parts(partial(self._part, patches, masking, counted), latent, decoder, size)
        prediction, target = self.mae.forward_decoder(latent, masking).float(), self.target(patches)
        correlation = self.correlation(prediction, target, counted)
        loss = masked_reconstruction(
            prediction, target, correlation, correlation_weight=self.correlation_weight, mask=counted
        )
        return loss, correlation.mean()

    def _part(
        self, patches: Tensor, masking: Masking, counted: Tensor | None, latent: Tensor, rows: slice
    ) -> tuple[Tensor, Tensor]:
        prediction, target = self.mae.forward_decoder(latent, masking.of(rows)).float(), self.target(patches[rows])
        own = None if counted is None else counted[rows]
        correlation = self.correlation(prediction, target, own)
        error = masked_reconstruction(prediction, target, correlation, correlation_weight=0.0, mask=own)
        share = len(latent) / len(patches)
        of_error = share if counted is None or own is None else own.sum() / counted.sum()
        weight, mean = self.correlation_weight, correlation.mean()
        return (1.0 - weight) * of_error * error + weight * share * (1.0 - mean), share * mean

    def target(self, patches: Tensor) -> Tensor:
        """Return what the decoder is to predict (B, N, patch): the patches, each normalised if it is asked for."""
        if not self.normalised_targets:
            return patches
        mean, variance = patches.mean(dim=2, keepdim=True), patches.var(dim=2, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()

    def counted(self, masking: Masking) -> Tensor | None:
        """Return which patches (B, N) count in the loss and the correlation, None where all do."""
        chosen, predicted = masking.hidden if self.hidden_only else masking.present, masking.predicted
        if chosen is None or predicted is None:
            return predicted if chosen is None else chosen
        return chosen & predicted

    def correlation(self, prediction: Tensor, target: Tensor, counted: Tensor | None) -> Tensor:
        """Return the mean correlation (B,) over the leads or frames of which something counts.

        Args:
            prediction: (B, N, patch); patches are never put together to signals.
            target: (B, N, patch).
            counted: (B, N) which patches count, None for all.
        """
        cells, true, axes = self._cells(prediction), self._cells(target), _TIME[self.modality]
        if counted is None:
            per_subject: Tensor = normalised_correlation(cells, true, axes).flatten(1).mean(dim=1)
            return per_subject
        kept = counted.reshape(*cells.shape[:3], 1, 1, 1).to(cells.dtype)
        correlation = normalised_correlation(cells, true, axes, kept)
        some = kept.amax(dim=axes).expand_as(correlation).flatten(1)
        return (some * correlation.flatten(1)).sum(dim=1) / some.sum(dim=1).clamp(min=1.0)

    def _cells(self, patches: Tensor) -> Tensor:
        encoder = self.mae.encoder
        return patches.reshape(len(patches), encoder.grid[0], -1, encoder.channels, *encoder.patch)

    def similarity(self, latent: Tensor, seen: Tensor | None, head: SiameseHead) -> tuple[Tensor, Tensor]:
        """Return the mean cosine of each view's prediction and the other view, and the spread of the embeddings.

        Args:
            latent: (2 B, n, width) of both views.
            seen: (2 B, n), which of its tokens a view has; None for all.
            head: projector and predictor.
        """
        weight = latent.new_ones(latent.shape[:2]) if seen is None else seen.to(latent.dtype)
        z, p = head((weight[..., None] * latent).sum(dim=1) / weight.sum(dim=1, keepdim=True))
        (z1, z2), (p1, p2) = z.float().chunk(2), p.float().chunk(2)
        spread = embedding_spread(z1) if len(z1) > 1 else z1.new_zeros(())
        return -0.5 * (negative_cosine(p1, z2) + negative_cosine(p2, z1)), spread

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per subject the mean correlation and the squared error of what counts, of the central crop."""
        (x,) = self.views.fixed(self.modality, batch.signals[self.modality])
        patches = self.mae.encoder.patchify(x)
        masking = self.mae.random_masking(patches)
        prediction = self.mae.forward_decoder(self.mae.forward_encoder(patches, masking), masking).float()
        target, counted = self.target(patches), self.counted(masking)
        error = (prediction - target).square().mean(dim=2)
        weight = torch.ones_like(error) if counted is None else counted.to(error.dtype)
        return {
            "ncc": self.correlation(prediction, target, counted),
            "mse": (weight * error).sum(dim=1) / weight.sum(dim=1).clamp(min=1.0),
        }

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the means over the validation subjects."""
        return {name: float(values.mean()) for name, values in outputs.items()}

    @torch.no_grad()
    def reconstruct(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the decoder predicts, in the unit of the signal, and 1 where the input was hidden.

        Args:
            signal: (B, 12, T) or (B, C, H, W) as prepared for the network; T as in training.
        """
        prediction, mask = self.mae(signal)
        if self.normalised_targets:
            patches = self.mae.encoder.patchify(signal)
            scale = (patches.var(dim=2, keepdim=True) + 1e-6).sqrt()
            prediction = prediction * scale + patches.mean(dim=2, keepdim=True)
        hidden = mask[..., None].to(prediction.dtype).expand_as(prediction)
        return self.mae.unpatchify(prediction), self.mae.unpatchify(hidden)

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has the modality."""
        return having(present, self.modalities, 1)
