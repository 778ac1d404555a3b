"""Training of a method on a cohort: the machine of `cardiobind.training` with the data's own order."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from cardiobind.data import CohortDataset, KeyedBatchSampler
from cardiobind.objectives.gather import gathering
from cardiobind.training import History, Method, Progress, TrainingSettings, fit
from cardiobind.training.processes import join
from cardiobind.training.protocol import OrderFactory


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
    order: OrderFactory = KeyedBatchSampler,
) -> History:
    """Train a method in the keyed order of a cohort; arguments, result and errors as `cardiobind.training.fit`.

    An `order` takes the arguments of `KeyedBatchSampler`.
    """
    if settings.shard_window is not None:
        order = partial(order, shards=train.shards(), shard_window=settings.shard_window)
    with gathering(joint=join(settings.devices, settings.nodes).world > 1):
        return fit(
            method, train, validation, settings, order=order, seed=seed, work=work, title=title, progress=progress
        )
