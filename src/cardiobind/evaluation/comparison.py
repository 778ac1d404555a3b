"""Is one model better than another? The difference of a metric on the same subjects, under the same resamples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.bootstrap import ALIKE, two_sided_p, why_unusable
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.metrics import METRICS, Metric
from cardiobind.evaluation.resampler import Resampler, over_subjects
from cardiobind.evaluation.uncertainty.components import ONE_SEED, named_intervals, nothing_by_both
from cardiobind.evaluation.uncertainty.delong import delong_test

Floats = NDArray[np.float64]

COMPARED = (
    "auroc", "auprc", "balanced_accuracy", "sensitivity", "specificity", "sensitivity_at_90_specificity", "brier",
    "brier_recalibrated", "r2", "mae", "rmse", "pearson", "concordance", "concordance_uno", "integrated_brier",
    "macro_auroc", "macro_auprc",
)  # fmt: skip
_OTHER_SEEDS = "the two were not trained with the same seeds"


def compare(cells: Sequence[Cell], comparisons: Sequence[tuple[str, str]], sampler: Resampler) -> list[dict[str, Any]]:
    """Return paired differences arm - baseline, for each task, inputs and fraction that both have.

    Args:
        cells: all cells.
        comparisons: pairs (arm, baseline).
        sampler: draws of the cells.

    Returns:
        One entry a metric: task, arm, baseline, inputs, fraction, and what `difference` gives.

    Raises:
        InputError: an arm is unknown, or a pair has no cell in common.
    """
    found: list[dict[str, Any]] = []
    for arm, baseline in comparisons:
        for a, b in pairs(cells, arm, baseline):
            names = {
                "task": a.task, "arm": a.arm, "baseline": b.arm, "inputs": a.inputs, "fraction": a.fraction,
            }  # fmt: skip
            found += [names | entry for entry in differences(a, b, COMPARED, sampler)]
    return found


def pairs(cells: Sequence[Cell], arm: str, baseline: str) -> list[tuple[Cell, Cell]]:
    """Return the cells of two arms that agree in task, inputs and fraction.

    Raises:
        InputError: an arm is unknown, or there is no such pair.
    """
    arms = {cell.arm for cell in cells}
    for name in (arm, baseline):
        if name not in arms:
            raise InputError("no predictions of that arm", where="comparisons", expected=sorted(arms), got=name)
    other = {(c.task, c.inputs, c.fraction): c for c in cells if c.arm == baseline}
    keyed = [(c, other.get((c.task, c.inputs, c.fraction))) for c in cells if c.arm == arm]
    found = [(a, b) for a, b in keyed if b is not None]
    if not found:
        raise InputError(
            "the two arms share no task, inputs and label fraction", where="comparisons", got=f"{arm}, {baseline}"
        )
    return found


def differences(
    a: Cell,
    b: Cell,
    names: Sequence[str],
    sampler: Resampler,
    called: tuple[str, str] = ("arm_value", "baseline_value"),
) -> Iterator[dict[str, Any]]:
    """Yield the difference a - b of each metric that the kind has, on the subjects that both were tested on.

    Each is metric, n, the two values, difference, low, high, p, the intervals by name, the test over both causes, and
    DeLong's of AUROC; all None with ``undefined`` where the metric is undefined for either.

    Args:
        a: predictions.
        b: others of the same task.
        names: metrics; those that the kind does not have are left out.
        sampler: draws of the cells.
        called: keys of the two values.
    """
    rows = a.rows.intersection(b.rows).sort_values()
    a, b = a.on_rows(rows), b.on_rows(rows)
    metrics = [METRICS[name] for name in names if a.kind in METRICS[name].kinds]
    drawn_a, drawn_b = (sampler.draws(cell, metrics) for cell in (a, b))
    for metric in metrics:
        of_a, of_b = (sampler.values(cell, metric) for cell in (a, b))
        drawn = drawn_a.get(metric.name), drawn_b.get(metric.name)
        entry = _difference(a, b, metric, (of_a, of_b), drawn, sampler.subjects(a))
        yield entry | dict(zip(called, (_number(of_a), _number(of_b)), strict=True))


def _number(values: Floats) -> float | None:
    value = float(np.mean(values))
    return value if np.isfinite(value) else None


def _difference(
    a: Cell,
    b: Cell,
    metric: Metric,
    values: tuple[Floats, Floats],
    found: tuple[Floats | None, Floats | None],
    subjects: int,
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "metric": metric.name, "n": len(a.labels), "difference": None, "low": None, "high": None, "p": None,
    }  # fmt: skip
    value, (drawn_a, drawn_b) = float(np.mean(values[0]) - np.mean(values[1])), found
    if drawn_a is None or drawn_b is None or not np.isfinite(value):
        reasons = [c.why_undefined(metric.on) for c in (a, b)]
        return entry | {"undefined": next((r for r in reasons if r), metric.why_undefined(a.labels))}
    drawn = drawn_a.mean(axis=0) - drawn_b.mean(axis=0)
    same = np.array_equal(a.values[metric.on], b.values[metric.on])
    bounds, p, reason = _tell(drawn, subjects, same=same)
    low, high = bounds or (None, None)
    width = metric.within[1] - metric.within[0]
    of_seeds, drawn_seeds, why_one = _between(a, b, values, (drawn_a, drawn_b))
    return {
        **entry, "difference": value, "low": low, "high": high, "p": p,
        **named_intervals(of_seeds, drawn_seeds, bounds, subjects, (-width, width), why_one, reason),
        "both": nothing_by_both(of_seeds, drawn_seeds, subjects, why_one),
        **_delong(a, b, metric),
        **({"undefined": reason} if reason else {}),
    }  # fmt: skip


def _tell(
    drawn: Floats, subjects: int, *, same: bool
) -> tuple[tuple[float, float] | None, float | None, str | None]:  # fmt: skip
    """Return interval, p and why there is none; a difference of the same predictions is nothing, whatever is drawn."""
    if same and why_unusable(drawn, subjects) is None:
        return (0.0, 0.0), 1.0, None
    bounds, reason = over_subjects(drawn, subjects)
    return bounds, None if reason == ALIKE else two_sided_p(drawn, subjects), reason


def _between(
    a: Cell, b: Cell, values: tuple[Floats, Floats], drawn: tuple[Floats, Floats]
) -> tuple[Floats, Floats, str]:
    if a.seeds == b.seeds:
        return values[0] - values[1], drawn[0] - drawn[1], ONE_SEED
    middle = np.array([np.mean(values[0]) - np.mean(values[1])])
    return middle, (drawn[0].mean(axis=0) - drawn[1].mean(axis=0))[None], _OTHER_SEEDS


def _delong(a: Cell, b: Cell, metric: Metric) -> dict[str, Any]:
    if metric.name != "auroc":
        return {}
    return {"delong": delong_test(a.labels, a.values["score"], b.values["score"], a.subject_index)}
