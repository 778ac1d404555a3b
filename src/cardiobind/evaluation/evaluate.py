"""From predictions to ``metrics.json``: every cell with intervals over test subjects and spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.errors import InputError
from cardiobind.evaluation.bootstrap import CONFIDENCE, interval
from cardiobind.evaluation.cells import Cell, read_cells
from cardiobind.evaluation.comparison import compare, resample, seed_values
from cardiobind.evaluation.metrics import Metric, metrics_of

Floats = NDArray[np.float64]

SCHEMA_VERSION = 1
_NO_INTERVAL = (
    "no interval: over 5 % of the bootstrap resamples give no finite value",
    "no interval: resampling biases a binned calibration error upwards",
)


def evaluate(
    predictions: pd.DataFrame,
    *,
    resamples: int = 1000,
    seed: int = 0,
    comparisons: Sequence[tuple[str, str]] = (),
    oracle: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return all metrics of all models, JSON-ready: no NaN, but None and the reason under ``undefined``.

    Thresholds and recalibration come from rows with split "validation", everything else from rows with split "test".
    A value is the mean over seeds; its interval is the 95 % percentile interval of that mean under a bootstrap of test
    subjects, stratified by class (by event, for time to event; not at all for numbers and several labels); the spread
    over seeds stands apart. A task of several labels has a cell of its own and a binary one for each label, named
    ``task: label``; a cell that is not binary has no thresholds and no recalibration.

    Args:
        predictions: see `cardiobind.evaluation.cells.read_cells`.
        resamples: bootstrap resamples, at least 1.
        seed: seed of the bootstrap.
        comparisons: pairs (arm, baseline) whose paired differences are wanted.
        oracle: best scores that can be had on simulated data, passed through: task, inputs, metrics.

    Returns:
        ``cells`` [{task, kind, arm, inputs, fraction, seeds, n, subjects, positives (events, for time to event; None
        where there is no such thing), unlabelled, validation {n, positives}, thresholds, recalibration, metrics {name:
        {value, low, high, seed_sd, seed_min, seed_max} or {value: None, undefined}}}], ``comparisons`` [{task, arm,
        baseline, inputs, fraction, metric, n, difference, low, high, p}],
        ``oracle``, and how they were computed.

    Raises:
        InputError: the predictions are not as described, or a comparison has no counterpart.
        SplitLeakageError: a subject is in validation and test.
    """
    if resamples < 1:
        raise InputError("too few bootstrap resamples", where="resamples", expected="at least 1", got=resamples)
    cells = read_cells(predictions)
    return {
        "schema_version": SCHEMA_VERSION,
        "resamples": resamples,
        "seed": seed,
        "confidence": CONFIDENCE,
        "threshold_from": "validation",
        "cells": [_describe(cell, resamples, seed) for cell in cells],
        "comparisons": compare(cells, comparisons, resamples=resamples, seed=seed),
        "oracle": [dict(entry) for entry in oracle],
    }


def _describe(cell: Cell, resamples: int, seed: int) -> dict[str, Any]:
    metrics = metrics_of(cell.kind)
    drawn = resample(cell, list(metrics), resamples, seed)
    return {
        "task": cell.task,
        "kind": cell.kind,
        "arm": cell.arm,
        "inputs": cell.inputs,
        "fraction": cell.fraction,
        "seeds": list(cell.seeds),
        "n": len(cell.labels),
        "subjects": len(np.unique(cell.subject_index)),
        "positives": cell.positives,
        "unlabelled": cell.unlabelled,
        "validation": {"n": cell.validation_n, "positives": cell.validation_positives},
        "thresholds": [
            {"seed": s, "value": t.value, **_reason(t.reason)}
            for s, t in zip(cell.seeds, cell.thresholds, strict=False)
        ],
        "recalibration": [
            {"seed": s, "slope": c.slope, "intercept": c.intercept, **_reason(c.reason)}
            for s, c in zip(cell.seeds, cell.calibrations, strict=False)
        ],
        "metrics": {name: _estimate(cell, metric, drawn.get(name)) for name, metric in metrics.items()},
    }


def _estimate(cell: Cell, metric: Metric, drawn: Floats | None) -> dict[str, Any]:
    values = seed_values(cell, metric)
    if not np.isfinite(values).all():
        reason = cell.why_undefined(metric.on) or metric.why_undefined(cell.labels)
        return {"value": None, "low": None, "high": None, "undefined": reason}
    bounds = interval(drawn) if drawn is not None else None
    return {
        "value": float(np.mean(values)),
        "low": bounds[0] if bounds else None,
        "high": bounds[1] if bounds else None,
        "seed_sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "seed_min": float(np.min(values)),
        "seed_max": float(np.max(values)),
        **({} if bounds else {"undefined": _NO_INTERVAL[metric.resampled is None]}),
    }


def _reason(reason: str | None) -> dict[str, str]:
    return {"undefined": reason} if reason else {}
