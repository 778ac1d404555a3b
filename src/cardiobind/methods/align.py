"""Alignment: embeddings of one subject's modalities are pulled together, those of different subjects pushed apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.base import METHODS, Present, Step, embedding_spread, having, zero_loss
from cardiobind.methods.views import Views
from cardiobind.models import ProjectionHead, Tower
from cardiobind.objectives import all_pairs, gather_embeddings, gather_rows, info_nce, process_count, retrieval_recall
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

EVALUATED = 2048
"""Validation subjects that loss and recall are taken over: the similarities grow with their square."""

RECALL_AT = (1, 5, 10)


class Align(nn.Module):
    """What the two ways of alignment share: towers, views, the optimiser's groups and the scores of a pair.

    Args:
        towers: pre-trained, by modality; they hold the aligned weights afterwards.
        temperature: of the loss.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.
    """

    monitor = "loss"
    higher_is_better = False

    def __init__(
        self, towers: Mapping[str, Tower], *, temperature: float, crop_s: float | None, augment_probability: float,
        corruption: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modalities: tuple[str, ...] = tuple(towers)
        self.towers = nn.ModuleDict(towers)
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.views = Views.of(inputs, crop_s=crop_s, probability=augment_probability, corruption=corruption)
        self.temperature = temperature

    def show(self, modality: str, x: Tensor) -> Tensor:
        """Return the view of a batch: random in training, fixed in evaluation."""
        return self.views.random(modality, x) if self.training else self.views.fixed(modality, x)[0]

    def reach_all(self, loss: Tensor) -> Tensor:
        """Give every weight a gradient where several processes average theirs, also without a row of its modality."""
        return loss if process_count() == 1 else loss + zero_loss(list(self.parameters()))

    def scores(self, name: str, a: Tensor, b: Tensor) -> dict[str, float]:
        """Return the loss of a pair and the recall in both directions.

        Args:
            name: of the pair, ``"ecg~cmr"``.
            a: embeddings (n, d) of the first, n at least 2.
            b: embeddings (n, d) of the second.
        """
        first, second = name.split("~")
        scores = {f"loss_{name}": float(info_nce(a, b, self.temperature))}
        for k in RECALL_AT:
            scores[f"recall_at_{k}_{first}_to_{second}"] = float(retrieval_recall(a, b, k))
            scores[f"recall_at_{k}_{second}_to_{first}"] = float(retrieval_recall(b, a, k))
        return scores

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups of all weights."""
        return decay_groups(self.parameters(), learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)


@METHODS.register("align_joint")
class AlignJoint(Align):
    """One CLIP loss: the image against ECG and table together; a subject needs all of them.

    Args:
        towers: pre-trained, by modality: ``cmr`` and one or both of ``ecg`` and ``tabular``.
        projection: width of the embeddings that are compared.
        temperature: of the loss.
        weight: of the direction image to the others; the other has ``1 - weight``.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.

    Raises:
        ConfigError: a tower is lacking, or an option is out of range.

    Source: arXiv 2411.05900, section 3.2.
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, projection: int = 128, temperature: float = 0.1, weight: float = 0.5,
        crop_s: float | None = None, augment_probability: float = 0.95, corruption: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__(
            towers, temperature=temperature, crop_s=crop_s, augment_probability=augment_probability,
            corruption=corruption,
        )  # fmt: skip
        if "cmr" not in towers or len(towers) < 2:
            raise ConfigError(
                "joint alignment needs the image and something else", expected="cmr and one or both of ecg, tabular",
                got=tuple(towers), hint="align_all_pairs takes any two modalities",
            )  # fmt: skip
        self.others = tuple(name for name in towers if name != "cmr")
        width = sum(towers[name].width for name in self.others)
        self.head = ProjectionHead(width, width, projection)
        self.image_head = ProjectionHead(towers["cmr"].width, towers["cmr"].width, projection)
        self.projection = projection
        self.weight = weight

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the embeddings (n, projection) of image and others, of the n subjects that have all modalities."""
        complete = reduce(torch.logical_and, (batch.present[name] for name in self.modalities))
        shown = {m: self.show(m, batch.signals[m][complete[batch.present[m]]]) for m in self.modalities}
        if not bool(complete.any()):
            empty = next(iter(shown.values())).new_zeros(0, self.projection)
            return empty, empty
        embedded = {m: self.towers[m](x) for m, x in shown.items()}
        others = torch.cat([embedded[m] for m in self.others], dim=1)
        return self.image_head(embedded["cmr"]), self.head(others)

    def training_step(self, batch: Batch) -> Step:
        """Return the CLIP loss of image and others."""
        image, others = (gather_rows(z) for z in self.embed(batch))
        if len(image) < 2:
            return Step(zero_loss(list(self.parameters())))
        logs = {"spread_image": embedding_spread(image), "spread_others": embedding_spread(others)}
        return Step(self.reach_all(info_nce(image, others, self.temperature, self.weight)), logs=logs)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return the embeddings of image and others."""
        image, others = self.embed(batch)
        return {"image": image, "others": others}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return loss, recall in both directions and spread over the first `EVALUATED` complete subjects."""
        image, others = (torch.from_numpy(outputs[name][:EVALUATED]) for name in ("image", "others"))
        if len(image) < 2:
            return {"loss": float("nan")}
        scores = self.scores("image~others", image, others)
        loss = float(info_nce(image, others, self.temperature, self.weight))
        spread = {"spread_image": embedding_spread(image), "spread_others": embedding_spread(others)}
        return {"loss": loss} | scores | {name: float(value) for name, value in spread.items()}

    def usable(self, present: Present) -> Any:
        """Return who has all modalities."""
        return having(present, self.modalities, len(self.modalities))


@METHODS.register("align_all_pairs")
class AlignAllPairs(Align):
    """A CLIP loss for each two modalities, over the subjects of the batch that have both; none is thrown away.

    Args:
        towers: pre-trained, by modality, at least two.
        projection: width of the embeddings that are compared.
        temperature: of the loss.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.

    Raises:
        ConfigError: fewer than two towers, or an option is out of range.
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, projection: int = 128, temperature: float = 0.1,
        crop_s: float | None = None, augment_probability: float = 0.95, corruption: float = 0.3,
    ) -> None:  # fmt: skip
        super().__init__(
            towers, temperature=temperature, crop_s=crop_s, augment_probability=augment_probability,
            corruption=corruption,
        )  # fmt: skip
        if len(towers) < 2:
            raise ConfigError("alignment needs at least two modalities", got=tuple(towers))
        heads = {name: ProjectionHead(tower.width, tower.width, projection) for name, tower in towers.items()}
        self.heads = nn.ModuleDict(heads)
        self.projection = projection

    def embed(self, batch: Batch) -> dict[str, Tensor]:
        """Return per modality the embeddings (P, projection) of the subjects of the batch that have it."""
        held = [name for name in self.modalities if len(batch.signals[name])]
        return {name: self.heads[name](self.towers[name](self.show(name, batch.signals[name]))) for name in held}

    def training_step(self, batch: Batch) -> Step:
        """Return the mean loss of the pairs that at least two subjects have."""
        present = {name: batch.present[name] for name in self.modalities}
        embeddings, present = gather_embeddings(self.embed(batch), present, self.projection)
        if len(embeddings) < 2:
            return Step(zero_loss(list(self.parameters())))
        losses = all_pairs(embeddings, present, self.temperature)
        spread = {f"spread_{m}": embedding_spread(z) for m, z in embeddings.items() if len(z) > 1}
        parts = {f"loss_{name}": loss for name, loss in losses.parts.items()}
        return Step(self.reach_all(losses.loss), logs=parts | spread)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per modality the embeddings of all subjects, NaN where one lacks it."""
        filled = {}
        for name, z in self.embed(batch).items():
            filled[name] = z.new_full((batch.size, z.shape[1]), torch.nan)
            filled[name][batch.present[name]] = z
        lacking = [name for name in self.modalities if name not in filled]
        return filled | {name: torch.full((batch.size, self.projection), torch.nan) for name in lacking}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return loss and recall of each pair over the first `EVALUATED` subjects that have both, and spreads."""
        embeddings = {name: torch.from_numpy(values) for name, values in outputs.items()}
        present = {name: z.isfinite().all(dim=1) for name, z in embeddings.items()}
        scores: dict[str, float] = {}
        for first, second in combinations(self.modalities, 2):
            both = (present[first] & present[second]).nonzero().flatten()[:EVALUATED]
            if len(both) >= 2:
                scores |= self.scores(f"{first}~{second}", embeddings[first][both], embeddings[second][both])
        losses = [value for name, value in scores.items() if name.startswith("loss_")]
        for name, z in embeddings.items():
            if int(present[name].sum()) >= 2:
                scores[f"spread_{name}"] = float(embedding_spread(z[present[name]]))
        return {"loss": sum(losses) / len(losses) if losses else float("nan")} | scores

    def usable(self, present: Present) -> Any:
        """Return who has at least two modalities."""
        return having(present, self.modalities, 2)
