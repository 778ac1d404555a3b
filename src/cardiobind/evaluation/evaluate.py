"""From predictions to ``metrics.json``: every cell with intervals over test subjects and spread over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from cardiobind.errors import InputError
from cardiobind.evaluation.bootstrap import CONFIDENCE
from cardiobind.evaluation.calibration import IsotonicScaling, PlattScaling, TemperatureScaling
from cardiobind.evaluation.cells import BINARY, Cell, read_cells
from cardiobind.evaluation.comparison import compare
from cardiobind.evaluation.label_efficiency import gap_closed, label_efficiency
from cardiobind.evaluation.metrics import METRICS, metrics_of
from cardiobind.evaluation.missing_inputs import missing_inputs, smaller_inputs
from cardiobind.evaluation.net_benefit import net_benefits
from cardiobind.evaluation.over_time.horizons import over_time
from cardiobind.evaluation.resampler import Resampler, estimate
from cardiobind.evaluation.subgroups import subgroup_differences, subgroups
from cardiobind.evaluation.threshold import Threshold
from cardiobind.evaluation.uncertainty.components import INTERVAL_NAMES
from cardiobind.evaluation.uncertainty.delong import delong_interval
from cardiobind.evaluation.uncertainty.multiplicity import DEFAULT, adjust_by_metric

SCHEMA_VERSION = 2
INTERVAL_METHOD = "expanded percentile"


def evaluate(
    predictions: pd.DataFrame,
    *,
    resamples: int = 1000,
    seed: int = 0,
    comparisons: Sequence[tuple[str, str]] = (),
    oracle: Sequence[Mapping[str, Any]] = (),
    ceiling: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Return all metrics of all models, JSON-ready: no NaN, but None and the reason under ``undefined``.

    Thresholds and recalibration come from rows with split "validation", everything else from rows with split "test".
    A value is the mean over seeds; ``low`` and ``high`` are its 95 % interval over test subjects: expanded percentiles
    of that mean under a bootstrap of subjects, stratified by class (by event, for time to event) where the metric does
    not depend on how many are ill, see `Metric.stratified`. Intervals over seeds and over both stand beside it under
    their names. A task of several labels has a cell of its own and a binary one for each label, named ``task: label``.

    Args:
        predictions: see `cardiobind.evaluation.cells.read_cells`.
        resamples: bootstrap resamples, at least 1.
        seed: seed of the bootstrap.
        comparisons: pairs (arm, baseline) whose paired differences are wanted.
        oracle: best scores that can be had on simulated data, passed through: task, inputs, metrics.
        ceiling: predictions of one who knows the truth, on the same subjects, instead of `oracle`; with them the share
            of the gap that an arm closes is known.

    Returns:
        All that ``docs/explanation/statistics.md`` names, key by key.

    Raises:
        InputError: the predictions are not as described, or a comparison has no counterpart.
        SplitLeakageError: a subject is in validation and test.
    """
    if resamples < 1:
        raise InputError("too few bootstrap resamples", where="resamples", expected="at least 1", got=resamples)
    cells = read_cells(predictions)
    best = [] if ceiling is None else read_cells(ceiling)
    sampler = Resampler([*cells, *best], resamples, seed)
    found = {
        "comparisons": compare(cells, comparisons, sampler),
        "missingness": missing_inputs(cells, sampler),
        "smaller_inputs": smaller_inputs(cells, sampler),
        "subgroup_differences": subgroup_differences(cells, comparisons, sampler),
    }
    families = [family for name, entries in found.items() for family in adjust_by_metric(entries, name)]
    return {
        "schema_version": SCHEMA_VERSION,
        "resamples": resamples,
        "seed": seed,
        "confidence": CONFIDENCE,
        "threshold_from": "validation",
        "interval_method": INTERVAL_METHOD,
        "interval_names": dict(INTERVAL_NAMES),
        "cells": [_describe(cell, sampler) for cell in cells],
        **found,
        "multiplicity": {"default": DEFAULT, "families": families},
        "label_efficiency": label_efficiency(cells, comparisons, sampler),
        "gap_closed": gap_closed(cells, comparisons, best, sampler),
        "oracle": [dict(entry) for entry in oracle] + [_describe(cell, sampler) for cell in best],
    }


def _describe(cell: Cell, sampler: Resampler) -> dict[str, Any]:
    metrics = metrics_of(cell.kind)
    sampler.draws(cell, list(metrics.values()))
    return {
        "task": cell.task,
        "kind": cell.kind,
        "arm": cell.arm,
        "inputs": cell.inputs,
        "fraction": cell.fraction,
        "seeds": list(cell.seeds),
        "n": len(cell.labels),
        "subjects": len(set(cell.subject_index.tolist())),
        "positives": cell.positives,
        "unlabelled": cell.unlabelled,
        "validation": {"n": cell.validation_n, "positives": cell.validation_positives},
        "thresholds": _thresholds(cell, "decision"),
        "thresholds_90": _thresholds(cell, "decision_at_90"),
        "recalibration": _recalibrations(cell) if cell.kind == BINARY else [],
        "metrics": {name: estimate(cell, metric, sampler) | _beside(cell, name) for name, metric in metrics.items()},
        "subgroups": subgroups(cell, sampler),
        **{key: describe(cell, sampler) for key, describe in _OF_KIND.get(cell.kind, {}).items()},
    }


_OF_KIND: Mapping[str, Mapping[str, Callable[[Cell, Resampler], dict[str, Any]]]] = {
    BINARY: {"net_benefit": net_benefits},
    "survival": {"over_time": over_time},
}
"""What is measured of some kinds only, by key of the cell."""


def _beside(cell: Cell, name: str) -> dict[str, Any]:
    if name != "auroc" or not METRICS[name].defined(cell.labels):
        return {}
    return {"delong": delong_interval(cell.labels, cell.values["score"], cell.subject_index)}


def _thresholds(cell: Cell, on: str) -> list[dict[str, Any]]:
    chosen = [(s, t) for s, t in zip(cell.seeds, cell.settled.get(on, ()), strict=False) if isinstance(t, Threshold)]
    return [{"seed": s, "value": t.value, **_reason(t.reason)} for s, t in chosen]


def _recalibrations(cell: Cell) -> list[dict[str, Any]]:
    found = zip(cell.seeds, *(cell.settled[on] for on in ("recalibrated", "temperature", "isotonic")), strict=True)
    return [
        {
            "seed": seed, "slope": logistic.slope, "intercept": logistic.intercept, **_reason(logistic.reason),
            "temperature": temperature.temperature, **_reason(temperature.reason, "undefined_temperature"),
            "isotonic_steps": isotonic.steps, **_reason(isotonic.reason, "undefined_isotonic"),
        }
        for seed, logistic, temperature, isotonic in found
        if isinstance(logistic, PlattScaling)
        and isinstance(temperature, TemperatureScaling)
        and isinstance(isotonic, IsotonicScaling)
    ]  # fmt: skip


def _reason(reason: str | None, key: str = "undefined") -> dict[str, str]:
    return {key: reason} if reason else {}
