"""Cheap towers learn to tell what classical analysis measures in the same subject's cine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.align.cached import chunk_sizes, in_chunks
from cardiobind.methods.align.phenotypes import at_rows
from cardiobind.methods.base import METHODS, Present, Step, finite, having, zero_loss
from cardiobind.methods.measurement_errors import explained, measurements_of, squared_error
from cardiobind.methods.views import Views
from cardiobind.modalities.measurable import MEASURABLE
from cardiobind.models import Tower
from cardiobind.objectives import gather_rows
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

TOLD, MEASURED = "told", "measured"


@METHODS.register("align_to_measured")
class AlignToMeasured(nn.Module):
    """ECG and table each predict the measurements of the same subject's cine; the cine's own tower rests.

    A contrast asks which heart belongs to whom and is content with size, sex and age; here the motion of each part of
    the wall is the target, which an infarct changes and an ECG shows. No label is needed: the targets come from
    `cardiobind.modalities.cmr.measurements`. The regression is linear, so that a classifier finds them in the
    embedding.

    Args:
        towers: pre-trained, by modality: ``cmr`` and one or both of ``ecg`` and ``tabular``.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG is augmented. The paper's augmentations rescale leads and blur waves,
            which changes what an ECG tells of the heart, so none by default.
        corruption: probability of replacing an entry of the table.
        chunk: subjects that go through an encoder at a time, None for all: less memory, each computed twice.

    Raises:
        ConfigError: a tower is lacking, or an option is out of range.

    Source: regression of MRI phenotypes on an embedding of the ECG, as Radhakrishnan et al. 2023 (Nat Commun 14:2436)
        test theirs; here they are measured without a reader and are what is learnt.
    """

    monitor = "loss"
    higher_is_better = False
    learns_measurements = True

    def __init__(
        self, towers: Mapping[str, Tower], *, crop_s: float | None = None, augment_probability: float = 0.0,
        corruption: float = 0.3, chunk: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modalities: tuple[str, ...] = tuple(towers)
        self.others = tuple(name for name in towers if name != "cmr")
        if "cmr" not in towers or not self.others:
            raise ConfigError("needs the cine and another", where="align_to_measured", got=", ".join(towers))
        self.towers = nn.ModuleDict(towers)
        towers["cmr"].requires_grad_(False)
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.views = Views.of(inputs, crop_s=crop_s, probability=augment_probability, corruption=corruption)
        self.chunks = chunk_sizes(towers, chunk)
        self.known = len(MEASURABLE["cmr"].targets(inputs["cmr"]))
        self.heads = nn.ModuleDict({name: nn.Linear(towers[name].width, self.known) for name in self.others})

    def told(self, modality: str, batch: Batch) -> Tensor:
        """Return the measurements (P, K) that the tower of a modality tells of the subjects that have it."""
        x = batch.signals[modality]
        if not len(x):
            return next(self.parameters()).new_zeros(0, self.known)
        shown = self.views.random(modality, x) if self.training else self.views.fixed(modality, x)[0]
        z = in_chunks(self.towers[modality], shown, self.chunks[modality])
        guess: Tensor = self.heads[modality](finite(z, f"embeddings of {modality}")).float()
        return guess

    def targets(self, batch: Batch) -> Tensor:
        """Return what was measured in the cines (B, K), NaN where one lacks it.

        Raises:
            InputError: the batch brings no measurements.
        """
        return measurements_of(batch, self.known)

    def training_step(self, batch: Batch) -> Step:
        """Return the mean over ECG and table of the squared error of what was measured, over all processes."""
        truth = self.targets(batch)
        parts = {}
        for name in self.others:
            guess, known = gather_rows(self.told(name, batch)), gather_rows(truth[batch.present[name]])
            if bool(known.isfinite().any()):
                parts[f"loss_{name}"] = squared_error(guess, known)
        learnt: list[Tensor] = [w for w in self.parameters() if w.requires_grad]
        loss = torch.stack([*parts.values()]).mean() if parts else zero_loss(learnt)
        # Processes average the gradients of all weights, so each must have one, also without a row of its modality.
        return Step(loss + zero_loss(learnt), logs=parts)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return what each tower tells (B, K), NaN where one lacks the modality, and what was measured."""
        told = {f"{TOLD}_{name}": at_rows(self.told(name, batch), batch.present[name]) for name in self.others}
        return {**told, MEASURED: self.targets(batch)}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the mean squared error over towers; of each the error and the share of variance explained."""
        found = {name: explained(outputs[f"{TOLD}_{name}"], outputs[MEASURED]) for name in self.others}
        losses = [scores["loss"] for scores in found.values() if np.isfinite(scores["loss"])]
        each = {f"{score}_{name}": value for name, scores in found.items() for score, value in scores.items()}
        return {"loss": float(np.mean(losses)) if losses else float("nan"), **each}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights but those of the cine's tower."""
        learnt = [w for w in self.parameters() if w.requires_grad]
        return decay_groups(learnt, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Present) -> Any:
        """Return who has a cine and another."""
        return present["cmr"] & having(present, self.others, 1)
