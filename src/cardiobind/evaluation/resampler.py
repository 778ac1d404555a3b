"""Draws of test subjects, and what every metric of every cell is in them: each computed once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.bootstrap import (
    ALIKE,
    alike,
    class_sizes,
    count_blocks,
    interval,
    subject_strata,
    why_no_interval,
    why_unusable,
)
from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.metrics import Metric
from cardiobind.evaluation.uncertainty.components import named_intervals

Floats = NDArray[np.float64]

_CACHED_ELEMENTS = 200_000
_REMEMBERED = 8
_BIASED = "no interval: resampling biases a binned calibration error upwards"


class Resampler:
    """Bootstrap of test subjects, within their class or not as the metric needs, all rows of a subject together.

    Cells of the same subjects get the same resamples.

    Args:
        cells: whose draws are kept; of other cells they are computed each time.
        resamples: number of resamples.
        seed: seed of the draw.
    """

    def __init__(self, cells: Sequence[Cell], resamples: int, seed: int) -> None:
        self.resamples, self.seed = resamples, seed
        self._kept: dict[int, dict[str, Floats]] = {id(cell): {} for cell in cells}
        self._values: dict[int, dict[str, Floats]] = {id(cell): {} for cell in cells}
        self._remembered: dict[bytes, list[NDArray[np.uint16]]] = {}
        self._cells = tuple(cells)  # held, so that no other object gets the id of one of them

    def blocks(self, cell: Cell, *, stratified: bool) -> Iterator[Floats]:
        """Yield how often each row was drawn, (some, n); nothing of a cell without rows.

        Blocks are small enough that what a metric makes of one stays in the processor's cache.

        Args:
            cell: whose subjects are drawn.
            stratified: whether each class keeps its size, see `Metric.stratified`.
        """
        if not len(cell.labels):
            return
        rows = max(1, _CACHED_ELEMENTS // len(cell.labels))
        strata = subject_strata(cell.strata if stratified else np.zeros(len(cell.labels)), cell.subject_index)
        for drawn in self._drawn(strata):
            for first in range(0, len(drawn), rows):
                yield drawn[first : first + rows, cell.subject_index].astype(np.float64)

    def _drawn(self, strata: NDArray[np.int64]) -> list[NDArray[np.uint16]]:
        """Return how often each subject is drawn; the last answers are remembered, as cells share their subjects."""
        key = strata.tobytes()
        if key not in self._remembered:
            while len(self._remembered) >= _REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)))
            blocks = count_blocks(strata, self.resamples, self.seed)
            self._remembered[key] = [block.astype(np.uint16) for block in blocks]
        return self._remembered[key]

    def subjects(self, cell: Cell) -> int:
        """Return how many subjects the smaller class has, of several labels the smallest of all; 0 without rows."""
        sizes = [n for labels in cell.classes for n in class_sizes(labels, cell.subject_index) if n]
        return min(sizes, default=len(np.unique(cell.subject_index)))

    def values(self, cell: Cell, metric: Metric) -> Floats:
        """Return the metric of each seed on all test rows, (seeds,), NaN where undefined."""
        known = self._values.get(id(cell), {})
        if metric.name not in known:
            known[metric.name] = _seed_values(cell, metric)
        return known[metric.name]

    def draws(self, cell: Cell, metrics: Sequence[Metric]) -> dict[str, Floats]:
        """Return the metrics of each seed in each resample, (seeds, resamples), by name.

        Metrics whose values are undefined, or which have no interval, are left out of the result.
        """
        known = self._kept.get(id(cell), {})
        defined = [m for m in metrics if m.resampled and not cell.why_undefined(m.on)]
        wanted = [m for m in defined if m.name not in known] if len(cell.labels) else []
        parts: dict[str, list[Floats]] = {m.name: [] for m in wanted}
        for stratified in sorted({metric.stratified for metric in wanted}):
            chosen = [metric for metric in wanted if metric.stratified == stratified]
            for counts in self.blocks(cell, stratified=stratified):
                for metric in chosen:
                    parts[metric.name].append(_each_seed(cell, metric, counts))
        known |= {name: np.concatenate(found, axis=1) for name, found in parts.items()}
        return {m.name: known[m.name] for m in defined if m.name in known}


def estimate(cell: Cell, metric: Metric, sampler: Resampler) -> dict[str, Any]:
    """Return a metric of a cell with its intervals, as ``metrics.json`` has it."""
    values = sampler.values(cell, metric)
    if not np.isfinite(values).all():
        absent = cell.why_undefined(metric.on) or metric.why_undefined(cell.labels)
        return {"value": None, "low": None, "high": None, "undefined": absent}
    drawn, subjects = sampler.draws(cell, [metric]).get(metric.name), sampler.subjects(cell)
    bounds, reason = over_subjects(None if drawn is None else drawn.mean(axis=0), subjects)
    return {
        "value": float(np.mean(values)),
        "low": bounds[0] if bounds else None,
        "high": bounds[1] if bounds else None,
        "seed_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "seed_min": float(np.min(values)),
        "seed_max": float(np.max(values)),
        **named_intervals(values, drawn, bounds, subjects, metric.within, why_none=reason),
        **({"undefined": reason} if reason else {}),
    }


def plain_estimate(value: float, drawn: Floats, subjects: int) -> dict[str, Any]:
    """Return a value with its interval over test subjects alone, or why that is not there.

    Args:
        value: on all rows.
        drawn: (resamples,) NaN where undefined.
        subjects: of the smaller class.
    """
    low, high = interval(drawn, subjects) or (None, None)
    reason = why_no_interval(drawn, subjects)
    known = float(value) if np.isfinite(value) else None
    return {"value": known, "low": low, "high": high, **({"undefined": reason} if reason else {})}


def over_subjects(drawn: Floats | None, subjects: int) -> tuple[tuple[float, float] | None, str | None]:
    """Return the interval over test subjects, or None and why there is none; one of no width is none.

    Args:
        drawn: (resamples,) of a mean over seeds, NaN where undefined; None where resampling biases the metric.
        subjects: of the smaller class.
    """
    if drawn is None:
        return None, _BIASED
    reason = why_no_interval(drawn, subjects)
    if why_unusable(drawn, subjects) is None and alike(drawn, subjects):
        reason = ALIKE
    return (None if reason else interval(drawn, subjects)), reason


def _each_seed(cell: Cell, metric: Metric, counts: Floats) -> Floats:
    if metric.resampled is None:
        raise InputError("that metric has no interval", where="metric", got=metric.name)
    return np.stack([metric.resampled(cell.labels, values, counts) for values in cell.values[metric.on]])


def _seed_values(cell: Cell, metric: Metric) -> Floats:
    if cell.why_undefined(metric.on):
        return np.full(len(cell.seeds), np.nan)
    return np.array([metric.point(cell.labels, values) for values in cell.values[metric.on]])
