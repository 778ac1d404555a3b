"""Signals learn to tell the facts of the table: what is cheap to know of everybody teaches the encoders of signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.align.cached import chunk_sizes, in_chunks
from cardiobind.methods.base import METHODS, Present, Step, finite, zero_loss
from cardiobind.methods.table_errors import TableErrors, summary
from cardiobind.methods.views import Views
from cardiobind.models import TableDecoder, Tower
from cardiobind.models.tabular import cardinality_of
from cardiobind.objectives import gather_rows
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs


@METHODS.register("align_to_table")
class AlignToTable(nn.Module):
    """Each signal's tower predicts the observed entries of the same subject's table; the table's own tower rests.

    A contrast of a signal and a table asks which row belongs to whom, and with few columns many rows are alike; here
    the entries themselves are the target, so two columns (age and sex) are enough to learn from. Numbers are standard
    scores, so that 1 is the squared error of knowing nothing.

    Args:
        towers: pre-trained, by modality: the table and at least one signal; they hold the aligned weights afterwards.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        chunk: subjects that go through an encoder at a time, None for all: less memory, each computed twice.

    Raises:
        ConfigError: the table or a signal is lacking, or an option is out of range.

    Source: Attia et al. 2019 (Circ Arrhythm Electrophysiol 12:e007284), age and sex from the 12-lead ECG; the losses
        are those of a masked table (Du et al. 2024, TIP, section 3.2) whose every entry is hidden.
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(
        self, towers: Mapping[str, Tower], *, crop_s: float | None = None, augment_probability: float = 0.95,
        chunk: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modalities: tuple[str, ...] = tuple(towers)
        self.signals = tuple(name for name in towers if name != "tabular")
        if not self.signals or "tabular" not in towers:
            raise ConfigError("needs the table and a signal", where="align_to_table", got=", ".join(towers))
        self.towers = nn.ModuleDict(towers)
        towers["tabular"].requires_grad_(False)
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.views = Views.of(inputs, crop_s=crop_s, probability=augment_probability, corruption=0.0)
        self.chunks = chunk_sizes(towers, chunk)
        cardinality = cardinality_of(inputs["tabular"])
        self.decoders = nn.ModuleDict({name: TableDecoder(cardinality, towers[name].width) for name in self.signals})

    def errors(self, modality: str, batch: Batch) -> TableErrors:
        """Return how well a signal tells the table, of the subjects (P,) that have the signal.

        Args:
            modality: a signal.
            batch: of subjects; who has no table has nothing that counts.
        """
        here = batch.present[modality]
        x = batch.signals["tabular"]
        table = x.new_zeros(batch.size, *x.shape[1:])
        table[batch.present["tabular"]] = x
        if not len(batch.signals[modality]):
            return TableErrors.of_nobody(x)
        z = in_chunks(self.towers[modality], self._shown(modality, batch), self.chunks[modality])
        tokens = finite(z, f"embeddings of {modality}")[:, None]
        decoder = cast(TableDecoder, self.decoders[modality])
        return TableErrors.of(decoder, tokens, table[here], table[here][..., 1] != 0)

    def training_step(self, batch: Batch) -> Step:
        """Return the mean over signals of the mean error of an entry, over the subjects of all processes."""
        found = {name: TableErrors(*map(gather_rows, self.errors(name, batch))) for name in self.signals}
        parts = {f"loss_{name}": errors.mean() for name, errors in found.items() if len(errors.squared)}
        learnt: list[Tensor] = [w for w in self.parameters() if w.requires_grad]
        loss = torch.stack([*parts.values()]).mean() if parts else zero_loss(learnt)
        # Processes average the gradients of all weights, so each must have one, also without a row of its modality.
        return Step(loss + zero_loss(learnt), logs=parts)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per signal the sums of errors and their numbers of all subjects (B,), 0 where one lacks it."""
        found = {}
        for name in self.signals:
            for field, values in self.errors(name, batch)._asdict().items():
                found[f"{field}_{name}"] = values.new_zeros(batch.size).masked_scatter(batch.present[name], values)
        return found

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the mean loss of the signals; of each signal also the squared error, cross-entropy and accuracy."""
        scores: dict[str, float] = {}
        for name in self.signals:
            scores |= summary(outputs, f"_{name}")
        losses = [scores[key] for name in self.signals if (key := f"loss_{name}") in scores]
        return {"loss": float(np.mean(losses)) if losses else float("nan"), **scores}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights but those of the table's tower."""
        learnt = [w for w in self.parameters() if w.requires_grad]
        return decay_groups(learnt, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Present) -> Any:
        """Return who has a table and a signal."""
        return present["tabular"] & np.any([present[name] for name in self.signals], axis=0)

    def _shown(self, modality: str, batch: Batch) -> Tensor:
        x = batch.signals[modality]
        return self.views.random(modality, x) if self.training else self.views.fixed(modality, x)[0]
