"""Fine-tuning: towers and a head over whatever modalities a subject has, from labels of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from cardiobind.data import Batch
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.base import METHODS, Present, Step, finite, having
from cardiobind.methods.stages import stages
from cardiobind.methods.views import Views
from cardiobind.models import Tower, build_fusion
from cardiobind.objectives import gather_rows
from cardiobind.objectives.endpoints import Binary, EndpointObjective
from cardiobind.training import TrainingSettings, decay_groups
from cardiobind.training.protocol import Outputs

Fit = Literal["full", "partial", "probe"]


@METHODS.register("finetune")
class Finetune(nn.Module):
    """Supervised learning of an endpoint from any subset of the modalities.

    Imbalance is corrected once, by the weight of positives in the objective: batches are never balanced as well.

    Args:
        towers: by modality, with the weights to start from.
        objective: outputs, loss and validation values of the endpoint's kind; None for a binary one without weights.
        fit: ``full`` trains everything; ``partial`` the last `blocks` of each encoder, pools and classifier;
            ``probe`` pools and classifier. What is frozen gets no gradient and stays in evaluation mode.
        blocks: of each encoder that ``partial`` trains.
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
        monitor: what chooses the best weights, one of the objective's monitors; None for the first of them.

    Raises:
        ConfigError: an option is out of range.

    Source: arXiv 2411.05900, section 3.3; layer-wise decay of Clark et al. 2020 (ELECTRA).
    """

    def __init__(
        self, towers: Mapping[str, Tower], *, objective: EndpointObjective | None = None, fit: Fit = "full",
        blocks: int = 1, hidden: int = 128, dropout: float = 0.0, modality_dropout: float = 0.3,
        encoder_rate: float = 1.0, encoder_weight_decay: float | None = None, layer_decay: float = 1.0,
        crop_s: float | None = None, crops: int = 3, augment_probability: float = 0.0, lead_dropout: float = 0.0,
        monitor: str | None = None, fusion: str = "late", fusion_width: int | None = None,
        fusion_depth: int | None = None, fusion_heads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.objective = objective or Binary()
        self.monitor: str = monitor or next(iter(self.objective.monitors))
        _check(fit, blocks, encoder_rate, layer_decay, crops, self.monitor, tuple(self.objective.monitors))
        self.modalities: tuple[str, ...] = tuple(towers)
        self.higher_is_better = self.objective.monitors[self.monitor]
        self.fusion = build_fusion(
            towers, outputs=self.objective.outputs, fusion=fusion, hidden=hidden, dropout=dropout,
            modality_dropout=modality_dropout, fusion_width=fusion_width, fusion_depth=fusion_depth,
            fusion_heads=fusion_heads,
        )  # fmt: skip
        self.encoder_rate, self.encoder_weight_decay = encoder_rate, encoder_weight_decay
        self.layer_decay, self.crops = layer_decay, crops
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
        """Return the objective's loss of the labels that are known, in the joint batch of all processes."""
        signals = {name: self.views.random(name, x) for name, x in batch.signals.items()}
        logits = self.fusion(signals, batch.present)
        return Step(self.objective.loss(gather_rows(logits), gather_rows(_labels(batch))))

    def logits(self, batch: Batch) -> Tensor:
        """Return the logits (B, outputs), the mean over evenly spaced crops where the ECG is cropped."""
        return self.decided(self.encoded(batch), batch.present)

    def encoded(self, batch: Batch) -> list[dict[str, Tensor]]:
        """Return what `Fusion.embed` makes of the signals in evaluation, an entry for each evenly spaced ECG crop.

        Each signal is encoded once: what is not cropped is the same tensor in all entries.
        """
        views = {name: self.views.fixed(name, x, self.crops) for name, x in batch.signals.items()}
        count = max(len(crops) for crops in views.values())
        cut = [{name: crops[i] for name, crops in views.items() if i < len(crops)} for i in range(count)]
        held = [self.fusion.embed(signals, batch.present) for signals in cut]
        return [held[0] | own for own in held]

    def decided(self, held: Sequence[Mapping[str, Tensor]], present: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (B, outputs) of subjects that are encoded, see `encoded`: the mean over its entries."""
        return torch.stack([self.fusion.head(self.fusion.meet(own, present)) for own in held]).mean(dim=0)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        """Return logits and labels.

        Raises:
            TrainingError: a logit is not finite.
        """
        return {"logit": finite(self.logits(batch), "validation logits"), "label": _labels(batch)}

    def summarise(self, outputs: Outputs) -> dict[str, float]:
        """Return the objective's monitors over the validation subjects; NaN where one is undefined."""
        return self.objective.summarise(outputs["logit"], outputs["label"])

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
    fit: str, blocks: int, encoder_rate: float, layer_decay: float, crops: int, monitor: str, monitors: tuple[str, ...]
) -> None:
    choices = {"fit": (fit, get_args(Fit)), "monitor": (monitor, monitors)}
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ConfigError("no such choice", where=f"finetune.{name}", expected=" | ".join(allowed), got=value)
    least_one = {"blocks": blocks, "crops": crops}
    positive = {"encoder_rate": encoder_rate, "layer_decay": layer_decay}
    for name, number in (least_one | positive).items():
        if not (number >= 1 if name in least_one else number > 0):
            expected = "at least 1" if name in least_one else "positive"
            raise ConfigError("option out of range", where=f"finetune.{name}", expected=expected, got=number)
