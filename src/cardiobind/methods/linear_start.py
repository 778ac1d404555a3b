"""A classifier that starts from the best linear one, so that fine-tuning does not first distort what was learnt."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cardiobind.data import CohortDataset
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.finetune import Finetune
from cardiobind.methods.probe import fit_logistic_probe
from cardiobind.training import computing

BATCH = 64


def start_from_probe(method: Finetune, train: CohortDataset, validation: CohortDataset, *, seed: int) -> float:
    """Set the classifier to a logistic regression on the first features, its penalty chosen on validation.

    Args:
        method: with a linear classifier (``hidden = 0``).
        train: labelled training subjects.
        validation: labelled validation subjects.
        seed: of the solver.

    Returns:
        The penalty's inverse strength C.

    Raises:
        ConfigError: the classifier has a hidden layer.
        InputError: the data have no labels.

    Source: Kumar et al. 2022 (linear probing, then fine-tuning).
    """
    layer = method.fusion.head[-1]
    if len([part for part in method.fusion.head if isinstance(part, nn.Linear)]) != 1 or not isinstance(
        layer, nn.Linear
    ):
        raise ConfigError("a classifier that starts from a probe is linear", where="hidden", expected=0)
    method.train(False)
    shown, held_out = classifier_features(method, train), classifier_features(method, validation)
    probe = fit_logistic_probe(shown, _labels(train), held_out, _labels(validation), seed=seed)
    weight = probe.model.coef_[0] / probe.scaler.scale_
    bias = float(probe.model.intercept_[0] - weight @ probe.scaler.mean_)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight[None]).to(layer.weight))
        layer.bias.fill_(bias)
    return probe.c


def classifier_features(method: Finetune, data: CohortDataset) -> NDArray[np.float32]:
    """Return what the classifier sees of each subject in evaluation mode, (n, d), the mean over ECG crops."""
    with computing(method) as device, torch.inference_mode():
        return np.concatenate([block.float().cpu().numpy() for block in _features(method, data, device)])


def _features(method: Finetune, data: CohortDataset, device: torch.device) -> Iterator[torch.Tensor]:
    for start in range(0, len(data), BATCH):
        batch = data.batch(range(start, min(start + BATCH, len(data)))).to(device)
        yield torch.stack([method.fusion.features(view, batch.present) for view in method.shown(batch)]).mean(dim=0)


def _labels(data: CohortDataset) -> NDArray[np.float64]:
    if data.labels is None:
        raise InputError("a probe needs labels", where="dataset", hint="give the dataset the labels of a task")
    return data.labels[data.rows]
