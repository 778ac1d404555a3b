"""What scores rest on in the mean over many subjects, so that no one of them is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardiobind.explain.explanation import Explanation
from cardiobind.explain.units import WAVES_S, waves

Floats = NDArray[np.float64]

FEWEST = 20
"""Subjects that a mean is of at least; what fewer have is left out."""
WAVE_NAMES = (*WAVES_S, "rest")


@dataclass(frozen=True)
class FactMean:
    """A fact's attributions over the subjects of whom it is known: mean, mean of sizes, and how many they are."""

    title: str
    mean: float
    size: float
    subjects: int


@dataclass(frozen=True)
class Averages:
    """Means over at least `FEWEST` subjects each.

    Attributes:
        modalities: per modality mean of its Shapley values, mean of their sizes, and of how many subjects.
        leads: (12, waves) share of the sizes of all attributions of an ECG in each lead and wave of `WAVE_NAMES`, the
            mean over subjects; None where too few have an ECG.
        lead_names: of the rows.
        ecgs: how many.
        facts: the largest first.
    """

    modalities: dict[str, tuple[float, float, int]]
    leads: Floats | None
    lead_names: tuple[str, ...]
    ecgs: int
    facts: tuple[FactMean, ...]


def average(found: Sequence[Explanation], ecgs: Sequence[Floats | None]) -> Averages:
    """Return the means of explanations over subjects.

    Args:
        found: one a subject.
        ecgs: (12, samples) of each as it was explained, to tell its waves; None where there is none.
    """
    shares = [
        _by_wave(one, ecg) for one, ecg in zip(found, ecgs, strict=True) if one.ecg is not None and ecg is not None
    ]
    names = next((one.ecg_leads for one in found if one.ecg is not None), ())
    leads = np.mean(shares, axis=0) if len(shares) >= FEWEST else None
    return Averages(_modalities(found), leads, names, len(shares), _facts(found))


def _modalities(found: Sequence[Explanation]) -> dict[str, tuple[float, float, int]]:
    values: dict[str, list[float]] = {}
    for one in found:
        for name, value in one.modalities.items():
            values.setdefault(name, []).append(value)
    return {name: (*_means(own), len(own)) for name, own in values.items() if len(own) >= FEWEST}


def _by_wave(found: Explanation, ecg: Floats) -> Floats:
    size, wave = (
        np.abs(found.ecg if found.ecg is not None else np.zeros_like(ecg)),
        waves(ecg, float(found.ecg_rate_hz or 0)),
    )
    sums = np.stack([size[:, wave == place].sum(axis=1) for place in range(len(WAVE_NAMES))], axis=1)
    return np.asarray(sums / max(float(sums.sum()), 1e-12))


def _facts(found: Sequence[Explanation]) -> tuple[FactMean, ...]:
    values: dict[str, list[float]] = {}
    for one in found:
        for fact in one.tabular or ():
            if fact.given is not None:
                values.setdefault(fact.title, []).append(fact.attribution)
    means = [FactMean(title, *_means(own), len(own)) for title, own in values.items() if len(own) >= FEWEST]
    return tuple(sorted(means, key=lambda fact: -fact.size))


def _means(values: Sequence[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.mean(np.abs(values)))
