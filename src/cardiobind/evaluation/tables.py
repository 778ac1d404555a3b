"""Results as plain rows and as Markdown, for terminals, pull requests and papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.errors import UnknownNameError
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.uncertainty.components import INTERVAL_NAMES, OF_SUBJECTS
from cardiobind.registry import did_you_mean

HEADLINE = ("auroc", "auprc", "balanced_accuracy", "brier", "calibration_slope")
HEADLINES: Mapping[str, tuple[str, ...]] = {
    "binary": HEADLINE,
    "multilabel": ("macro_auroc", "macro_auprc"),
    "regression": ("r2", "mae", "rmse", "pearson"),
    "survival": ("concordance",),
}
"""Metrics of the main table, by kind of endpoint; the first is the one that pictures show."""
_COUNTED = {"binary": "Test n (positive)", "survival": "Test n (events)"}


def estimate_text(estimate: Mapping[str, Any], digits: int = 3, interval: str = OF_SUBJECTS) -> str:
    """Return ``0.812 (0.771–0.850)``, ``−0.010 (−0.020 to 0.001)``, or a dash where the value is undefined.

    Args:
        estimate: value, low and high; the latter may be None.
        digits: decimals.
        interval: name of the interval shown, see `INTERVAL_NAMES`.
    """
    bounds = estimate if interval == OF_SUBJECTS else estimate.get("intervals", {}).get(interval, {})
    value, low, high = (
        _number(found.get(key), digits) for found, key in ((estimate, "value"), (bounds, "low"), (bounds, "high"))
    )
    if value is None:
        return "–"
    if low is None or high is None:
        return value
    return f"{value} ({low} to {high})" if "−" in low + high else f"{value} ({low}–{high})"


def kinds_of(metrics: Mapping[str, Any]) -> list[str]:
    """Return the kinds of endpoints that were measured, in order; metrics written without kinds are binary."""
    return list(dict.fromkeys(_kind(cell) for cell in metrics["cells"]))


def of_kind(metrics: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the metrics with the cells of one kind of endpoint alone."""
    return {**metrics, "cells": [cell for cell in metrics["cells"] if _kind(cell) == kind]}


def table_rows(
    metrics: Mapping[str, Any], names: Sequence[str] = HEADLINE, *, interval: str = OF_SUBJECTS
) -> list[list[str]]:
    """Return the results as rows of text, the header first.

    Args:
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`.
        names: metrics, a column each.
        interval: name of the intervals shown, see `INTERVAL_NAMES`.

    Raises:
        UnknownNameError: no metric or no interval of that name.
    """
    if interval not in INTERVAL_NAMES:
        raise UnknownNameError(f"unknown interval {interval!r}", hint=did_you_mean(interval, list(INTERVAL_NAMES)))
    for name in names:
        if name not in METRICS:
            raise UnknownNameError(f"unknown metric {name!r}", hint=did_you_mean(name, list(METRICS)))
    kinds = {METRICS[name].kinds[0] for name in names}
    counted = _COUNTED.get(kinds.pop() if len(kinds) == 1 else "", "Test n")
    header = ["Task", "Model", "Inputs", "Labels", "Seeds", counted, *(METRICS[n].title for n in names)]
    return [header, *(_row(cell, names, interval) for cell in metrics["cells"])]


def markdown_table(
    metrics: Mapping[str, Any], names: Sequence[str] | None = None, *, interval: str = OF_SUBJECTS
) -> str:
    """Return the results as a Markdown table, followed by what its intervals are and why any value is undefined.

    Args:
        metrics: result of `cardiobind.evaluation.evaluate.evaluate`.
        names: metrics, a column each; None for a table of each kind of endpoint with its own.
        interval: name of the intervals shown, see `INTERVAL_NAMES`.
    """
    if names is None:
        kinds = kinds_of(metrics) or ["binary"]
        return "\n".join(markdown_table(of_kind(metrics, kind), HEADLINES[kind], interval=interval) for kind in kinds)
    rows = table_rows(metrics, names, interval=interval)
    lines = ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    notes = [f"In brackets: {INTERVAL_NAMES[interval]}.", *undefined_notes(metrics, names)]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def undefined_notes(metrics: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return a sentence for each reason that a value or an interval of the table is undefined."""
    found: dict[str, list[str]] = {}
    for cell in metrics["cells"]:
        for name in names:
            reason = cell["metrics"].get(name, {}).get("undefined")
            if reason:
                cell_name = f"{cell['arm']} on {cell['inputs']} at {percent(cell['fraction'])}"
                found.setdefault(f"{cell_name}: {reason}", []).append(METRICS[name].title)
    return [f"{', '.join(titles)}, {place}." for place, titles in found.items()]


def percent(fraction: float) -> str:
    """Return ``10 %`` for 0.1."""
    return f"{100 * fraction:.3g} %"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}".replace("-", "−")


def _row(cell: Mapping[str, Any], names: Sequence[str], interval: str) -> list[str]:
    return [
        str(cell["task"]), str(cell["arm"]), str(cell["inputs"]), percent(cell["fraction"]), str(len(cell["seeds"])),
        _count(cell), *(estimate_text(cell["metrics"].get(name, {}), interval=interval) for name in names),
    ]  # fmt: skip


def _count(cell: Mapping[str, Any]) -> str:
    return str(cell["n"]) if cell["positives"] is None else f"{cell['n']} ({cell['positives']})"


def _kind(cell: Mapping[str, Any]) -> str:
    return str(cell.get("kind", "binary"))
