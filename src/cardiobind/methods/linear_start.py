"""A classifier that starts from the best linear one, so that fine-tuning does not first distort what was learnt."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cardiobind.data import CohortDataset
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.finetune import Finetune
from cardiobind.methods.linear_probes import Probe, Split, probe_of
from cardiobind.training import computing

log = logging.getLogger(__name__)

BATCH = 64


def start_from_probe(
    method: Finetune, kind: str, train: CohortDataset, validation: CohortDataset | None, *, seed: int
) -> Probe:
    """Set the head to the best linear model on the first features, its penalty chosen on validation.

    Where validation cannot choose, for want of subjects or of a class among them, the penalty is the usual C = 1
    (`cardiobind.methods.probe.USUAL_C`).

    Args:
        method: with a linear head (``hidden = 0``).
        kind: of the endpoint, a name in `cardiobind.methods.linear_probes.PROBES`.
        train: labelled training subjects.
        validation: labelled validation subjects; None where there are none.
        seed: of the solver.

    Returns:
        The probe.

    Raises:
        ConfigError: the head has a hidden layer, or there is no linear probe of the objective.
        InputError: the data have no labels.

    Source: Kumar et al. 2022 (linear probing, then fine-tuning).
    """
    layer = method.fusion.head[-1]
    if len([part for part in method.fusion.head if isinstance(part, nn.Linear)]) != 1 or not isinstance(
        layer, nn.Linear
    ):
        raise ConfigError("a classifier that starts from a probe is linear", where="hidden", expected=0)
    method.train(False)
    shown = Split(classifier_features(method, train), _labels(train))
    if validation is None:
        log.warning("no validation subject has a label: the penalty of the first classifier is the usual C = 1")
        held_out = Split(shown.features[:0], shown.labels[:0])
    else:
        held_out = Split(classifier_features(method, validation), _labels(validation))
    probe = probe_of(kind, method.objective)(method.objective, shown, held_out, seed)
    weight, bias = probe.line()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight).to(layer.weight))
        layer.bias.copy_(torch.from_numpy(bias).to(layer.bias))
    return probe


def classifier_features(method: Finetune, data: CohortDataset) -> NDArray[np.float32]:
    """Return what the classifier sees of each subject in evaluation mode, (n, d), the mean over ECG crops."""
    with computing(method) as device, torch.inference_mode():
        return np.concatenate([block.float().cpu().numpy() for block in _features(method, data, device)])


def _features(method: Finetune, data: CohortDataset, device: torch.device) -> Iterator[torch.Tensor]:
    for start in range(0, len(data), BATCH):
        batch = data.batch(range(start, min(start + BATCH, len(data)))).to(device)
        yield torch.stack([method.fusion.meet(held, batch.present) for held in method.encoded(batch)]).mean(dim=0)


def _labels(data: CohortDataset) -> NDArray[np.float64]:
    if data.labels is None:
        raise InputError("a probe needs labels", where="dataset", hint="give the dataset the labels of a task")
    return data.labels[data.rows]
