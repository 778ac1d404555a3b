"""The metrics of each group of subjects, with counts; none where a group is too small to say anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.bootstrap import class_sizes
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.comparison import differences, pairs
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.resampler import Resampler, estimate

SUBGROUP_METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": (
        "auroc", "balanced_accuracy", "sensitivity", "specificity", "brier_recalibrated", "calibration_intercept",
    ),
    "multilabel": ("macro_auroc",),
    "regression": ("r2", "mae", "bias"),
    "survival": ("concordance",),
}  # fmt: skip
COMPARED_IN_GROUPS = ("auroc", "balanced_accuracy", "r2", "concordance", "macro_auroc")
LEAST_PER_CLASS = 10
"""Subjects that each class (with and without the event, of each label) must have for a group to be measured."""
LEAST_SUBJECTS = 20
"""Subjects that a group must have where there are no classes, and that a level must have to be named at all."""
SMALL_LEVELS = f"levels of fewer than {LEAST_SUBJECTS} subjects"
"""The level that stands for all these: who is alone in one could be known by its name, and by a count of positives."""


def subgroups(cell: Cell, sampler: Resampler) -> list[dict[str, Any]]:
    """Return ``group, level, n, subjects, positives, metrics`` of each level of each group, in order of the level.

    Decisions are those of the one threshold of the cell; no group has a threshold of its own. Small levels are counted
    together, under `SMALL_LEVELS`.
    """
    found: list[dict[str, Any]] = []
    for name in cell.groups:
        named = _named_levels(cell, name)
        found += [_describe(cell.at(place), name, level, sampler) for level, place in named.items()]
        small = np.ones(len(cell.labels), bool)
        for place in named.values():
            small[place] = False
        found += [_pooled(cell.at(np.flatnonzero(small)), name)] if small.any() else []
    return found


def subgroup_differences(
    cells: Sequence[Cell], comparisons: Sequence[tuple[str, str]], sampler: Resampler
) -> list[dict[str, Any]]:
    """Return the paired differences arm - baseline of each comparison in each level of each group.

    Args:
        cells: all cells.
        comparisons: pairs (arm, baseline).
        sampler: draws of the cells.
    """
    found: list[dict[str, Any]] = []
    for arm, baseline in comparisons:
        for a, b in pairs(cells, arm, baseline):
            rows = a.rows.intersection(b.rows).sort_values()
            whole_a, whole_b = a.on_rows(rows), b.on_rows(rows)
            for name in whole_a.groups:
                for level, place in _named_levels(whole_a, name).items():
                    names = {
                        "task": a.task, "arm": arm, "baseline": baseline, "inputs": a.inputs, "fraction": a.fraction,
                        "group": name, "level": level,
                    }  # fmt: skip
                    found += [names | e for e in _differences(whole_a.at(place), whole_b.at(place), sampler)]
    return found


def _named_levels(cell: Cell, group: str) -> dict[str, NDArray[np.int64]]:
    levels = cell.groups[group]
    places = {str(level): np.flatnonzero(levels == level) for level in sorted(set(levels), key=_in_order)}
    return {
        level: place for level, place in places.items() if len(np.unique(cell.subject_index[place])) >= LEAST_SUBJECTS
    }


def _in_order(level: object) -> str:
    """Return what levels are sorted by: "under 50" comes before "50 to 59"."""
    return "" if str(level).startswith("under ") else str(level)


def _pooled(part: Cell, group: str) -> dict[str, Any]:
    return {
        "group": group, "level": SMALL_LEVELS, "n": len(part.labels), "subjects": len(np.unique(part.subject_index)),
        "positives": None, "metrics": {}, "undefined": "not told apart, so that nobody is known by them",
    }  # fmt: skip


def _differences(a: Cell, b: Cell, sampler: Resampler) -> list[dict[str, Any]]:
    reason = _too_few(a)
    if reason is None:
        return list(differences(a, b, COMPARED_IN_GROUPS, sampler))
    empty = dict.fromkeys(("arm_value", "baseline_value", "difference", "low", "high", "p"))
    names = [name for name in COMPARED_IN_GROUPS if a.kind in METRICS[name].kinds]
    return [{"metric": name, "n": len(a.labels), **empty, "undefined": reason} for name in names]


def _describe(part: Cell, group: str, level: str, sampler: Resampler) -> dict[str, Any]:
    entry = {
        "group": group, "level": level, "n": len(part.labels), "subjects": len(np.unique(part.subject_index)),
        "positives": part.positives,
    }  # fmt: skip
    reason = _too_few(part)
    if reason:
        return entry | {"metrics": {}, "undefined": reason}
    names = SUBGROUP_METRICS[part.kind]
    return entry | {"metrics": {name: estimate(part, METRICS[name], sampler) for name in names}}


def _too_few(part: Cell) -> str | None:
    subjects = len(np.unique(part.subject_index))
    sizes = [class_sizes(labels, part.subject_index) for labels in part.classes]
    if not sizes:
        return None if subjects >= LEAST_SUBJECTS else f"too few: {subjects} subjects, {LEAST_SUBJECTS} needed"
    negative, positive = min(sizes, key=min)
    if min(negative, positive) >= LEAST_PER_CLASS:
        return None
    words = "with and {} without the event" if part.kind == "survival" else "positive and {} negative subjects"
    of = " of one label" if len(sizes) > 1 else ""
    return f"too few: {positive} {words.format(negative)}{of}, {LEAST_PER_CLASS} of each needed"
