"""Contrastive prediction of what a signal does next."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError


def prediction_similarities(prediction: Tensor, target: Tensor, temperature: float = 0.1) -> Tensor:
    """Return how similar each prediction is to what it may be confused with, over the temperature.

    Args:
        prediction: (B, N, d); row t of a subject predicts row t of its target.
        target: (B, N, d).
        temperature: above 0.

    Returns:
        (B, N, N + B) float32: the cosines with the subject's own targets at all times, the true one at t, and with the
        targets of all subjects at the same time, minus infinity for the subject itself.

    Raises:
        InputError: the shapes differ, or a temperature that is not positive.
    """
    if prediction.shape != target.shape or prediction.ndim != 3 or not temperature > 0.0:
        got = f"{tuple(prediction.shape)}, {tuple(target.shape)}, temperature {temperature}"
        raise InputError("predictions and targets do not match", expected="(B, N, d) both, above 0", got=got)
    with torch.autocast(prediction.device.type, enabled=False):
        p, z = (F.normalize(x if x.dtype is torch.float64 else x.float(), dim=2) for x in (prediction, target))
        own = p @ z.transpose(1, 2)
        others = torch.einsum("bnd,cnd->bnc", p, z)
    itself = torch.eye(len(p), dtype=torch.bool, device=p.device)[:, None]
    return torch.cat([own, others.masked_fill(itself, -torch.inf)], dim=2) / temperature


def contrastive_prediction(similarities: Tensor) -> Tensor:
    """Return InfoNCE: each prediction must find its target among all times of its subject and all subjects at its time.

    Args:
        similarities: (B, N, N + B) of `prediction_similarities`.

    Returns:
        (B,) the mean over the times of each subject.

    Source: van den Oord et al. 2018 (CPC), equation 4; cosine and temperature as in wav2vec 2.0 (Baevski et al. 2020).
    """
    true = similarities.diagonal(dim1=1, dim2=2)
    return (similarities.logsumexp(dim=2) - true).mean(dim=1)
