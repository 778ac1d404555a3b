"""Training of a method on a cohort: the machine of `cardiobind.training` with the data's own order."""

from __future__ import annotations

from pathlib import Path

from cardiobind.data import CohortDataset, KeyedBatchSampler
from cardiobind.training import History, Method, Progress, TrainingSettings, fit


def learn(
    method: Method,
    train: CohortDataset,
    validation: CohortDataset | None,
    settings: TrainingSettings,
    *,
    seed: int,
    work: Path,
    title: str,
    progress: Progress | None = None,
) -> History:
    """Train a method in the keyed order of a cohort; arguments, result and errors as `cardiobind.training.fit`."""
    return fit(
        method, train, validation, settings, order=KeyedBatchSampler, seed=seed, work=work, title=title,
        progress=progress,
    )  # fmt: skip
