"""Maps of attributions by the code that ships, maps that no network made, and the ways of reading them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch import Tensor

import explained_hearts as truth
from cardiobind.explain import Explanation, explain
from cardiobind.explain.normal_beat import normal_ecg
from cardiobind.explain.normal_motion import normal_motion
from cardiobind.explain.signals import METHODS, Signal
from cardiobind.explain.units import waves
from cardiobind.inference import Predictor, PreparedSubject
from cardiobind.modalities.cmr import cmr_spec

Floats = NDArray[np.float64]
Reading = Callable[[Floats], Floats]

PIXEL_MM = truth.CMR.crop_mm / truth.CMR.size_px
BLUR_S, BLURS_MM = 0.02, (3.3, 6.6)
"""Standard deviations by which maps are smoothed: of an ECG, and of a cine those that are chosen from."""
STEPS_OF = {"ecg": 32, "cmr": 16, "tabular": 2}
SIGNS: Mapping[str, Reading] = {"towards the infarct": lambda a: np.maximum(a, 0.0), "both signs": np.abs}


def explained(found: Predictor, x: Tensor, way: str) -> list[Explanation]:
    """Return the explanation of each subject by the code that ships; a way is a method and a baseline."""
    (modality,) = found.contract.inputs
    method, _, against = way.partition(", ")
    chosen = {modality: against} if against else None
    subjects = [PreparedSubject({modality: x[i : i + 1]}, {}) for i in range(len(x))]
    return [explain(found, one, method=method, baselines=chosen, steps=STEPS_OF[modality]) for one in subjects]


def maps(found: Predictor, x: Tensor, way: str) -> Floats:
    """Return signed attributions (n, ...)."""
    (modality,) = found.contract.inputs
    return np.stack([getattr(one, modality) for one in explained(found, x, way)])


def alternatives(modality: str, x: Floats) -> dict[str, Floats]:
    """Return maps that no network made."""
    noise = np.random.default_rng(0).random(x.shape)
    if modality == "ecg":
        rate = float(truth.ECG.rate_hz)
        window = np.stack([np.tile((waves(one, rate) == 1).astype(float), (12, 1)) for one in x])
        departure = np.abs(x - np.stack([normal_ecg(one, rate) for one in x]))
        return {
            "noise": noise, "amplitude": np.abs(x), "slope": np.abs(np.gradient(x, axis=2)), "QRS window": window,
            "departure from normal": departure,
        }  # fmt: skip
    motion = np.repeat(np.abs(x[:, :1] - x[:, 2:]), 3, axis=1)
    contrast = np.abs(x - x.mean(axis=(2, 3), keepdims=True))
    normal = np.stack([normal_motion(one, cmr_spec(truth.CMR).names, PIXEL_MM) for one in x])
    return {
        "noise": noise, "contrast": contrast, "motion": motion, "stillness": motion.max() - motion,
        "departure from normal motion": np.abs(x - normal),
    }  # fmt: skip


def against_twins(found: Predictor, x: Tensor, twins: Tensor) -> Floats:
    """Return integrated gradients of cines against those of the same hearts had they had no infarct."""
    rows = torch.ones(1, dtype=torch.bool)

    def score(many: Tensor) -> Tensor:
        return found.fusion({"cmr": many}, {"cmr": rows.expand(len(many))})[:, 0]

    signals = [Signal("cmr", one[None].clone().requires_grad_(), twin[None], score)
               for one, twin in zip(x, twins, strict=True)]  # fmt: skip
    return np.stack([METHODS.get("integrated_gradients")(one, STEPS_OF["cmr"]).values for one in signals])


def _over_time(a: Floats) -> Floats:
    return np.asarray(gaussian_filter1d(a, BLUR_S * truth.ECG.rate_hz, axis=2))


def _over_planes(a: Floats, blur_mm: float) -> Floats:
    return np.asarray(gaussian_filter(a, (0, 0, blur_mm / PIXEL_MM, blur_mm / PIXEL_MM)))


def _together(a: Floats) -> Floats:
    return np.repeat(a.sum(axis=1, keepdims=True), a.shape[1], axis=1)


def readings(modality: str) -> dict[str, Reading]:
    """Return the ways of reading a map of attributions that are chosen from."""
    if modality == "ecg":
        return {name: lambda a, sign=sign: _over_time(sign(a)) for name, sign in SIGNS.items()}
    found: dict[str, Reading] = {}
    for name, sign in SIGNS.items():
        for blur_mm in BLURS_MM:
            found[f"each moment, {name}, {blur_mm} mm"] = lambda a, s=sign, b=blur_mm: _over_planes(s(a), b)
            found[f"moments together, {name}, {blur_mm} mm"] = lambda a, s=sign, b=blur_mm: _over_planes(
                s(_together(a)), b
            )
    return found
