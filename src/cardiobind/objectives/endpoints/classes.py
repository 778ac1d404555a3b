"""Endpoints that are classes: one yes or no, or several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.endpoints.base import (
    ENDPOINTS,
    EndpointObjective,
    Floats,
    columns,
    positive,
    positive_weight,
    tall,
)


@ENDPOINTS.register("binary")
class Binary(EndpointObjective):
    """A yes or no: weighted cross-entropy, AUROC, a probability.

    Args:
        positive_weight: weight of a positive over that of a negative. Imbalance is corrected here and nowhere else.
    """

    monitors: ClassVar[Mapping[str, bool]] = {"auroc": True, "auprc": True, "loss": False}

    def __init__(self, *, positive_weight: float = 1.0) -> None:
        positive(positive_weight, "positive_weight")
        self.positive_weight = positive_weight

    @classmethod
    def fit(cls, labels: Floats, *, weighted: bool = True) -> Self:
        """Return the objective whose positives weigh, if `weighted`, together as much as the negatives.

        Raises:
            InputError: no label is known, or those that would be weighed are of one class.
        """
        _check_some(labels)
        return cls(positive_weight=positive_weight(labels) if weighted else 1.0)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy in which a positive counts `positive_weight` times."""
        score = columns(logits)[:, 0]
        known = labels.isfinite()
        if not bool(known.any()):
            return 0.0 * score.sum()
        weight = torch.where(labels[known] > 0.5, self.positive_weight, 1.0)
        truth = labels[known].to(score.dtype)
        loss = F.binary_cross_entropy_with_logits(score[known], truth, weight, reduction="sum")
        return loss / weight.sum()

    def measure(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return AUROC and average precision of the continuous scores; NaN where only one class is known."""
        return dict(zip(("auroc", "auprc"), _ranking(labels, tall(logits)[:, 0]), strict=True))

    def predicted(self, logits: Floats) -> Floats:
        """Return the probability (n,)."""
        return np.asarray(expit(tall(logits)[:, 0]))


@ENDPOINTS.register("multilabel")
class Multilabel(EndpointObjective):
    """Several yes or no at once: the mean over labels of the cross-entropy, each with its own weight of positives.

    Args:
        positive_weights: of each label; one of them and one label is `Binary`.
    """

    monitors: ClassVar[Mapping[str, bool]] = {"macro_auroc": True, "macro_auprc": True, "loss": False}

    def __init__(self, positive_weights: Sequence[float]) -> None:
        for weight in positive_weights:
            positive(weight, "positive_weights")
        self.positive_weights, self.outputs = tuple(positive_weights), len(positive_weights)

    @classmethod
    def fit(cls, labels: Floats, *, weighted: bool = True) -> Self:
        """Return the objective for labels (n, K); if `weighted`, both classes of each label weigh the same.

        Raises:
            InputError: no label is known, or one that would be weighed has one class only.
        """
        _check_some(labels)
        if not weighted:
            return cls([1.0] * labels.shape[1])
        try:
            return cls([positive_weight(column) for column in labels.T])
        except InputError as error:
            raise InputError(
                f"a label of several: {error.what}", expected=error.expected, got=error.got,
                hint='take more labels, or none of the weights: objective = { weighted = false }',
            ) from error  # fmt: skip

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean over the labels that are known of anybody of the weighted mean over those who have it."""
        scores, known = columns(logits), labels.isfinite()
        if not bool(known.any()):
            return 0.0 * scores.sum()
        truth = torch.where(known, labels, 0.0).to(scores.dtype)
        positives = torch.tensor(self.positive_weights, dtype=scores.dtype, device=scores.device)
        weight = torch.where(truth > 0.5, positives, 1.0) * known
        losses = F.binary_cross_entropy_with_logits(scores, truth, weight, reduction="none").sum(dim=0)
        there = known.any(dim=0)
        return (losses[there] / weight.sum(dim=0)[there]).mean()

    def measure(self, logits: Floats, labels: Floats) -> dict[str, float]:
        """Return the means of AUROC and average precision over the labels of which both classes are known."""
        known = [np.isfinite(column) for column in labels.T]
        found = np.array([_ranking(y[k], s[k]) for y, s, k in zip(labels.T, logits.T, known, strict=True)])
        defined = found[np.isfinite(found).all(axis=1)]
        auroc, auprc = defined.mean(axis=0) if len(defined) else (float("nan"), float("nan"))
        return {"macro_auroc": float(auroc), "macro_auprc": float(auprc)}

    def predicted(self, logits: Floats) -> Floats:
        """Return the probabilities (n, K)."""
        return np.asarray(expit(logits))

    def to_json(self) -> dict[str, Any]:
        """Return the weights, which say how many labels there are."""
        return {"positive_weights": list(self.positive_weights)}


def _check_some(labels: Floats) -> None:
    if not np.isfinite(labels).any():
        raise InputError("no training label is known", expected="labels of 0 and 1", got=f"{len(labels)} unknown")


def _ranking(labels: Floats, scores: Floats) -> tuple[float, float]:
    if not 0 < labels.sum() < len(labels):
        return float("nan"), float("nan")
    return float(roc_auc_score(labels, scores)), float(average_precision_score(labels, scores))
