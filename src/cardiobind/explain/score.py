"""The score of one subject as a function of one modality's signal, the others staying as they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from cardiobind.data.crops import spaced_crops
from cardiobind.inference.bundle import BundleContract
from cardiobind.inference.predictor import Predictor
from cardiobind.models import Fusion

TARGETS = {"binary": "logit", "regression": "value in standard deviations of the training labels", "survival": "logit"}


class SubjectScore:
    """The number that is explained: the mean over ensemble members and crops, differentiable in one modality.

    Args:
        members: networks in evaluation mode whose logits the score averages.
        contract: of the bundle.
        signals: per modality given a tensor (1, ...).
    """

    def __init__(self, members: Sequence[Fusion], contract: BundleContract, signals: Mapping[str, Tensor]) -> None:
        self.members, self.contract, self.signals = members, contract, signals
        with torch.no_grad():
            self._held = [{m: self._encode(member, m, x) for m, x in signals.items()} for member in members]

    @classmethod
    def of(cls, predictor: Predictor, signals: Mapping[str, Tensor]) -> SubjectScore:
        """Return the score that a predictor gives of prepared signals."""
        return cls(predictor.members, predictor.contract, signals)

    def with_signal(self, modality: str, x: Tensor) -> Tensor:
        """Return the scores (n,) of the subject with other signals `x` (n, ...) of one modality."""
        found = []
        for member, held in zip(self.members, self._held, strict=True):
            own = {**held, modality: self._encode(member, modality, x)}
            found.append(self._joined(member, own, set(self.signals), len(x)))
        return torch.stack(found).mean(dim=0)

    @torch.no_grad()
    def with_modalities(self, kept: Collection[str]) -> float | None:
        """Return the score from some of the subject's modalities alone; None where the network needs at least one."""
        found = []
        for member, held in zip(self.members, self._held, strict=True):
            try:
                found.append(self._joined(member, held, set(kept), 1))
            except RuntimeError:
                if kept:
                    raise
                return None
        return float(torch.stack(found).mean())

    def _encode(self, member: Fusion, modality: str, x: Tensor) -> list[Tensor]:
        return [member.encode(modality, view) for view in self._views(modality, x)]

    def _views(self, modality: str, x: Tensor) -> list[Tensor]:
        rate_hz = self.contract.inputs[modality].rate_hz
        if modality != "ecg" or self.contract.crop_s is None or rate_hz is None:
            return [x]
        return spaced_crops(x, round(self.contract.crop_s * rate_hz), self.contract.crops)

    def _joined(self, member: Fusion, held: Mapping[str, list[Tensor]], kept: set[str], count: int) -> Tensor:
        names = [name for name in member.towers if name in held and name in kept]
        have = torch.zeros(count, len(member.towers), dtype=torch.bool)
        for place, name in enumerate(member.towers):
            have[:, place] = name in names
        logits = []
        for view in range(max([1, *(len(held[name]) for name in names)])):
            rows = {name: _row(held[name], view).expand(count, *held[name][0].shape[1:]) for name in names}
            logits.append(member.head(member.join(rows, have, have)))
        return self._target(torch.stack(logits).mean(dim=0))

    def _target(self, logits: Tensor) -> Tensor:
        """Return the scalar of each subject: the first output, or the mean over the intervals of a time to event."""
        return logits.mean(dim=1) if self.contract.kind == "survival" else logits[:, 0]


def _row(views: Sequence[Tensor], view: int) -> Tensor:
    return views[view] if len(views) > 1 else views[0]
