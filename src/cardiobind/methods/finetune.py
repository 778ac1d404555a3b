"""Fine-tuning: towers and a classifier over whatever modalities a subject has, from labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from cardiobind.data import Batch
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.base import METHODS, Present, Step, having, zero_loss
from cardiobind.methods.stages import stages
from cardiobind.methods.views import Views
from cardiobind.models import Tower, build_fusion
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

Fit = Literal["full", "partial", "probe"]
Monitor = Literal["auroc", "auprc", "loss"]


def positive_weight(labels: ArrayLike) -> float:
    """Return the weight of a positive that makes both classes weigh the same: negatives over positives.

    Args:
        labels: (n,) of the training subjects; NaN is unknown and does not count.

    Raises:
        InputError: a class is absent.
    """
    known = np.asarray(labels, dtype=np.float64)
    positives, negatives = int((known == 1).sum()), int((known == 0).sum())
    if positives == 0 or negatives == 0:
        raise InputError(
            "the training labels have one class only", expected="both 0 and 1",
            got=f"{positives} positives, {negatives} negatives",
        )  # fmt: skip
    return negatives / positives


@METHODS.register("finetune")
class Finetune(nn.Module):
    """Supervised learning of a binary endpoint from any subset of the modalities.

    Imbalance is corrected once, by the weight of positives in the loss: batches are never balanced as well.

    Args:
        towers: by modality, with the weights to start from.
        fit: ``full`` trains everything; ``partial`` the last `blocks` of each encoder, pools and classifier;
            ``probe`` pools and classifier. What is frozen gets no gradient and stays in evaluation mode.
        blocks: of each encoder that ``partial`` trains.
        positive_weight: weight of a positive over that of a negative, see `positive_weight`.
        hidden: width of the classifier's hidden layer, 0 for a linear one.
        dropout: in the classifier.
        modality_dropout: probability with which training hides a modality that a subject has.
        fusion: how modalities meet, a name in `cardiobind.models.FUSIONS`.
        fusion_width, fusion_depth, fusion_heads: of a fusion that takes them; None for its own default.
        encoder_rate: learning rate of the encoders over that of the classifier.
        encoder_weight_decay: of the encoders; None for that of the settings.
        layer_decay: factor on the learning rate from each layer of an encoder to the one below it.
        crop_s: length of the ECG crops, None for the whole record.
        crops: evenly spaced crops whose logits are averaged in evaluation, where `crop_s` is given.
        augment_probability: with which an ECG or a CMR is augmented.
        lead_dropout: probability with which training leaves an ECG only a random part of its leads.
        monitor: what chooses the best weights: ``auroc``, ``auprc`` or ``loss``.

    Raises:
        ConfigError: an option is out of range.

    Source: arXiv 2411.05900, section 3.3; layer-wise decay of Clark et al. 2020 (ELECTRA).
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, fit: Fit = "full", blocks: int = 1, positive_weight: float = 1.0,
        hidden: int = 128, dropout: float = 0.0, modality_dropout: float = 0.3, encoder_rate: float = 1.0,
        encoder_weight_decay: float | None = None, layer_decay: float = 1.0, crop_s: float | None = None,
        crops: int = 3, augment_probability: float = 0.0, lead_dropout: float = 0.0,
        monitor: Monitor = "auroc", fusion: str = "late", fusion_width: int | None = None,
        fusion_depth: int | None = None, fusion_heads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _check(fit, blocks, positive_weight, encoder_rate, layer_decay, crops, monitor)
        self.modalities: tuple[str, ...] = tuple(towers)
        self.monitor: str = monitor
        self.higher_is_better = monitor != "loss"
        self.fusion = build_fusion(
            towers, fusion=fusion, hidden=hidden, dropout=dropout, modality_dropout=modality_dropout,
            fusion_width=fusion_width, fusion_depth=fusion_depth, fusion_heads=fusion_heads,
        )  # fmt: skip
        self.encoder_rate, self.encoder_weight_decay = encoder_rate, encoder_weight_decay
        self.layer_decay, self.crops, self.positive_weight = layer_decay, crops, positive_weight
        inputs = {name: tower.inputs for name, tower in towers.items()}
        self.views = Views.of(
            inputs, crop_s=crop_s, probability=augment_probability, corruption=0.0, lead_dropout=lead_dropout
        )
        trained = {"full": None, "partial": blocks, "probe": 0}[fit]
        self._frozen: list[nn.Module] = []
        for tower in towers.values():
            self._frozen += _below(tower.encoder, trained)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Finetune:
        """Set training mode, except for what is frozen: its normalisation and dropout stay in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def training_step(self, batch: Batch) -> Step:
        """Return the weighted cross-entropy of the labels that are known."""
        signals = {name: self.views.random(name, x) for name, x in batch.signals.items()}
        logits = self.fusion(signals, batch.present)[:, 0]
        return Step(self.loss(logits, _labels(batch)))

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy in which a positive counts `positive_weight` times; unknown ones are left out.

        Args:
            logits: (B,).
            labels: (B,) 0, 1 or NaN.
        """
        known = labels.isfinite()
        if not bool(known.any()):
            return zero_loss([logits])
        weight = torch.where(labels[known] > 0.5, self.positive_weight, 1.0)
        loss = F.binary_cross_entropy_with_logits(logits[known], labels[known], weight, reduction="sum")
        return loss / weight.sum()

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits (B,), the mean over evenly spaced crops where the ECG is cropped."""
        return torch.stack([self.fusion(view, batch.present)[:, 0] for view in self.shown(batch)]).mean(dim=0)

    def shown(self, batch: Batch) -> list[dict[str, Tensor]]:
        """Return the signals of evaluation: one entry for each of the evenly spaced ECG crops."""
        views = {name: self.views.fixed(name, x, self.crops) for name, x in batch.signals.items()}
        count = max(len(crops) for crops in views.values())
        return [{name: crops[i % len(crops)] for name, crops in views.items()} for i in range(count)]

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits and labels."""
        return {"logit": self.logits(batch), "label": _labels(batch)}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return AUROC, average precision and loss over the validation subjects whose label is known.

        The scores are continuous; where only one class is known, AUROC and average precision are NaN.
        """
        known = np.isfinite(outputs["label"])
        label, logit = outputs["label"][known], outputs["logit"][known]
        both = 0 < label.sum() < len(label)
        return {
            "auroc": float(roc_auc_score(label, logit)) if both else float("nan"),
            "auprc": float(average_precision_score(label, logit)) if both else float("nan"),
            "loss": float(self.loss(torch.from_numpy(logit), torch.from_numpy(label))) if len(label) else float("nan"),
        }

    def parameter_groups(self, settings: TrainingSettings) -> list[dict[str, Any]]:
        """Return the groups: encoders layer by layer, then the rest at the full learning rate."""
        decay = settings.weight_decay if self.encoder_weight_decay is None else self.encoder_weight_decay
        groups: list[dict[str, Any]] = []
        inside: set[int] = set()
        for tower in (t for t in self.fusion.towers.values() if isinstance(t, Tower)):
            inside |= {id(p) for p in tower.encoder.parameters()}
            for above, layer in enumerate(reversed(stages(tower.encoder))):
                parameters = [p for module in layer for p in module.parameters()]
                rate = settings.learning_rate * self.encoder_rate * self.layer_decay**above
                groups += decay_groups(parameters, learning_rate=rate, weight_decay=decay)
        rest = [p for p in self.parameters() if id(p) not in inside]
        return groups + decay_groups(rest, learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)

    def usable(self, present: Present) -> Any:
        """Return who has at least one modality."""
        return having(present, self.modalities, 1)


def _below(encoder: nn.Module, trained: int | None) -> list[nn.Module]:
    """Return what is frozen where the last `trained` layers of an encoder are trained; None trains all."""
    if trained is None:
        return []
    if trained == 0:
        return [encoder]
    return [module for stage in stages(encoder)[:-trained] for module in stage]


def _labels(batch: Batch) -> Tensor:
    if batch.labels is None:
        raise InputError("fine-tuning needs labels", where="batch", hint="give the dataset the labels of a task")
    return batch.labels


def _check(
    fit: str, blocks: int, positive_weight: float, encoder_rate: float, layer_decay: float, crops: int, monitor: str
) -> None:
    choices = {"fit": (fit, get_args(Fit)), "monitor": (monitor, get_args(Monitor))}
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError("no such choice", where=f"finetune.{name}", expected=" | ".join(allowed), got=value)
    least_one = {"blocks": blocks, "crops": crops}
    positive = {"positive_weight": positive_weight, "encoder_rate": encoder_rate, "layer_decay": layer_decay}
    for name, number in (least_one | positive).items():
        if not (number >= 1 if name in least_one else number > 0):
            expected = "at least 1" if name in least_one else "positive"
            raise ConfigError("option out of range", where=f"finetune.{name}", expected=expected, got=number)
