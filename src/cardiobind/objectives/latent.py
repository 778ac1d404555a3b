"""Distance of predicted and true latent tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError


def latent_distance(prediction: Tensor, target: Tensor, *, beta: float = 1.0, counted: Tensor | None = None) -> Tensor:
    """Return the mean smooth-L1 distance of predictions and layer-normalised targets; none goes through the targets.

    Args:
        prediction: (B, h, width).
        target: (B, h, width) of the teacher, normalised here over the width.
        beta: where the distance turns from square, d^2 / (2 beta), to linear, d - beta / 2; above 0.
        counted: (B, h), 1 where a token counts; None for all.

    Raises:
        InputError: the shapes differ, or beta is not positive.

    Source: Assran et al. 2023 (I-JEPA) and its published code; Girshick 2015 for the smooth L1.
    """
    if prediction.shape != target.shape or not beta > 0.0:
        got = f"{tuple(prediction.shape)}, {tuple(target.shape)}, beta = {beta}"
        raise InputError("predictions and targets do not match", expected="(B, h, width) both, beta > 0", got=got)
    normalised = F.layer_norm(target.detach().float(), target.shape[-1:])
    distance = F.smooth_l1_loss(prediction.float(), normalised, beta=beta, reduction="none").mean(dim=-1)
    if counted is None:
        return distance.mean()
    weight = counted.to(distance.dtype)
    return (weight * distance).sum() / torch.clamp(weight.sum(), min=1.0)
