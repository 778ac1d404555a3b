"""Predictions with a known signal, and no others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit


def make_predictions(
    *,
    arms: dict[str, float] | None = None,
    inputs: tuple[str, ...] = ("ecg",),
    fractions: tuple[float, ...] = (1.0,),
    seeds: int = 2,
    validation: int = 120,
    test: int = 160,
    prevalence: float = 0.2,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a predictions frame; an arm's number is how far its positives stand above its negatives."""
    rng = np.random.default_rng(seed)
    frames = []
    for split, n, first in (("validation", validation, 0), ("test", test, 100_000)):
        labels: NDArray[np.float64] = (np.arange(n) < round(prevalence * n)).astype(float)
        keys = pd.DataFrame({"subject": [f"SIM-{first + i:06d}" for i in range(n)], "visit": "2", "label": labels})
        shared = rng.normal(size=n)
        for arm, effect in (arms or {"aligned": 1.5, "scratch": 0.5}).items():
            for name in inputs:
                for fraction in fractions:
                    for s in range(seeds):
                        noise = 0.7 * shared + 0.7 * rng.normal(size=n)
                        score = expit(effect * labels + noise - 1)
                        frames.append(
                            keys.assign(
                                arm=arm, inputs=name, fraction=fraction, seed=s, task="mi", split=split, score=score
                            )
                        )
    return pd.concat(frames, ignore_index=True)
