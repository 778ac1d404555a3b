"""What a trained method says of subjects: logits and embeddings, for any subset of the modalities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from cardiobind.data import Batch, CohortDataset
from cardiobind.errors import InputError
from cardiobind.methods.base import finite
from cardiobind.methods.finetune import Finetune
from cardiobind.methods.views import Views
from cardiobind.models import Tower
from cardiobind.training import PrecisionName, computing, multiplying


def predict(
    method: Finetune, dataset: CohortDataset, modalities: Sequence[str] | None = None, *, batch_size: int = 64,
    precision: PrecisionName = "32-true",
) -> NDArray[np.float64]:  # fmt: skip
    """Return the logits of each subject, in evaluation mode; `EndpointObjective.predicted` says what they mean.

    Args:
        method: trained.
        dataset: the subjects; labels are not needed.
        modalities: those to look at, the others are taken as absent; None for all that both method and dataset know.
        batch_size: subjects at a time.
        precision: as of a training; a score is that of `cardiobind.load` to the bit in ``32-true`` alone.

    Returns:
        (n, outputs) logits, NaN for a subject that has none of the modalities; (n,) where the network has one output.

    Raises:
        InputError: the method does not know a modality, or the dataset does not hand it out.
        TrainingError: a logit is not finite.
    """
    known = tuple(name for name in method.modalities if name in dataset.modalities)
    chosen = known if modalities is None else tuple(modalities)
    return predict_each(method, dataset, [chosen], batch_size=batch_size, precision=precision)[0]


def predict_each(
    method: Finetune, dataset: CohortDataset, inputs: Sequence[Sequence[str]], *, batch_size: int = 64,
    precision: PrecisionName = "32-true",
) -> list[NDArray[np.float64]]:  # fmt: skip
    """Return what `predict` returns for several sets of modalities; each signal is encoded once for all of them.

    Args:
        method: trained.
        dataset: the subjects; labels are not needed.
        inputs: sets of modalities to look at, the others are taken as absent.
        batch_size: subjects at a time.
        precision: as of a training.

    Raises:
        InputError: the method does not know a modality, or the dataset does not hand it out.
        TrainingError: a logit is not finite.
    """
    known = [name for name in method.modalities if name in dataset.modalities]
    for chosen in inputs:
        if not chosen or set(chosen) - set(known):
            got = ", ".join(chosen)
            raise InputError("these modalities cannot be predicted from", got=got, expected=" | ".join(known))
    names = [name for name in known if any(name in chosen for chosen in inputs)]
    found = [np.full((len(dataset), method.objective.outputs), np.nan) for _ in inputs]
    method.train(False)
    start = 0
    with computing(method) as device, torch.inference_mode(), multiplying(precision, device):
        for batch in _batches(dataset, batch_size):
            some = _having(batch.present, names)
            if bool(some.any()):
                shown = restrict(batch, names, some).to(device)
                held = method.encoded(shown)
                for logits, chosen in zip(found, inputs, strict=True):
                    rows = _having(batch.present, chosen).numpy()
                    logits[start : start + batch.size][rows] = _decided(method, held, shown.present, chosen)
            start += batch.size
    return [logits[:, 0] if method.objective.outputs == 1 else logits for logits in found]


def _having(present: Mapping[str, torch.Tensor], modalities: Sequence[str]) -> torch.Tensor:
    return torch.stack([present[name] for name in modalities]).any(dim=0)


def _decided(
    method: Finetune, held: Sequence[Mapping[str, torch.Tensor]], present: Mapping[str, torch.Tensor],
    chosen: Sequence[str],
) -> NDArray[np.float64]:  # fmt: skip
    """Return the logits of those subjects of an encoded batch who have a chosen modality, from the chosen alone."""
    rows = _having(present, chosen)
    if not bool(rows.any()):
        return np.empty((0, method.objective.outputs))
    own = [{name: z for name, z in view.items() if name in chosen} for view in held]
    logits = method.decided(own, {name: present[name][rows] for name in chosen})
    return finite(logits, "logits").cpu().double().numpy()


def embed(
    towers: Mapping[str, Tower], dataset: CohortDataset, *, batch_size: int = 64, crop_s: float | None = None,
    precision: PrecisionName = "32-true",
) -> dict[str, NDArray[np.float32]]:  # fmt: skip
    """Return the embedding of each subject by each tower, in evaluation mode.

    Args:
        towers: by modality.
        dataset: the subjects.
        batch_size: subjects at a time.
        crop_s: length of the central ECG crop, None for the whole record.
        precision: as of a training: ``auto`` multiplies in bfloat16 where the hardware does that well.

    Returns:
        per modality (n, width), NaN for a subject that lacks it.

    Raises:
        TrainingError: an embedding is not finite.
    """
    inputs = {name: tower.inputs for name, tower in towers.items()}
    views = Views.of(inputs, crop_s=crop_s, probability=0.0, corruption=0.0)
    found = {name: np.full((len(dataset), tower.width), np.nan, dtype=np.float32) for name, tower in towers.items()}
    start = 0
    for tower in towers.values():
        tower.eval()
    with computing(*towers.values()) as device, torch.inference_mode(), multiplying(precision, device):
        for batch in _batches(dataset, batch_size):
            for name, tower in towers.items():
                if len(batch.signals[name]):
                    rows = start + np.flatnonzero(batch.present[name].numpy())
                    signal = batch.signals[name].to(device)
                    shown = finite(tower(views.fixed(name, signal)[0]), f"embeddings of {name}")
                    found[name][rows] = shown.float().cpu().numpy()
            start += batch.size
    return found


def restrict(batch: Batch, modalities: Sequence[str], rows: torch.Tensor) -> Batch:
    """Return a batch with some of the modalities and some of the subjects.

    Args:
        batch: to take from.
        modalities: to keep.
        rows: (B,) bool, subjects to keep.
    """
    return replace(
        batch,
        rows=batch.rows[rows],
        signals={name: batch.signals[name][rows[batch.present[name]]] for name in modalities},
        present={name: batch.present[name][rows] for name in modalities},
        labels=None if batch.labels is None else batch.labels[rows],
    )


def _batches(dataset: CohortDataset, batch_size: int) -> Iterator[Batch]:
    for start in range(0, len(dataset), batch_size):
        yield dataset.batch(range(start, min(len(dataset), start + batch_size)))
