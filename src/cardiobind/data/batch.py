"""A batch of subjects, each with the modalities it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Samples that meet in one step; an absent modality is an absent row, never zeros.

    Attributes:
        rows: (B,) int64 indices of the samples in the cohort.
        signals: modality -> (P, ...) float32 of only those P samples that have it, in the order of `rows`:
            ecg (P, 12, samples) z-scored by lead group, cmr (P, planes, rows, columns) scaled to -2..2 (-2
            everywhere: the plane is absent), tabular (P, features, 2) of (value, observed).
        present: modality -> (B,) bool, True for those P samples.
        labels: (B,) or (B, K) float32, NaN where unknown; None without a task. Of a task of several labels K is their
            number, of a survival task the two are time in days and event (1, or 0 where censored).
    """

    rows: Tensor
    signals: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    labels: Tensor | None = None

    @property
    def size(self) -> int:
        """Number of samples B."""
        return len(self.rows)

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Batch:
        """Return the batch on a device."""
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def _map(self, move: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            move(self.rows),
            {m: move(s) for m, s in self.signals.items()},
            {m: move(p) for m, p in self.present.items()},
            None if self.labels is None else move(self.labels),
        )
