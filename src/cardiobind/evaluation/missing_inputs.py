"""What it costs a predictor when a modality is missing at prediction, and so what each modality adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.comparison import differences
from cardiobind.evaluation.resampler import Resampler

DROPPED = ("auroc", "balanced_accuracy", "brier_recalibrated", "r2", "mae", "concordance", "macro_auroc")


def missing_inputs(cells: Sequence[Cell], sampler: Resampler) -> list[dict[str, Any]]:
    """Return the differences fewer inputs - more inputs of the same predictor, on the subjects who have the more.

    An arm is one predictor at each fraction and seed, scored on several sets of inputs; thresholds and recalibration
    are those of the inputs shown. Each two sets of an arm of which one is part of the other are compared.

    Args:
        cells: all cells.
        sampler: draws of the cells.
    """
    groups: dict[tuple[str, str, float], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.arm, cell.fraction), []).append(cell)
    return [entry for group in groups.values() for full, shown in _taken_away(group)
            for entry in _drop(full, shown, sampler)]  # fmt: skip


def _taken_away(group: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    sets = {id(cell): frozenset(cell.inputs.split("+")) for cell in group}
    return [(full, cell) for full in group for cell in group if sets[id(cell)] < sets[id(full)]]


def _drop(full: Cell, shown: Cell, sampler: Resampler) -> list[dict[str, Any]]:
    removed = sorted(set(full.inputs.split("+")) - set(shown.inputs.split("+")))
    names = {
        "task": full.task, "kind": full.kind, "arm": full.arm, "fraction": full.fraction, "full": full.inputs,
        "shown": shown.inputs, "removed": "+".join(removed),
    }  # fmt: skip
    return [names | entry for entry in differences(shown, full, DROPPED, sampler, ("value", "value_full"))]
