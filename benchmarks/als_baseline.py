"""Baseline of a 12 x 5000 ECG by the banded solver against a general sparse one: python benchmarks/als_baseline.py.

Both run in turn in one process and are timed by the processor time they take, so that other work of the machine does
not count. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from cardiobind.modalities.ecg import EcgPreparation, asymmetric_least_squares
from cardiobind.simulate import SimulationSettings, draw_hearts, simulate_ecg

sys.path.insert(0, str(Path(__file__).parent))
from reference.als_sparse import als_sparse

REPEATS = 7
SETTINGS = EcgPreparation()
ARGUMENTS = (SETTINGS.baseline_lambda, SETTINGS.baseline_asymmetry, SETTINGS.baseline_iterations)


def timed(run: Callable[[], NDArray[np.float64]]) -> tuple[float, NDArray[np.float64]]:
    """Return the seconds of processor time that a call takes, and its result."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def main() -> None:
    """Print milliseconds of both, their ratio (median of the pairs) and the largest difference."""
    settings = SimulationSettings()
    signal = simulate_ecg(draw_hearts(settings, 0, 1), settings)[0].astype(np.float64)
    pairs, difference = [], 0.0
    for _ in range(REPEATS):
        fast, found = timed(lambda: asymmetric_least_squares(signal, *ARGUMENTS))
        slow, expected = timed(lambda: als_sparse(signal, *ARGUMENTS))
        pairs.append((fast, slow))
        difference = max(difference, float(np.abs(found - expected).max()))
    report = {
        "shape": signal.shape,
        "repeats": REPEATS,
        "banded_ms": round(1e3 * median(fast for fast, _ in pairs), 2),
        "sparse_ms": round(1e3 * median(slow for _, slow in pairs), 2),
        "ratio": round(median(slow / fast for fast, slow in pairs), 1),
        "largest_difference_mv": float(f"{difference:.2g}"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
