"""Learning to measure: an encoder tells what classical analysis finds in the same ECG or cine."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.methods.base import METHODS, Step, having, require_modality, zero_loss
from cardiobind.methods.measurement_errors import explained, measurements_of, squared_error
from cardiobind.methods.views import Views
from cardiobind.modalities.measurable import MEASURABLE
from cardiobind.models import Encoder, MeanPool, Tower
from cardiobind.objectives import gather_rows
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("measured")
class Measured(nn.Module):
    """Regression of the measurements of an ECG (rate, intervals, waves) or cine (pool, wall, motion) on its embedding.

    No label is needed: the targets are computed from the signal itself, by `cardiobind.modalities.ecg.measurements` or
    `cardiobind.modalities.cmr.measurements`. Since the regression is linear, the mean token holds them linearly, and a
    classifier that starts from few labels starts from what cardiologists measure instead of from pixels.

    Args:
        encoder: of ECGs or cines, of any kind; it holds the pre-trained weights afterwards.
        crop_s: length of the random stretch of an ECG that is seen, None for the whole; measured is the whole record.
        augment_probability: with which a signal is augmented. The paper's augmentations rescale leads and blur waves,
            turn, flip and resize images, which changes what is measured, so none by default.
        lead_dropout: probability with which an ECG loses a random part of its leads.

    Raises:
        ConfigError: the encoder is of neither, or an option is out of range.

    Source: the supervised pretext of physiological features (Sarkar and Etemad 2020, arXiv 2002.03898, learn which
        transformation was applied; here what was measured), with the measurements of `MEASURABLE`.
    """

    monitor = "r2"
    higher_is_better = True
    learns_measurements = True

    def __init__(
        self, encoder: Encoder, *, crop_s: float | None = None, augment_probability: float = 0.0,
        lead_dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        modality = encoder.inputs.modality
        require_modality(modality, tuple(MEASURABLE), "learning to measure")
        self.modality = modality
        self.modalities: tuple[str, ...] = (modality,)
        self.tower = Tower(encoder, MeanPool())
        self.head = nn.Linear(encoder.width, len(MEASURABLE[modality].targets(encoder.inputs)))
        self.views = Views.of(
            {modality: encoder.inputs}, crop_s=crop_s, probability=augment_probability, corruption=0.0,
            lead_dropout=lead_dropout,
        )  # fmt: skip

    def training_step(self, batch: Batch) -> Step:
        """Return the mean squared error of what was measured, over the subjects of all processes."""
        x = batch.signals[self.modality]
        guess = gather_rows(self.head(self.tower(self.views.random(self.modality, x))).float())
        return Step(squared_error(guess, gather_rows(self.targets(batch))) + zero_loss([guess]))

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return what is told (P, K) of the central crop, and what was measured."""
        (x,) = self.views.fixed(self.modality, batch.signals[self.modality])
        return {"told": self.head(self.tower(x)).float(), "measured": self.targets(batch)}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the mean over measurements of the share of variance explained, at least -1, and the squared error."""
        return explained(outputs["told"], outputs["measured"])

    def targets(self, batch: Batch) -> Tensor:
        """Return the targets (P, K) of the subjects that have the signal.

        Raises:
            InputError: the batch brings no measurements.
        """
        return measurements_of(batch, self.head.out_features)[batch.present[self.modality]]

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Any) -> Any:
        """Return who has the signal."""
        return having(present, self.modalities, 1)
