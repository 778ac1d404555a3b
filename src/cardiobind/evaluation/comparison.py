"""Is one model better than another? The difference of a metric on the same subjects, under the same resamples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.bootstrap import count_blocks, interval, subject_strata, two_sided_p
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.metrics import METRICS, Metric

Floats = NDArray[np.float64]

COMPARED = (
    "auroc", "auprc", "balanced_accuracy", "sensitivity", "specificity", "brier", "r2", "mae", "rmse", "pearson",
    "concordance", "macro_auroc", "macro_auprc",
)  # fmt: skip


def seed_values(cell: Cell, metric: Metric) -> Floats:
    """Return the metric of each seed on all test rows, (seeds,), NaN where undefined."""
    if cell.why_undefined(metric.on):
        return np.full(len(cell.seeds), np.nan)
    return np.array([metric.point(cell.labels, values) for values in cell.values[metric.on]])


def resample(cell: Cell, names: Sequence[str], resamples: int, seed: int) -> dict[str, Floats]:
    """Return the mean over seeds of each metric in each resample of the test subjects.

    Subjects are drawn with replacement within their class, all rows of a subject together. Cells of the same subjects
    get the same resamples.

    Args:
        cell: predictions.
        names: metrics; those whose values are undefined, or which have no interval, are left out of the result.
        resamples: number of resamples.
        seed: seed of the draw.

    Returns:
        For each metric (resamples,).
    """
    names = [n for n in names if METRICS[n].resampled and not cell.why_undefined(METRICS[n].on)]
    if not len(cell.labels):
        return {}
    strata = subject_strata(cell.strata, cell.subject_index)
    blocks: dict[str, list[Floats]] = {name: [] for name in names}
    for drawn in count_blocks(strata, resamples, seed):
        counts = drawn[:, cell.subject_index]
        for name in names:
            blocks[name].append(_mean_over_seeds(cell, METRICS[name], counts))
    return {name: np.concatenate(parts) for name, parts in blocks.items()}


def compare(
    cells: Sequence[Cell], comparisons: Sequence[tuple[str, str]], *, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Return paired differences arm - baseline, for each task, inputs and fraction that both have.

    Args:
        cells: all cells.
        comparisons: pairs (arm, baseline).
        resamples: number of resamples.
        seed: seed of the draw.

    Returns:
        One entry a metric: task, arm, baseline, inputs, fraction, metric, n, difference, low, high, p; all four None
        with ``undefined`` where the metric is undefined for either.

    Raises:
        InputError: an arm is unknown, or a pair has no cell in common.
    """
    found: list[dict[str, Any]] = []
    for arm, baseline in comparisons:
        pairs = _pairs(cells, arm, baseline)
        for a, b in pairs:
            found += _compare_pair(a, b, resamples, seed)
    return found


def _mean_over_seeds(cell: Cell, metric: Metric, counts: Floats) -> Floats:
    if metric.resampled is None:
        raise InputError("that metric has no interval", where="metric", got=metric.name)
    per_seed = [metric.resampled(cell.labels, values, counts) for values in cell.values[metric.on]]
    return np.asarray(np.mean(per_seed, axis=0), np.float64)


def _pairs(cells: Sequence[Cell], arm: str, baseline: str) -> list[tuple[Cell, Cell]]:
    arms = {cell.arm for cell in cells}
    for name in (arm, baseline):
        if name not in arms:
            raise InputError("no predictions of that arm", where="comparisons", expected=sorted(arms), got=name)
    other = {(c.task, c.inputs, c.fraction): c for c in cells if c.arm == baseline}
    keyed = [(c, other.get((c.task, c.inputs, c.fraction))) for c in cells if c.arm == arm]
    pairs = [(a, b) for a, b in keyed if b is not None]
    if not pairs:
        raise InputError(
            "the two arms share no task, inputs and label fraction", where="comparisons", got=f"{arm}, {baseline}"
        )
    return pairs


def _compare_pair(a: Cell, b: Cell, resamples: int, seed: int) -> list[dict[str, Any]]:
    rows = a.rows.intersection(b.rows).sort_values()
    a, b = a.on_rows(rows), b.on_rows(rows)
    compared = [name for name in COMPARED if a.kind in METRICS[name].kinds]
    drawn_a, drawn_b = (resample(cell, compared, resamples, seed) for cell in (a, b))
    return [_difference(a, b, METRICS[name], drawn_a.get(name), drawn_b.get(name)) for name in compared]


def _difference(a: Cell, b: Cell, metric: Metric, drawn_a: Floats | None, drawn_b: Floats | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "task": a.task, "arm": a.arm, "baseline": b.arm, "inputs": a.inputs, "fraction": a.fraction,
        "metric": metric.name, "n": len(a.labels), "difference": None, "low": None, "high": None, "p": None,
    }  # fmt: skip
    value = float(np.mean(seed_values(a, metric)) - np.mean(seed_values(b, metric)))
    if drawn_a is None or drawn_b is None or not np.isfinite(value):
        reasons = [c.why_undefined(metric.on) for c in (a, b)]
        return entry | {"undefined": next((r for r in reasons if r), metric.why_undefined(a.labels))}
    differences = drawn_a - drawn_b
    low, high = interval(differences) or (None, None)
    return entry | {"difference": value, "low": low, "high": high, "p": two_sided_p(differences)}
