"""How far from the truth the phenotypes are that neighbours tell: intervals from some subjects, metrics from others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.bootstrap import count_blocks, interval
from cardiobind.evaluation.regression import mae, r2
from cardiobind.pipeline.search.index import COVERAGE
from cardiobind.pipeline.search.telling import Telling, infer

Floats = NDArray[np.float64]
RESAMPLES = 1000


def half_widths(
    embeddings: NDArray[np.float32], values: Floats, queries: NDArray[np.float32], truth: Floats, names: Sequence[str],
    how: Sequence[Telling],
) -> dict[str, float | None]:  # fmt: skip
    """Return by phenotype the distance within which the truth of 90 % of people is: split conformal.

    It is the r-th smallest error with r = ceil(0.9 (n + 1)); None where n is smaller than that.

    Args:
        embeddings: (n, d) of the index.
        values: (n, K) its phenotypes.
        queries: (m, d) of subjects who are not in it.
        truth: (m, K) theirs.
        names: of the phenotypes.
        how: each is told.

    Source: Lei et al. 2018 (JASA 113:1094), algorithm 2.
    """
    errors = np.abs(infer(embeddings, values, queries, how)[0] - truth)
    return {name: conformal(errors[:, i][np.isfinite(errors[:, i])]) for i, name in enumerate(names)}


def conformal(errors: Floats) -> float | None:
    """Return the r-th smallest of n errors, r = ceil(0.9 (n + 1)), or None where there is none."""
    rank = math.ceil(COVERAGE * (len(errors) + 1))
    return None if rank > len(errors) else float(np.sort(errors)[rank - 1])


def assess(
    embeddings: NDArray[np.float32], values: Floats, queries: NDArray[np.float32], truth: Floats, names: Sequence[str],
    how: Sequence[Telling], widths: Mapping[str, float | None],
) -> dict[str, Any]:  # fmt: skip
    """Return by phenotype how well it is told: R2, errors, those of telling everybody the index's mean, coverage.

    Arguments as of `half_widths`; `widths` is what it returned of other subjects.
    """
    told, _ = infer(embeddings, values, queries, how)
    found = {}
    for i, name in enumerate(names):
        known = np.isfinite(truth[:, i]) & np.isfinite(told[:, i])
        if known.sum() >= 2:
            mean = float(np.nanmean(values[:, i]))
            found[name] = _metrics(truth[known, i], told[known, i], mean, widths.get(name))
    return found


def _metrics(truth: Floats, told: Floats, mean: float, width: float | None) -> dict[str, Any]:
    guessed = np.full_like(truth, mean)
    whole = np.ones((1, len(truth)))
    blocks = list(count_blocks(np.zeros(len(truth), dtype=np.int64), RESAMPLES, 0))

    def drawn(metric: Any, values: Floats) -> Floats:
        return np.concatenate([metric(truth, values, counts) for counts in blocks])

    gain = drawn(mae, guessed) - drawn(mae, told)
    return {
        "subjects": len(truth),
        "r2": float(r2(truth, told, whole)[0]), "r2_interval": interval(drawn(r2, told), len(truth)),
        "mae": float(mae(truth, told, whole)[0]), "mae_interval": interval(drawn(mae, told), len(truth)),
        "mae_of_the_mean": float(mae(truth, guessed, whole)[0]), "mae_gain_interval": interval(gain, len(truth)),
        "interval_coverage": None if width is None else float((np.abs(truth - told) <= width).mean()),
    }  # fmt: skip


HEADERS = (
    "by", "phenotype", "subjects", "R2 [95 %]", "MAE [95 %]", "MAE of the mean", "gain in MAE [95 %]",
    "within 90 % interval",
)  # fmt: skip


def rows_of(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the evaluation in an index's facts as rows of words under `HEADERS`."""
    return [
        (by, name, str(m["subjects"]), _words(m["r2"], m["r2_interval"]), _words(m["mae"], m["mae_interval"]),
         f"{m['mae_of_the_mean']:.3g}", _words(m["mae_of_the_mean"] - m["mae"], m["mae_gain_interval"]),
         "" if m["interval_coverage"] is None else f"{100 * m['interval_coverage']:.0f} %")
        for by, phenotypes in facts["evaluation"].items()
        for name, m in phenotypes.items()
    ]  # fmt: skip


def _words(value: float, ends: Sequence[float] | None) -> str:
    return f"{value:.3g}" + ("" if ends is None else f" [{ends[0]:.3g}, {ends[1]:.3g}]")
