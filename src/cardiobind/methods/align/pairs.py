"""Every two modalities against each other, over the subjects who have both."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods.align.base import EVALUATED, Align
from cardiobind.methods.align.moments import at_moments, moment_phases
from cardiobind.methods.align.phenotypes import Phenotypes, at_rows, explained
from cardiobind.methods.align.subsets import among
from cardiobind.methods.base import METHODS, Present, Step, embedding_spread, finite, having, zero_loss
from cardiobind.models import ProjectionHead, Tower
from cardiobind.objectives import PairLosses, each_pair, gather_embeddings, gather_rows, moment_contrast, pair_weights
from cardiobind.training.protocol import Outputs

TOLD = "phenotypes"


@METHODS.register("align_all_pairs")
class AlignAllPairs(Align):
    """A CLIP loss for each two modalities, over the subjects of the batch that have both; none is thrown away.

    Args:
        towers: pre-trained, by modality, at least two.
        projection: width of the embeddings that are compared.
        temperature: of the loss, where it starts if it is learnt.
        learn_temperature: whether it is learnt, within [0.01, 1]; None for what the loss's authors do.
        pair_weights: of pairs, named ``"ecg~cmr"`` in either order; 1 where absent, 0 to leave a pair out.
        crop_s: length of the random ECG crops, None for the whole record.
        augment_probability: with which an ECG or a CMR is augmented.
        corruption: probability of replacing an entry of the table.
        chunk: subjects that go through an encoder at a time, None for all: less memory, each computed twice.
        alike_above: cosine above which two subjects are no negatives of one another, None for no such subjects.
        alike_by: what they are compared by: the values of the table (``tabular``) or their ``embeddings``.
        phenotypes: endpoints that a linear head on each tower learns beside the contrast, where they are known.
        phenotype_weight: of their mean squared error.
        phase_weight: of the contrast of ECG and images over the moments of each subject's beat; 0 for none.

    Raises:
        ConfigError: fewer than two towers, or an option is out of range.
        InputError: a weight is of an unknown pair.
    """

    learns_temperature: ClassVar[bool] = False
    learns: ClassVar[Mapping[str, float]] = {}
    """What else the loss learns, by name, and where it starts."""

    def __init__(
        self, towers: Mapping[str, Tower], *, projection: int = 128, temperature: float = 0.1,
        learn_temperature: bool | None = None, pair_weights: Mapping[str, float] | None = None,
        crop_s: float | None = None, augment_probability: float = 0.95, corruption: float = 0.3,
        chunk: int | None = None, alike_above: float | None = None, alike_by: str = "tabular",
        phenotypes: tuple[str, ...] = (), phenotype_weight: float = 0.1, phase_weight: float = 0.0,
    ) -> None:  # fmt: skip
        learnt = self.learns_temperature if learn_temperature is None else learn_temperature
        super().__init__(
            towers, temperature=temperature, learn_temperature=learnt, crop_s=crop_s,
            augment_probability=augment_probability, corruption=corruption, chunk=chunk, alike_above=alike_above,
            alike_by=alike_by,
        )  # fmt: skip
        if len(towers) < 2:
            raise ConfigError("alignment needs at least two modalities", got=tuple(towers))
        self.weights = _checked(self.modalities, pair_weights)
        heads = {name: ProjectionHead(tower.width, tower.width, projection) for name, tower in towers.items()}
        self.heads = nn.ModuleDict(heads)
        self.projection = projection
        self.learnt = nn.ParameterDict({name: torch.tensor(start) for name, start in self.learns.items()})
        self.phenotypes = Phenotypes(towers, tuple(phenotypes), phenotype_weight)
        self.phase_weight, self.phases = phase_weight, _phases(towers, phase_weight)

    def embed(self, batch: Batch) -> dict[str, Tensor]:
        """Return per modality the embeddings (P, projection) of the subjects of the batch that have it."""
        return self.project(self.features(batch))

    @property
    def spaces(self) -> tuple[str, ...]:
        """Every modality."""
        return self.modalities

    def shared_space(self, features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per modality that anybody has the normalised embeddings (B, projection), NaN where absent."""
        told = self.project(features)
        return {name: at_rows(F.normalize(z, dim=1), present[name]) for name, z in told.items()}

    def project(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per modality the embeddings (P, projection) of what its tower says (P, width)."""
        return {name: self.heads[name](z) for name, z in features.items()}

    def contrast(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], alike: Tensor | None = None
    ) -> PairLosses:
        """Return the losses of a batch.

        Args:
            embeddings: per modality (P, projection), at least two.
            present: per modality (B,) bool with P true entries.
            alike: (B, B) bool, who are no negatives of one another; None if all are.
        """
        return each_pair(
            embeddings, present, lambda a, b, who: self.pair_loss(a, b, among(alike, who)), self.pairs(embeddings)
        )

    def pairs(self, embeddings: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the weights of the pairs of these modalities."""
        return {pair: weight for pair, weight in self.weights.items() if set(pair.split("~")) <= set(embeddings)}

    def training_step(self, batch: Batch) -> Step:
        """Return the mean loss of the groups that at least two subjects are in, over the subjects of all processes."""
        self.sharpness.keep_within()
        features = self.features(batch)
        here = {name: batch.present[name] for name in self.modalities}
        embeddings, present = gather_embeddings(self.project(features), here, self.projection)
        if len(embeddings) < 2:
            return Step(zero_loss(list(self.parameters())))
        losses = self.contrast(embeddings, present, self.alike(batch, embeddings, present))
        parts = {f"loss_{name}": loss for name, loss in losses.parts.items()}
        spread = {f"spread_{m}": embedding_spread(z) for m, z in embeddings.items() if len(z) > 1}
        if not self.phases:
            return self.step(losses.loss, parts | spread, features, batch)
        local = self.local_loss(batch)
        loss = losses.loss + self.phase_weight * local
        return self.step(loss, parts | spread | {"loss_phase": local}, features, batch)

    def local_loss(self, batch: Batch) -> Tensor:
        """Return the contrast of ECG and images over the moments of the beat, of whoever has both in all processes."""
        ecg, images, there = at_moments(self, batch, self.phases)
        ecg, images = self.heads["ecg"](ecg), self.heads["cmr"](images)
        return moment_contrast(gather_rows(ecg), gather_rows(images), gather_rows(there), self.temperature)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return per modality the embeddings of all subjects, NaN where one lacks it, and the phenotypes they tell.

        Raises:
            TrainingError: an embedding is not finite.
        """
        features = self.features(batch)
        told = {name: finite(z, f"validation embeddings of {name}") for name, z in self.project(features).items()}
        found = {name: at_rows(z, batch.present[name]) for name, z in told.items()}
        lacking = [name for name in self.modalities if name not in found]
        found |= {name: torch.full((batch.size, self.projection), torch.nan) for name in lacking}
        return found | self.tell(features, batch)

    def tell(self, features: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Return what is known of the phenotypes (B, K) and what each tower tells of them, NaN where nothing."""
        if not self.auxiliary_tasks:
            return {}
        none = torch.full((batch.size, len(self.auxiliary_tasks)), torch.nan)
        guesses = {name: finite(z, f"phenotypes by {name}") for name, z in self.phenotypes(features).items()}
        told = {name: at_rows(z, batch.present[name]) for name, z in guesses.items()}
        known = {TOLD: self.phenotypes.targets(batch.labels)}
        return known | {f"{TOLD}_{name}": told.get(name, none) for name in self.modalities}

    @torch.no_grad()
    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return loss and recall of each pair over the first `EVALUATED` subjects that have both, spreads, collapse."""
        embeddings = {name: torch.from_numpy(outputs[name]).to(self.device) for name in self.modalities}
        present = {name: z.isfinite().all(dim=1) for name, z in embeddings.items()}
        scores: dict[str, float] = {}
        for first, second in combinations(self.modalities, 2):
            both = (present[first] & present[second]).nonzero().flatten()[:EVALUATED]
            if len(both) >= 2:
                scores |= self.scores(f"{first}~{second}", embeddings[first][both], embeddings[second][both])
        loss = self.validation_loss(embeddings, present, scores)
        held = {name: z[present[name]] for name, z in embeddings.items() if int(present[name].sum()) >= 2}
        return {"loss": loss} | scores | self.health(held) | self._explained(outputs)

    def validation_loss(
        self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor], scores: Mapping[str, float]
    ) -> float:
        """Return the value that chooses the weights: the weighted mean of the losses of the pairs, NaN without any.

        Args:
            embeddings: per modality (n, projection), NaN where absent.
            present: per modality (n,) bool.
            scores: ``loss_`` of each pair that two subjects have.
        """
        losses = [(w, scores[f"loss_{pair}"]) for pair, w in self.weights.items() if w and f"loss_{pair}" in scores]
        return sum(w * loss for w, loss in losses) / sum(w for w, _ in losses) if losses else float("nan")

    def _explained(self, outputs: Outputs) -> dict[str, float]:
        told = self.modalities if self.auxiliary_tasks else ()
        shares = {name: explained(outputs[f"{TOLD}_{name}"], outputs[TOLD]) for name in told}
        return {f"explained_{name}": share for name, share in shares.items() if share is not None}

    def usable(self, present: Present) -> Any:
        """Return who has at least two modalities."""
        return having(present, self.modalities, 2)


def _phases(towers: Mapping[str, Tower], weight: float) -> tuple[float, ...]:
    if weight == 0.0:
        return ()
    if not 0.0 < weight < float("inf") or not {"ecg", "cmr"} <= set(towers):
        expected = "a weight >= 0, and both ecg and cmr"
        raise ConfigError(
            "impossible phases", where="phase_weight", expected=expected, got=f"{weight}, {tuple(towers)}"
        )
    return moment_phases(towers["cmr"].inputs)


def _checked(modalities: tuple[str, ...], weights: Mapping[str, float] | None) -> dict[str, float]:
    chosen = pair_weights(modalities, weights or {})
    if not chosen:
        raise ConfigError("no pair of modalities has a weight", where="pair_weights", got=dict(weights or {}))
    return {pair: chosen.get(pair, 0.0) for pair in map("~".join, combinations(modalities, 2))}
