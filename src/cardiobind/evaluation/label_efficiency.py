"""How many labels a baseline needs to match an arm, and how much of the gap to the best possible an arm closes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind import rng
from cardiobind.evaluation.bootstrap import (
    ONE_SUBJECT,
    TOO_OFTEN_UNDEFINED,
    enough,
    interval,
    tail_share,
    why_no_interval,
    why_unresolved,
)
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.comparison import pairs
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.resampler import Resampler

Floats = NDArray[np.float64]

MATCHED = ("auroc", "balanced_accuracy", "r2", "concordance", "macro_auroc")
"""Metrics at which two models are called equal; of each, higher is better."""
_ROUNDING = 1e-12
_ONE_FRACTION = "the baseline was trained with one share of the labels"
_NO_GAP = "the baseline is not below the oracle, so there is no gap"
_UNDEFINED = "a metric is undefined"
_SMALL_GAP = "no interval: the gap is not above 0 in over 5 % of the resamples"


def label_efficiency(
    cells: Sequence[Cell], comparisons: Sequence[tuple[str, str]], sampler: Resampler
) -> list[dict[str, Any]]:
    """Return the share of its labels that the baseline needs to be as good as each arm and fraction, over the arm's.

    The baseline's metric over the log of its shares of labels is made monotone (isotonic regression) and joined by
    lines; where it reaches the arm's value the two are equal. A factor beyond the shares that were tried is censored:
    ``>`` or ``<`` the last one.

    Args:
        cells: all cells.
        comparisons: pairs (arm, baseline).
        sampler: draws of the cells.
    """
    found = []
    for arm, baseline in comparisons:
        for own, _ in pairs(cells, arm, baseline):
            curve = [c for c in cells if (c.task, c.inputs, c.arm) == (own.task, own.inputs, baseline)]
            curve.sort(key=lambda cell: cell.fraction)
            found += [_matched(own, curve, name, sampler) for name in MATCHED if own.kind in METRICS[name].kinds]
    return found


def gap_closed(
    cells: Sequence[Cell], comparisons: Sequence[tuple[str, str]], oracle: Sequence[Cell], sampler: Resampler
) -> list[dict[str, Any]]:
    """Return (arm - baseline) / (oracle - baseline) of each comparison, all three on the same test subjects.

    Args:
        cells: all cells.
        comparisons: pairs (arm, baseline).
        oracle: cells of one who knows the truth.
        sampler: draws of the cells.
    """
    best = {(cell.task, cell.inputs): cell for cell in oracle}
    found = []
    for arm, baseline in comparisons:
        for a, b in pairs(cells, arm, baseline):
            if (a.task, a.inputs) in best:
                parts = [a, b, best[a.task, a.inputs]]
                found += [_closed(parts, name, sampler) for name in MATCHED if a.kind in METRICS[name].kinds]
    return found


@dataclass(frozen=True)
class _Measured:
    """A metric of cells on the subjects that all of them were tested on.

    Attributes:
        n: rows in common.
        subjects: of the smaller class.
        values: (cells,) means over seeds, NaN where undefined.
        draws: for each interval's name (resamples, cells), or none.
    """

    n: int
    subjects: int
    values: Floats
    draws: dict[str, Floats]


def labels_needed(fractions: Floats, values: Floats, wanted: Floats) -> Floats:
    """Return the log of the share at which a curve reaches a value, -inf below the first share and inf beyond the last.

    NaN where the curve or the value is.

    Args:
        fractions: (k,) rising.
        values: (rows, k) of the curve at each; made monotone first.
        wanted: (rows,).
    """
    y, x = rising(values), np.log(fractions)
    reached = y >= wanted[:, None] - _ROUNDING
    after = np.where(reached.any(axis=1), reached.argmax(axis=1), len(x) - 1)
    before, row = np.maximum(after - 1, 0), np.arange(len(y))
    step = y[row, after] - y[row, before]
    part = np.divide(wanted - y[row, before], step, out=np.ones(len(y)), where=step > 0)
    found = x[before] + part * (x[after] - x[before])
    found = np.where(y[:, 0] > wanted + _ROUNDING, -np.inf, found)
    unknown = np.isnan(values).any(axis=1) | np.isnan(wanted)
    return np.asarray(np.where(unknown, np.nan, np.where(reached.any(axis=1), found, np.inf)))


def rising(values: Floats) -> Floats:
    """Return the nearest curves that never fall (isotonic regression with equal weights), by max-min of means.

    Args:
        values: (rows, k).

    Source: Barlow et al. 1972, Statistical Inference under Order Restrictions, theorem 1.4.
    """
    k = values.shape[1]
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    columns = []
    for at in range(k):
        means = [
            np.min([(total[:, j + 1] - total[:, i]) / (j + 1 - i) for j in range(at, k)], axis=0)
            for i in range(at + 1)
        ]  # fmt: skip
        columns.append(np.max(means, axis=0))
    return np.asarray(np.stack(columns, axis=1), np.float64)


def _matched(own: Cell, curve: Sequence[Cell], name: str, sampler: Resampler) -> dict[str, Any]:
    fractions = np.array([cell.fraction for cell in curve])
    measured = _measure([own, *curve], name, sampler)
    entry = {
        **_names(own, curve[0].arm, name, measured.n), "value": _number(measured.values[0]), "factor": None,
        "low": None, "high": None, "bound": "", "low_bound": "", "high_bound": "",
        "baseline_fractions": fractions.tolist(), "baseline_values": [_number(v) for v in measured.values[1:]],
        "interval": "test_subjects", "intervals": {},
    }  # fmt: skip
    if len(curve) < 2 or not np.isfinite(measured.values).all():
        return entry | {"undefined": _ONE_FRACTION if len(curve) < 2 else _UNDEFINED}

    def factors(rows: Floats) -> Floats:
        return np.asarray(labels_needed(fractions, rows[:, 1:], rows[:, 0]) - np.log(own.fraction))

    ends = fractions[[0, -1]] / own.fraction
    factor, bound = _censored(float(factors(measured.values[None])[0]), ends)
    intervals = {
        cause: _censored_interval(factors(drawn), ends, measured.subjects) for cause, drawn in measured.draws.items()
    }
    return entry | {"factor": factor, "bound": bound, "intervals": intervals} | intervals.get("test_subjects", {})


def _closed(parts: Sequence[Cell], name: str, sampler: Resampler) -> dict[str, Any]:
    measured = _measure(parts, name, sampler)
    arm, baseline, oracle = measured.values
    entry = {
        **_names(parts[0], parts[1].arm, name, measured.n), "arm_value": _number(arm),
        "baseline_value": _number(baseline), "oracle_value": _number(oracle), "share": None, "low": None, "high": None,
        "interval": "test_subjects", "intervals": {},
    }  # fmt: skip
    if not np.isfinite(measured.values).all() or oracle <= baseline:
        return entry | {"undefined": _NO_GAP if np.isfinite(measured.values).all() else _UNDEFINED}
    intervals = {cause: _share_interval(drawn, measured.subjects) for cause, drawn in measured.draws.items()}
    first = intervals.get("test_subjects", {"low": None, "high": None})
    return entry | {"share": float((arm - baseline) / (oracle - baseline)), "intervals": intervals} | first


def _measure(cells: Sequence[Cell], name: str, sampler: Resampler) -> _Measured:
    rows = cells[0].rows
    for cell in cells[1:]:
        rows = rows.intersection(cell.rows)
    rows, metric = rows.sort_values(), METRICS[name]
    parts = [cell.on_rows(rows) for cell in cells]
    values = np.array([np.mean(sampler.values(part, metric)) for part in parts])
    drawn = [sampler.draws(part, [metric]).get(name) for part in parts]
    kept = [one for one in drawn if one is not None]
    draws = {}
    if len(kept) == len(parts):
        draws["test_subjects"] = np.stack([one.mean(axis=0) for one in kept], axis=1)
        if all(len(part.seeds) > 1 for part in parts[:2]):
            draws["both"] = _over_seeds_too(parts, kept, sampler)
    return _Measured(len(rows), sampler.subjects(parts[0]), values, draws)


def _over_seeds_too(parts: Sequence[Cell], drawn: Sequence[Floats], sampler: Resampler) -> Floats:
    """Return draws in which seeds are drawn with replacement too, the same ones for cells of the same seeds."""
    columns = []
    for part, one in zip(parts, drawn, strict=True):
        seeds, resamples = one.shape
        generator = rng.generator(sampler.seed, "bootstrap of seeds", *part.seeds)
        chosen = generator.integers(0, seeds, (seeds, resamples))
        columns.append(np.take_along_axis(one, chosen, axis=0).mean(axis=0))
    return np.stack(columns, axis=1)


def _censored(log_factor: float, ends: Floats) -> tuple[float, str]:
    if np.isposinf(log_factor):
        return float(ends[1]), ">"
    if np.isneginf(log_factor):
        return float(ends[0]), "<"
    return float(np.exp(log_factor)), ""


def _censored_interval(log_factors: Floats, ends: Floats, subjects: int) -> dict[str, Any]:
    defined = ~np.isnan(log_factors)
    known = np.sort(log_factors[defined])
    if reason := _why_no_ends(defined, subjects):
        return {"low": None, "high": None, "low_bound": "", "high_bound": "", "undefined": reason}
    tail = tail_share(subjects)
    low, low_bound = _censored(float(known[int(np.floor(tail * (len(known) - 1)))]), ends)
    high, high_bound = _censored(float(known[int(np.ceil((1 - tail) * (len(known) - 1)))]), ends)
    return {"low": low, "high": high, "low_bound": low_bound, "high_bound": high_bound}


def _why_no_ends(defined: NDArray[np.bool_], subjects: int) -> str | None:
    if subjects < 2:
        return ONE_SUBJECT
    return why_unresolved(int(defined.sum()), subjects) if enough(defined) else TOO_OFTEN_UNDEFINED


def _share_interval(drawn: Floats, subjects: int) -> dict[str, Any]:
    arm, baseline, oracle = drawn.T
    gap = oracle - baseline
    share = np.divide(arm - baseline, gap, out=np.full(len(gap), np.nan), where=gap > 0)
    bounds = interval(share, subjects)
    if bounds is None:
        reason = why_no_interval(share, subjects)
        return {"low": None, "high": None, "undefined": _SMALL_GAP if reason == TOO_OFTEN_UNDEFINED else reason}
    return {"low": bounds[0], "high": bounds[1]}


def _names(own: Cell, baseline: str, metric: str, n: int) -> dict[str, Any]:
    return {
        "task": own.task, "arm": own.arm, "baseline": baseline, "inputs": own.inputs, "fraction": own.fraction,
        "metric": metric, "n": n,
    }  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
