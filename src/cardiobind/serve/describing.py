"""What a server says of its bundle, so that a page can build its form."""

from __future__ import annotations

import math
from typing import Any

from cardiobind.inference import NOTICE, BundleContract, Predictor
from cardiobind.inference.bundle import card_of
from cardiobind.modalities.features import FEATURE_BY_NAME
from cardiobind.modalities.features.wording import title_and_unit
from cardiobind.modalities.tabular.contract import TableColumn


def describe(predictor: Predictor, *, explains: bool) -> dict[str, Any]:
    """Return what ``/v1/model`` answers, JSON-compatible.

    Args:
        predictor: the bundle.
        explains: whether scores can be explained.
    """
    contract = predictor.contract
    return {
        "task": contract.task,
        "title": contract.title,
        "kind": contract.kind,
        "unit": contract.unit or None,
        "bundle": predictor.artifact.digest,
        "inputs": [m for m in ("ecg", "cmr", "tabular") if m in contract.inputs],
        "facts": [] if contract.table is None else [_fact(column) for column in contract.table.columns],
        "calibration": {inputs: _calibration(contract, inputs) for inputs in sorted(contract.calibration)},
        "cohort": _cohort(contract),
        "explains": explains,
        "card": card_of(predictor.artifact),
        "notice": NOTICE,
    }


def _cohort(contract: BundleContract) -> dict[str, Any] | None:
    """Return how the risks of validation subjects' visits lie by input set, None where the bundle does not know."""
    if not contract.risks:
        return None
    known = contract.summary.get("splits", {}).get("validation", {})
    return {
        "n": known.get("samples"),
        "positive": known.get("positive"),
        "of": "visits of validation subjects",
        "risks": {
            inputs: {"edges": list(one.edges), "counts": list(one.counts)} for inputs, one in contract.risks.items()
        },
    }


def _calibration(contract: BundleContract, inputs: str) -> dict[str, Any]:
    known = contract.calibration[inputs]
    certain = contract.certainty.get(inputs)
    return {
        "calibrated": known.slope is not None,
        "validated_on": None if certain is None else certain.subjects,
        "threshold": known.threshold,
        "reason": known.reason,
    }


def _fact(column: TableColumn) -> dict[str, Any]:
    title, unit = title_and_unit(FEATURE_BY_NAME.get(column.name, column.feature))
    return {
        "name": column.name,
        "title": title,
        "unit": unit or None,
        "kind": column.kind,
        "low": column.low if math.isfinite(column.low) else None,
        "high": column.high if math.isfinite(column.high) else None,
        "categories": list(column.categories),
    }
