"""What each signal is compared with: the same recording without what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

BASELINES = {
    "ecg": "a flat line at the mean of each lead group; a lead that is absent stays absent",
    "cmr": "each plane evenly grey at its own mean",
    "tabular": "every fact not known",
}
_PRESENT = 1e-6
"""Keeps a flat lead apart from an absent one, which is 0 exactly."""


def baseline_of(modality: str, x: Tensor) -> Tensor:
    """Return the baseline of a signal (1, ...), of its shape; in words it is `BASELINES`."""
    return _OF[modality](x)


def _ecg(x: Tensor) -> Tensor:
    return torch.where((x != 0).any(dim=2, keepdim=True), _PRESENT, 0.0).expand_as(x).contiguous()


def _cmr(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True).expand_as(x).contiguous()


_OF: Mapping[str, Callable[[Tensor], Tensor]] = {"ecg": _ecg, "cmr": _cmr, "tabular": torch.zeros_like}
