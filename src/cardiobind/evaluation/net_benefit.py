"""Net benefit: what acting on a risk above a threshold brings, in true positives a subject, beside acting on all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cardiobind.evaluation.cells import Cell
from cardiobind.evaluation.resampler import Resampler, plain_estimate

Floats = NDArray[np.float64]

RISK_THRESHOLDS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Risks at which one would act, as ``metrics.json`` gives the net benefit at them."""
_ON = "recalibrated"


def net_benefit(labels: Floats, risks: Floats, thresholds: Floats, counts: Floats) -> Floats:
    """Return true positives less false positives at the odds of the threshold, a subject, (resamples, k).

    Args:
        labels: (n,) 0 or 1.
        risks: (n,) calibrated.
        thresholds: (k,) in (0, 1); a risk at or above one is acted on.
        counts: (resamples, n) how often each row was drawn.

    Source:
        Vickers and Elkin 2006, Medical Decision Making 26:565-574.
    """
    acted = (risks[:, None] >= thresholds).astype(np.float64)
    worth = labels[:, None] - (1 - labels[:, None]) * (thresholds / (1 - thresholds))
    return np.asarray(counts @ (acted * worth) / counts.sum(axis=1, keepdims=True))


def net_benefits(cell: Cell, sampler: Resampler) -> dict[str, Any]:
    """Return the decision curve of a binary cell after logistic recalibration, at `RISK_THRESHOLDS`, with intervals.

    ``gain`` is over the better of acting on all and on none. A mean over seeds; the intervals are of other test
    subjects, of whom another share may be ill.
    """
    reason = cell.why_undefined(_ON) or (None if len(cell.labels) else "no labelled rows in the test split")
    if reason:
        return {"recalibration": "logistic", "points": [], "undefined": reason}
    thresholds = np.array(RISK_THRESHOLDS)
    once = np.ones((1, len(cell.labels)))
    value, on_all = (_mean(cell, thresholds, once, everyone=everyone)[0] for everyone in (False, True))
    blocks = list(sampler.blocks(cell, stratified=False))
    drawn = np.concatenate([_mean(cell, thresholds, counts) for counts in blocks])
    gains = drawn - np.maximum(0.0, np.concatenate([_mean(cell, thresholds, c, everyone=True) for c in blocks]))
    subjects, gain = sampler.subjects(cell), value - np.maximum(0.0, on_all)
    return {
        "recalibration": "logistic",
        "prevalence": float(np.mean(cell.labels)),
        "treat_none": 0.0,
        "points": [
            {
                "threshold": float(thresholds[k]), "treat_all": float(on_all[k]),
                "net_benefit": plain_estimate(value[k], drawn[:, k], subjects),
                "gain": plain_estimate(gain[k], gains[:, k], subjects),
            }
            for k in range(len(thresholds))
        ],
    }  # fmt: skip


def _mean(cell: Cell, thresholds: Floats, counts: Floats, *, everyone: bool = False) -> Floats:
    if everyone:
        return net_benefit(cell.labels, np.ones(len(cell.labels)), thresholds, counts)
    each = [net_benefit(cell.labels, risks, thresholds, counts) for risks in cell.values[_ON]]
    return np.asarray(np.mean(each, axis=0))
