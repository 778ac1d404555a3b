"""What is known of some hearts, such as the ejection fraction, as a second target of alignment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.errors import ConfigError, InputError
from cardiobind.models import Tower
from cardiobind.objectives import gather_rows


class Phenotypes(nn.Module):
    """A linear regression of each phenotype on each tower's embedding.

    Args:
        towers: by modality.
        names: of the phenotypes; with none there are no weights.
        weight: of the regression beside the contrast.

    Raises:
        ConfigError: the weight is negative or not finite, or a name is there twice.
    """

    def __init__(self, towers: Mapping[str, Tower], names: tuple[str, ...], weight: float) -> None:
        super().__init__()
        if not 0.0 <= weight < float("inf") or len(set(names)) != len(names):
            expected = "a weight >= 0, each phenotype once"
            raise ConfigError("impossible phenotypes", where="phenotypes", expected=expected, got=f"{names}, {weight}")
        self.names, self.weight = names, weight
        heads = {name: nn.Linear(tower.width, len(names)) for name, tower in towers.items()} if names else {}
        self.heads = nn.ModuleDict(heads)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return per modality the standardised phenotypes (P, K) that its embeddings (P, width) tell."""
        return {name: self.heads[name](z).float() for name, z in features.items() if name in self.heads}

    def losses(
        self, features: Mapping[str, Tensor], present: Mapping[str, Tensor], labels: Tensor | None
    ) -> dict[str, Tensor]:
        """Return per modality the mean squared error of what is known, over the subjects of all processes.

        Args:
            features: per modality (P, width) of the subjects that have it.
            present: per modality (B,) bool with P true entries.
            labels: (B, K) standardised by the training subjects, NaN where unknown.

        Raises:
            InputError: the labels are not K a subject.
        """
        if not self.names:
            return {}
        known = self.targets(labels)
        found = {}
        for name, head in self.heads.items():
            own = features.get(name)
            guess = known.new_zeros(0, len(self.names)) if own is None else head(own).float()
            guess, truth = gather_rows(guess), gather_rows(known[present[name]])
            if bool((there := truth.isfinite()).any()):
                found[name] = F.mse_loss(guess[there], truth[there])
        return found

    def targets(self, labels: Tensor | None) -> Tensor:
        """Return the labels (B, K), checked."""
        if labels is None or labels.numel() != len(labels) * len(self.names):
            got = None if labels is None else tuple(labels.shape)
            raise InputError("labels are not the phenotypes", expected=f"(B, {len(self.names)})", got=got)
        return labels.reshape(len(labels), len(self.names)).float()


def explained(guess: NDArray[np.float32], truth: NDArray[np.float32]) -> float | None:
    """Return the mean over phenotypes of the explained variance (R squared), None where too few are known.

    Args:
        guess: (n, K), NaN where a subject lacks the modality.
        truth: (n, K), NaN where unknown.
    """
    shares = []
    for k in range(truth.shape[1]):
        there = np.isfinite(truth[:, k]) & np.isfinite(guess[:, k])
        if there.sum() >= 2 and (spread := float(np.var(truth[there, k]))) > 0:
            shares.append(1.0 - float(np.mean((guess[there, k] - truth[there, k]) ** 2)) / spread)
    return float(np.mean(shares)) if shares else None


def at_rows(values: Tensor, where: Tensor) -> Tensor:
    """Return (B, ...) with the rows (P, ...) at the true entries of `where` (B,), and NaN elsewhere."""
    filled = values.new_full((len(where), *values.shape[1:]), torch.nan)
    filled[where] = values
    return filled
