"""What all ways of alignment share: towers and views, the temperature, phenotypes beside the contrast, and scores."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.align.cached import chunk_sizes, in_chunks
from cardiobind.methods.align.phenotypes import Phenotypes
from cardiobind.methods.align.temperature import Temperature
from cardiobind.methods.base import Step, zero_loss
from cardiobind.methods.views import Views
from cardiobind.models import Tower
from cardiobind.objectives import (
    alignment_distance,
    alike_subjects,
    collapsed,
    effective_rank,
    embedding_spread,
    gather_rows,
    info_nce,
    process_count,
    retrieval_recall,
    uniformity,
)
from cardiobind.training import TrainingSettings, decay_groups

log = logging.getLogger(__name__)

EVALUATED = 2048
"""Validation subjects that loss and recall are taken over: the similarities grow with their square."""

RECALL_AT = (1, 5, 10)
ALIKE_BY = ("tabular", "embeddings")


class Align(nn.Module):
    """What the ways of alignment share.

    Args:
        towers: pre-trained, by modality; they hold the aligned weights afterwards.
        temperature: of the loss, where it starts if it is learnt.
        learn_temperature: whether it is learnt, within [0.01, 1].
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.
        chunk: subjects that go through an encoder at a time, None for all: less memory, each computed twice.
        alike_above: cosine above which two subjects are no negatives of one another, None for no such subjects.
        alike_by: what they are compared by: the values of the table (``tabular``) or their ``embeddings``.

    Raises:
        ConfigError: an option is out of range.
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(
        self, towers: Mapping[str, Tower], *, temperature: float, learn_temperature: bool, crop_s: float | None,
        augment_probability: float, corruption: float, chunk: int | None, alike_above: float | None, alike_by: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modalities: tuple[str, ...] = tuple(towers)
        self.towers = nn.ModuleDict(towers)
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.views = Views.of(inputs, crop_s=crop_s, probability=augment_probability, corruption=corruption)
        self.sharpness = Temperature(temperature, learnable=learn_temperature)
        self.chunks = chunk_sizes(towers, chunk)
        _check_alike(alike_above, alike_by, self.modalities)
        self.alike_above, self.alike_by = alike_above, alike_by
        self.phenotypes = Phenotypes(towers, (), 0.0)

    @property
    def temperature(self) -> float | Tensor:
        """The temperature of the loss, a tensor where it is learnt."""
        return self.sharpness()  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def auxiliary_tasks(self) -> tuple[str, ...]:
        """Endpoints that the labels of a batch must hold, in this order, standardised by the training subjects."""
        return self.phenotypes.names

    def show(self, modality: str, x: Tensor) -> Tensor:
        """Return the view of a batch: random in training, fixed in evaluation."""
        return self.views.random(modality, x) if self.training else self.views.fixed(modality, x)[0]

    def features(self, batch: Batch) -> dict[str, Tensor]:
        """Return per modality that anybody of the batch has the embeddings (P, width) by its tower."""
        held = [name for name in self.modalities if len(batch.signals[name])]
        return {name: self.through(name, self.show(name, batch.signals[name])) for name in held}

    def through(self, modality: str, x: Tensor) -> Tensor:
        """Return the embeddings (P, width) by the tower of a modality of what it is shown (P, ...)."""
        return in_chunks(self.towers[modality], x, self.chunks[modality])

    @property
    def spaces(self) -> tuple[str, ...]:
        """What `shared_space` may return: modalities, or groups of them such as ``ecg+tabular``; none by itself."""
        return ()

    def shared_space(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what the loss compares, by name in `spaces`: (B, projection) of length 1, NaN where absent.

        Args:
            features: per modality that anybody has (P, width), as `features` returns them.
            present: per modality (B,) bool.
        """
        return {}

    def alike(self, batch: Batch, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor | None:
        """Return (B, B) bool, the subjects of all processes that are no negatives of one another; None for nobody.

        Args:
            batch: of this process.
            embeddings: per modality (P, d), of all processes.
            present: per modality (B,) bool, of all processes.
        """
        if self.alike_above is None:
            return None
        if self.alike_by == "embeddings":
            return alike_subjects(embeddings, present, self.alike_above)
        value, observed = batch.signals["tabular"].unbind(2)
        rows = gather_rows(torch.where(observed > 0, value, torch.nan))
        return alike_subjects({"tabular": rows}, {"tabular": gather_rows(batch.present["tabular"])}, self.alike_above)

    def step(self, loss: Tensor, logs: Mapping[str, Tensor], features: Mapping[str, Tensor], batch: Batch) -> Step:
        """Return the step of a contrastive loss, with the phenotypes beside it where they are asked for.

        Args:
            loss: of the contrast.
            logs: values worth watching.
            features: per modality (P, width), of this process.
            batch: of this process.
        """
        told = self.phenotypes.losses(features, batch.present, batch.labels)
        if isinstance(temperature := self.temperature, Tensor):
            logs = {**logs, "temperature": temperature.detach()}
        if told:
            beside = self.phenotypes.weight * torch.stack(list(told.values())).mean()
            logs = {**logs, "loss_contrast": loss, **{f"loss_phenotypes_{m}": value for m, value in told.items()}}
            loss = loss + beside
        # Processes average the gradients of all weights, so each must have one, also without a row of its modality.
        return Step(loss if process_count() == 1 else loss + zero_loss(list(self.parameters())), logs=logs)

    def pair_loss(self, a: Tensor, b: Tensor, alike: Tensor | None = None) -> Tensor:
        """Return the loss of two modalities; arguments as `cardiobind.objectives.info_nce`."""
        return info_nce(a, b, self.temperature, alike=alike)

    @torch.no_grad()
    def scores(self, name: str, a: Tensor, b: Tensor) -> dict[str, float]:
        """Return the loss of a pair, the recall in both directions and how far apart a subject's embeddings are.

        Args:
            name: of the pair, ``"ecg~cmr"``.
            a: embeddings (n, d) of the first, n at least 2.
            b: embeddings (n, d) of the second.
        """
        first, second = name.split("~")
        scores = {f"loss_{name}": float(self.pair_loss(a, b))}
        for k in RECALL_AT:
            scores[f"recall_at_{k}_{first}_to_{second}"] = float(retrieval_recall(a, b, k))
            scores[f"recall_at_{k}_{second}_to_{first}"] = float(retrieval_recall(b, a, k))
        return scores | {f"distance_{name}": float(alignment_distance(a, b))}

    def health(self, embeddings: Mapping[str, Tensor]) -> dict[str, float]:
        """Return how far embeddings spread and how many of them have collapsed; if any have, warn.

        Args:
            embeddings: (n, d) by name, n at least 2.
        """
        found: dict[str, float] = {}
        for name, z in embeddings.items():
            found[f"spread_{name}"] = float(embedding_spread(z))
            found[f"effective_rank_{name}"] = float(effective_rank(z[:EVALUATED]))
            found[f"uniformity_{name}"] = float(uniformity(z[:EVALUATED]))
        broken = [name for name, z in embeddings.items() if collapsed(z[:EVALUATED])]
        if broken:
            log.warning(
                "the embeddings of %s have collapsed: nearly the same for every subject, or on one line; "
                "lower the learning rate or raise the temperature", ", ".join(broken),
            )  # fmt: skip
        return found | {"collapsed": float(len(broken))}

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)


def _check_alike(above: float | None, by: str, modalities: tuple[str, ...]) -> None:
    if above is not None and not 0.0 < above < 1.0:
        raise ConfigError("a cosine is out of range", where="alike_above", expected="(0, 1)", got=above)
    if by not in ALIKE_BY:
        raise ConfigError("unknown comparison", where="alike_by", expected=" | ".join(ALIKE_BY), got=by)
    if above is not None and by == "tabular" and "tabular" not in modalities:
        raise ConfigError("without a table nobody is alike by it", where="alike_by", hint='choose "embeddings"')
