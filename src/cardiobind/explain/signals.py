"""Attribution over the samples of an ECG and the pixels of a cine, by methods that share one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cardiobind.errors import ConfigError
from cardiobind.explain.units import Units, beats, blocks, lead_units, waves
from cardiobind.registry import Registry

Floats = NDArray[np.float64]
Function = Callable[[Tensor], Tensor]

TOLERANCE = 0.02
"""Share of the difference between score and baseline, and of 1 where that is smaller, by which a sum may miss it."""
_ROWS = 16
_MOST_DOUBLINGS = 3


@dataclass(frozen=True)
class Signal:
    """One modality of one subject, and how its score is computed.

    Attributes:
        modality: ``ecg`` or ``cmr``.
        x: (1, ...) as the network takes it.
        baseline: of the same shape.
        score: scores (n,) of signals (n, ...).
        rate_hz: samples per second, of an ECG.
    """

    modality: str
    x: Tensor
    baseline: Tensor
    score: Function
    rate_hz: float | None = None


@dataclass(frozen=True)
class Attributed:
    """Attributions of the shape of one subject's signal, in the unit of the score, and how they were found."""

    values: Floats
    how: dict[str, Any] = field(default_factory=dict)


METHODS: Registry[Callable[[Signal, int], Attributed]] = Registry("attribution method")
"""By name: (signal, steps) -> attributions; `steps` matters to those that integrate."""


@METHODS.register("integrated_gradients")
def integrated_gradients(signal: Signal, steps: int) -> Attributed:
    """Return (x - x') times the mean gradient on the way from the baseline x' to the signal x.

    Their sum is F(x) - F(x'); where the quadrature misses it by more than `TOLERANCE`, the steps are doubled, three
    times at most.

    Source: Sundararajan, Taly and Yan, ICML 2017, equation 1, by Gauss-Legendre quadrature (captum).
    """
    difference = _difference(signal)
    allowed = TOLERANCE * max(1.0, abs(difference))
    values, used = _integrate(signal, steps), steps
    for _ in range(_MOST_DOUBLINGS):
        if abs(values.sum() - difference) <= allowed:
            break
        used *= 2
        values = _integrate(signal, used)
    return Attributed(values, {"steps": used, **completeness(values, difference, allowed)})


@METHODS.register("gradient_x_input")
def gradient_x_input(signal: Signal, steps: int) -> Attributed:
    """Return (x - x') times the gradient at the signal x: the first term of a Taylor series, which need not add up.

    Source: Shrikumar et al. 2016 (arXiv 1605.01713).
    """
    values = (signal.x - signal.baseline) * _captum().Saliency(signal.score).attribute(signal.x, abs=False)
    return _uneven(signal, _numbers(values))


@METHODS.register("occlusion")
def occlusion(signal: Signal, steps: int) -> Attributed:
    """Return by how much the score falls when a lead is flat in one beat, or a square of pixels grey in one plane.

    What a unit takes away is spread evenly over it.

    Source: Zeiler and Fergus, ECCV 2014.
    """
    return _ablate(signal, _beat_units(signal) if signal.modality == "ecg" else blocks(tuple(signal.x.shape[1:])))


@METHODS.register("wave_occlusion")
def wave_occlusion(signal: Signal, steps: int) -> Attributed:
    """Return by how much the score falls when a lead is flat in one wave (P, QRS, ST-T, rest) of all beats at once.

    Beats repeat each other, so hiding one of them hides little. On a cine a square is grey in all planes at once.
    """
    if signal.modality == "ecg":
        return _ablate(signal, lead_units(waves(_ecg(signal), float(signal.rate_hz or 0)), signal.x.shape[1]))
    planes = blocks((1, *signal.x.shape[2:]))
    return _ablate(signal, np.broadcast_to(planes, tuple(signal.x.shape[1:])).copy())


def completeness(values: Floats, difference: float, allowed: float) -> dict[str, Any]:
    """Return how attributions add up: their sum, what it should be, and whether it is within what is allowed."""
    total = float(values.sum())
    return {
        "sum": total, "difference": difference, "tolerance": allowed, "complete": abs(total - difference) <= allowed,
    }  # fmt: skip


def _integrate(signal: Signal, steps: int) -> Floats:
    found = _captum().IntegratedGradients(signal.score).attribute(
        signal.x, baselines=signal.baseline, n_steps=steps, method="gausslegendre", internal_batch_size=_ROWS
    )  # fmt: skip
    return _numbers(found)


def _ablate(signal: Signal, units: Units) -> Attributed:
    mask = torch.from_numpy(units)[None]
    with torch.no_grad():
        fallen = _captum().FeatureAblation(signal.score).attribute(
            signal.x, baselines=signal.baseline, feature_mask=mask, perturbations_per_eval=_ROWS
        )  # fmt: skip
    size = np.bincount(units.ravel())[units]
    return _uneven(signal, _numbers(fallen) / size)


def _uneven(signal: Signal, values: Floats) -> Attributed:
    return Attributed(values, {"sum": float(values.sum()), "difference": _difference(signal), "complete": None})


def _difference(signal: Signal) -> float:
    with torch.no_grad():
        there, baseline = signal.score(torch.cat([signal.x, signal.baseline])).double()
    return float(there - baseline)


def _beat_units(signal: Signal) -> Units:
    return lead_units(beats(_ecg(signal), float(signal.rate_hz or 0)), signal.x.shape[1])


def _ecg(signal: Signal) -> Floats:
    return _numbers(signal.x)


def _numbers(values: Tensor) -> Floats:
    return np.asarray(values.detach()[0].double().numpy())


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise ConfigError(
            "captum is not installed, which attributes scores", where="explain", hint="pip install cardiobind[explain]"
        ) from error
    return captum.attr
