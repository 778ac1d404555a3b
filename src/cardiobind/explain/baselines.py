"""What each signal is compared with: attributions say what in it makes the score differ from that of its baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import ConfigError
from cardiobind.explain.normal_beat import normal_ecg
from cardiobind.explain.normal_motion import normal_motion
from cardiobind.registry import did_you_mean

_PRESENT = 1e-6
"""Keeps a flat lead apart from an absent one, which is 0 exactly."""
_BLUR = 8
"""A blurred image is the mean over squares of an 8th of its side."""


@dataclass(frozen=True)
class Sampling:
    """What the axes of a signal are.

    Attributes:
        rate_hz: samples per second, of an ECG.
        planes: names of the planes of a cine.
        pixel_mm: side of its pixels.
    """

    rate_hz: float = 0.0
    planes: tuple[str, ...] = ()
    pixel_mm: float = 1.0


@dataclass(frozen=True)
class Baseline:
    """A way of making a signal's baseline.

    Attributes:
        says: what it is, in words.
        of: (signal (1, ...), what its axes are) -> baseline of the same shape.
    """

    says: str
    of: Callable[[Tensor, Sampling], Tensor]


def _flat(x: Tensor, sampling: Sampling) -> Tensor:
    return torch.where((x != 0).any(dim=2, keepdim=True), _PRESENT, 0.0).expand_as(x).contiguous()


def _normal(x: Tensor, sampling: Sampling) -> Tensor:
    beating = normal_ecg(x[0].double().numpy(), sampling.rate_hz)
    return torch.from_numpy(beating)[None].to(x.dtype) + _flat(x, sampling)


def _contracting(x: Tensor, sampling: Sampling) -> Tensor:
    moving = normal_motion(x[0].double().numpy(), sampling.planes, sampling.pixel_mm)
    return torch.from_numpy(moving)[None].to(x.dtype)


def _grey(x: Tensor, sampling: Sampling) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True).expand_as(x).contiguous()


def _blurred(x: Tensor, sampling: Sampling) -> Tensor:
    coarse = F.adaptive_avg_pool2d(x, _BLUR)
    return F.interpolate(coarse, size=tuple(x.shape[2:]), mode="bilinear", align_corners=False)


BASELINES: Mapping[str, Mapping[str, Baseline]] = {
    "ecg": {
        "flat": Baseline("a flat line at the mean of each lead group; an absent lead stays absent", _flat),
        "normal": Baseline("a normal ECG, simulated, with the same beats; an absent lead stays absent", _normal),
    },
    "cmr": {
        "normal": Baseline(
            "its own end diastole, contracting evenly and as much as a normal heart; long-axis views evenly grey",
            _contracting,
        ),
        "grey": Baseline("each plane evenly grey at its own mean", _grey),
        "blurred": Baseline("each plane blurred over an eighth of its side", _blurred),
    },
    "tabular": {"unknown": Baseline("every fact not known", lambda x, sampling: torch.zeros_like(x))},
}  # fmt: skip
"""By modality and name."""


def baseline(modality: str, name: str) -> Baseline:
    """Return a baseline of a modality.

    Raises:
        ConfigError: it has none of that name.
    """
    known = BASELINES[modality]
    if name not in known:
        raise ConfigError(
            "no such baseline", where=modality, expected=" | ".join(known), got=name,
            hint=did_you_mean(name, tuple(known)),
        )  # fmt: skip
    return known[name]
