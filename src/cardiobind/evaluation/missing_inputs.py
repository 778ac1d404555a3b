"""What it costs a predictor when a modality is missing at prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.comparison import differences
from cardiobind.evaluation.resampler import Resampler

DROPPED = ("auroc", "balanced_accuracy", "brier_recalibrated", "r2", "mae", "concordance", "macro_auroc")
_ROUNDING = (1e-5, 1e-7)  # relative and absolute: other subjects in a batch change the last bits


def missing_inputs(cells: Sequence[Cell], sampler: Resampler) -> list[dict[str, Any]]:
    """Return the differences fewer inputs - all inputs of the same predictor, on the subjects who have all.

    An arm is one predictor at each fraction and seed, scored on several sets of inputs; thresholds and recalibration
    are those of the inputs shown. A set that is part of no other one of the arm is taken as all inputs. Where all
    scores are equal but for rounding, the predictor does not see what was taken away: that is no entry.

    Args:
        cells: all cells.
        sampler: draws of the cells.
    """
    return _drops(cells, sampler, within=False)


def smaller_inputs(cells: Sequence[Cell], sampler: Resampler) -> list[dict[str, Any]]:
    """Return what `missing_inputs` leaves: the same differences between sets none of which is all inputs of the arm.

    So with ECG, table and CMR in all, what the ECG adds to the table, on all who have both.

    Args:
        cells: all cells.
        sampler: draws of the cells.
    """
    return _drops(cells, sampler, within=True)


def _drops(cells: Sequence[Cell], sampler: Resampler, *, within: bool) -> list[dict[str, Any]]:
    return [entry for group in _predictors(cells) for full, shown in _nested(group, within=within)
            for entry in _drop(full, shown, sampler)]  # fmt: skip


def _predictors(cells: Sequence[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, str, float], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.arm, cell.fraction), []).append(cell)
    return list(groups.values())


def _nested(group: Sequence[Cell], *, within: bool) -> list[tuple[Cell, Cell]]:
    """Return more and fewer inputs; the more are part of others of the group if ``within``, else of none."""
    sets = {id(cell): frozenset(cell.inputs.split("+")) for cell in group}
    larger = [cell for cell in group if any(sets[id(cell)] < other for other in sets.values()) == within]
    return [
        (full, cell) for full in larger for cell in group if sets[id(cell)] < sets[id(full)] and _differ(full, cell)
    ]


def _differ(a: Cell, b: Cell) -> bool:
    rows = a.rows.intersection(b.rows).sort_values()
    a, b = a.on_rows(rows), b.on_rows(rows)
    return a.seeds != b.seeds or not np.allclose(a.values["score"], b.values["score"], *_ROUNDING)


def _drop(full: Cell, shown: Cell, sampler: Resampler) -> list[dict[str, Any]]:
    removed = sorted(set(full.inputs.split("+")) - set(shown.inputs.split("+")))
    names = {
        "task": full.task, "kind": full.kind, "arm": full.arm, "fraction": full.fraction, "full": full.inputs,
        "shown": shown.inputs, "removed": "+".join(removed),
    }  # fmt: skip
    return [names | entry for entry in differences(shown, full, DROPPED, sampler, ("value", "value_full"))]
