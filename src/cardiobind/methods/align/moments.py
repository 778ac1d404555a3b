"""Local alignment: stretches of the ECG and images of the heart at the same moment of the beat.

The images are shown to the CMR's own encoder one moment at a time, as a heart that stands still there: every plane of a
place is the plane of that moment. So any encoder and any layout will do, and all moments share its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cardiobind.data import Batch
from cardiobind.errors import ConfigError, InputError
from cardiobind.methods.align.base import Align
from cardiobind.methods.align.cached import in_chunks
from cardiobind.methods.predict import restrict
from cardiobind.methods.views import Views
from cardiobind.modalities.cmr.layouts import Planes
from cardiobind.modalities.ecg.beat_phase import beat_phases
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import Tower

END_SYSTOLE = 0.38
"""Usual place of end systole in the beat (`cardiobind.modalities.cmr.cine_phases`); mid-beat is half-way to it."""

KERNEL = 0.05
REACH = 0.1
"""Weight of a token by its distance from a moment, and how near one must be, as fractions of the beat."""

_KNOWN = {"end_diastole": 0.0, "mid_beat": END_SYSTOLE / 2, "end_systole": END_SYSTOLE}


def moment_phases(inputs: InputSpec) -> tuple[float, ...]:
    """Return where in the beat each moment of a CMR input is, 0 at the R wave.

    Raises:
        ConfigError: the moments are not those of a layout of `cardiobind.modalities.cmr.layouts`.
    """
    moments = Planes.of_names(inputs.names).moments
    numbered = {f"phase_{index}": index / len(moments) for index in range(len(moments))}
    if not set(moments) <= set(_KNOWN | numbered) or len(moments) < 2:
        expected = "end_diastole, mid_beat, end_systole or phase_0, phase_1, ..."
        raise ConfigError("the moments of the images are not known", where="cmr", expected=expected, got=moments)
    return tuple((_KNOWN | numbered)[moment] for moment in moments)


def still_hearts(x: Tensor, moments: int) -> Tensor:
    """Return (P * moments, planes, rows, columns), the images (P, planes, rows, columns) stopped at each moment."""
    by_place = x.reshape(len(x), -1, moments, *x.shape[2:])
    stopped = by_place.unsqueeze(1).transpose(1, 3).expand(-1, -1, -1, moments, -1, -1)
    return stopped.reshape(len(x) * moments, *x.shape[1:])


def token_weights(ecg: Tensor, tokens: int, rate_hz: float, phases: tuple[float, ...]) -> Tensor:
    """Return (P, K, N): how much each of N tokens, evenly spaced in time, says of each of K moments; 0 where nothing.

    Args:
        ecg: (P, leads, T), before augmentation.
        tokens: N.
        rate_hz: samples per second.
        phases: of the moments.
    """
    places = (np.arange(tokens) + 0.5) * ecg.shape[2] / tokens
    found = [beat_phases(signal, rate_hz, places) for signal in ecg.detach().float().cpu().numpy()]
    at = np.stack(found) if found else np.empty((0, tokens))
    away = np.abs(at[:, None] - np.asarray(phases)[:, None]) % 1.0
    away = np.minimum(away, 1.0 - away)
    near = np.nanmin(np.where(np.isnan(away), np.inf, away), axis=2, keepdims=True, initial=np.inf) <= REACH
    weight = np.where(near & np.isfinite(away), np.exp(-0.5 * (away / KERNEL) ** 2), 0.0)
    total = weight.sum(axis=2, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return torch.from_numpy(share.astype(np.float32)).to(ecg.device)


def at_moments(method: Align, batch: Batch, phases: tuple[float, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the embeddings (P, K, width) of ECG and images at K moments, and (P, K) bool, which the ECG has.

    Args:
        method: its towers, views and chunks are used.
        batch: P of its subjects have both.
        phases: of the moments.
    """
    batch = restrict(batch, ("ecg", "cmr"), batch.present["ecg"] & batch.present["cmr"])
    ecg, cmr = (cast(Tower, method.towers[name]) for name in ("ecg", "cmr"))
    if batch.size == 0:
        none = next(method.parameters()).new_zeros(0, len(phases), 1)
        return none.expand(-1, -1, ecg.width), none.expand(-1, -1, cmr.width), none[:, :, 0].bool()
    plain = Views(method.views.crop_samples).random("ecg", batch.signals["ecg"])
    shown = replace(method.views, crop_samples=None).random("ecg", plain) if method.training else plain
    told, there = ecg_at_moments(ecg, shown, plain, phases, method.chunks["ecg"])
    images = images_at_moments(cmr, method.show("cmr", batch.signals["cmr"]), len(phases), method.chunks["cmr"])
    return told, images, there


def ecg_at_moments(
    tower: Tower, shown: Tensor, plain: Tensor, phases: tuple[float, ...], chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the ECG's embeddings (P, K, width) at the moments, and (P, K) bool, which there are.

    Args:
        tower: of the ECG; its tokens are in time, or rows of leads by time.
        shown: (P, leads, T), the view.
        plain: (P, leads, T), the same stretch before augmentation, where the R peaks are looked for.
        phases: of the K moments.
        chunk: subjects that go through the encoder at a time, None for all.

    Raises:
        InputError: the encoder's tokens are too few to be in time.
    """
    tokens = in_chunks(tower.encoder, shown, chunk)
    rows = getattr(tower.encoder, "grid", (1,))[0]
    tokens = tokens.reshape(len(tokens), rows, -1, tower.width).mean(dim=1)
    if tokens.shape[1] < len(phases):
        raise InputError("the ECG's tokens are not in time", expected=f"at least {len(phases)}", got=tokens.shape[1])
    weight = token_weights(plain, tokens.shape[1], tower.inputs.rate_hz or 0.0, phases)
    at_moments = weight.to(tokens.dtype) @ tokens
    pooled = tower.pool(at_moments.flatten(0, 1).unsqueeze(1))
    return pooled.reshape(len(shown), len(phases), tower.width), weight.sum(dim=2) > 0


def images_at_moments(tower: Tower, shown: Tensor, moments: int, chunk: int | None = None) -> Tensor:
    """Return the images' embeddings (P, moments, width) of hearts that stand still at each moment.

    Args:
        tower: of the CMR.
        shown: (P, planes, rows, columns), the view.
        moments: of the beat.
        chunk: hearts that go through the tower at a time, None for all.
    """
    with kept_statistics(tower):
        stopped = in_chunks(tower, still_hearts(shown, moments), chunk)
    return stopped.reshape(len(shown), moments, tower.width)


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch norm as they are: hearts that stand still are not what is predicted from."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
