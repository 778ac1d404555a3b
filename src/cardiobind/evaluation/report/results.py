"""Sections about how well the models predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.cells import BINARY
from cardiobind.evaluation.figures import forest
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html, kinds, terms
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.differences import record
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import (
    HEADLINES,
    estimate_text,
    kinds_of,
    of_kind,
    percent,
    table_rows,
    undefined_notes,
)

CALIBRATION = ("brier", "ece", "calibration_slope", "calibration_intercept", "brier_recalibrated", "ece_recalibrated")
_DECISIONS = ("balanced_accuracy", "sensitivity", "specificity", "balanced_accuracy_at_half")
DECIDING: Mapping[str, tuple[str, ...]] = {"binary": ("balanced_accuracy", "auroc", "auprc", "brier_recalibrated")}
"""Metrics of the tables for papers, where they are others than those of the report."""
_MOST_IN_ONE_FOREST = 24


def headline(report: Report) -> str:
    """Return for each kind of endpoint the table of all models and a forest, then the best that could be had."""
    metrics = report.metrics
    parts = [
        html.paragraph(report.description) if report.description else "",
        html.paragraph(_how(metrics)),
        _terms(metrics),
        *(_of_kind(report, kind) for kind in kinds_of(metrics) or [BINARY]),
        _oracle(report),
    ]
    return "".join(parts)


def _terms(metrics: Mapping[str, Any]) -> str:
    told = terms.told(metrics)
    return html.paragraph(f"Short names. {'; '.join(told)}.", "source") if told else ""


def _of_kind(report: Report, kind: str) -> str:
    metrics, names = of_kind(report.metrics, kind), HEADLINES[kind]
    parts = [
        estimates(metrics, names, "Every model on the test subjects: mean over seeds (95 % interval)", counts=True),
        html.downloads(results_table(report.metrics, kind)),
        _unlike_subjects(metrics),
    ]
    parts += _forests(metrics, names[0])
    if kind == BINARY:
        parts.append(html.heading("Decisions at the threshold chosen on validation"))
        parts.append(estimates(metrics, _DECISIONS, "Decisions on the test subjects: mean over seeds (95 % interval)"))
    parts += [
        _seed_table(metrics, names),
        html.paragraph(report.source("results", "metrics.json"), "source"),
        kinds.pictures(report, kind),
    ]
    return "".join(parts)


def results_table(metrics: Mapping[str, Any], kind: str) -> PaperTable:
    """Return the main table of one kind of endpoint; its records hold every metric with all its intervals."""
    own = of_kind(metrics, kind)
    names = DECIDING.get(kind, HEADLINES[kind])
    return PaperTable(
        f"results_{kind}", "Every model on the test subjects: mean over seeds (95 % interval over test subjects)",
        table_rows(own, names), [line for cell in own["cells"] for line in _records(cell)], 4,
        undefined_notes(own, [n for n in names if METRICS[n].resampled]),
    )  # fmt: skip


def _records(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    keys = ("task", "kind", "arm", "inputs", "fraction", "n", "subjects", "positives")
    facts = {key: cell.get(key) for key in keys} | {"seeds": len(cell["seeds"])}
    return [{**facts, "metric": name, **record(estimate)} for name, estimate in cell["metrics"].items()]


def _forests(metrics: Mapping[str, Any], name: str) -> list[str]:
    """Return one forest of all models, or one for each task and inputs where they are many."""
    cells = [c for c in metrics["cells"] if c["metrics"].get(name, {}).get("value") is not None]
    groups = [cells][: len(cells)] if len(cells) <= _MOST_IN_ONE_FOREST else _by_inputs(cells)
    found = []
    for group in groups:
        places = list(dict.fromkeys((c["task"], c["inputs"]) for c in group))
        title = ", ".join(map(str, places[0])) if len(groups) > 1 else ""
        alt = f"Forest plot {title}: {METRICS[name].title} of each model with its 95 % interval; numbers in the table."
        figure = html.picture(forest({**metrics, "cells": group}, metric=name), alt)
        found.append((html.heading(f"{METRICS[name].title}: {title}") if title else "") + figure)
    return found


def _by_inputs(cells: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["task"], cell["inputs"]), []).append(cell)
    return list(groups.values())


def _how(metrics: Mapping[str, Any]) -> str:
    if BINARY not in (kinds_of(metrics) or [BINARY]):
        return (
            "What was chosen was chosen on validation subjects; the numbers are of test subjects alone. Intervals are "
            f"expanded percentiles of {metrics['resamples']} bootstrap resamples of test subjects; they hold the "
            "trained models fixed, so the spread over training seeds is given apart."
        )
    return (
        f"Thresholds and recalibration come from the {metrics['threshold_from']} split, everything else from the test "
        f"split. Intervals are expanded percentiles of {metrics['resamples']} bootstrap resamples of test subjects, "
        "by class where a metric does not depend on how many are ill; they hold the trained models fixed, so the "
        "spread over training seeds is given apart, and intervals over other trainings are in metrics.json."
    )


def estimates(metrics: Mapping[str, Any], names: Sequence[str], caption: str, *, counts: bool = False) -> str:
    """Return a table of some metrics of all models, followed by why any of them is undefined.

    Args:
        metrics: with cells of one kind of endpoint.
        names: metrics, a column each.
        caption: above.
        counts: whether seeds and test subjects are shown.
    """
    rows = table_rows(metrics, names)
    if len({row[0] for row in rows[1:]}) == 1:
        caption, rows = f"{caption}. Task: {rows[1][0]}.", [row[1:] for row in rows]
    words = rows[0].index("Seeds")
    shown = rows if counts else [row[:words] + row[words + 2 :] for row in rows]
    notes = undefined_notes(metrics, [n for n in names if METRICS[n].resampled])
    return html.table(shown, caption, text_columns=words, fold=not counts) + (html.bullets(notes) if notes else "")


def _unlike_subjects(metrics: Mapping[str, Any]) -> str:
    if len({cell["inputs"] for cell in metrics["cells"]}) < 2:
        return ""
    return html.paragraph(
        "Rows with different inputs have different test subjects, namely those who have these inputs: compare models "
        "within the same inputs only."
    )


def _seed_table(metrics: Mapping[str, Any], names: Sequence[str]) -> str:
    cells = [cell for cell in metrics["cells"] if len(cell["seeds"]) > 1]
    if not cells:
        return html.paragraph("Every model was trained with one seed, so the spread over seeds is not known.")
    header = ["Model", "Inputs", "Labels", *(METRICS[name].title for name in names)]
    rows = [
        [cell["arm"], cell["inputs"], percent(cell["fraction"]), *(_spread(cell["metrics"][n]) for n in names)]
        for cell in cells
    ]
    spread = "Spread over training seeds: standard deviation (lowest–highest)"
    table = html.table([header, *rows], spread, text_columns=3, fold=True)
    return table + _named_intervals(metrics, cells, names[0])


def _named_intervals(metrics: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return one metric with each interval by its name, where they were computed."""
    named: Mapping[str, str] = metrics.get("interval_names", {})
    if not named or not any(cell["metrics"][name].get("intervals") for cell in cells):
        return ""
    header = ["Model", "Inputs", "Labels", METRICS[name].title, *(key.replace("_", " ") for key in named)]
    rows = [
        [cell["arm"], cell["inputs"], percent(cell["fraction"]),
         estimate_text({"value": cell["metrics"][name]["value"]}),
         *(_bounds(cell["metrics"][name], key) for key in named)]
        for cell in cells
    ]  # fmt: skip
    caption = f"{METRICS[name].title}: which 95 % interval speaks of what"
    meanings = [f"{key.replace('_', ' ')}: {meaning}" for key, meaning in named.items()]
    return html.table([header, *rows], caption, text_columns=3, fold=True) + html.bullets(meanings)


def _bounds(estimate: Mapping[str, Any], name: str) -> str:
    found = estimate.get("intervals", {}).get(name, {})
    whole = estimate_text({"value": estimate["value"], "low": found.get("low"), "high": found.get("high")})
    return whole.partition("(")[2].rstrip(")") or "–"


def _spread(estimate: Mapping[str, Any]) -> str:
    if estimate.get("seed_sd") is None:
        return "–"
    return f"{estimate['seed_sd']:.3f} ({estimate['seed_min']:.3f}–{estimate['seed_max']:.3f})"


def _oracle(report: Report) -> str:
    entries = report.metrics.get("oracle", ())
    if not entries:
        return ""
    known = list(dict.fromkeys(n for e in entries for n in e.get("metrics", {})))
    names = [
        n for n in known if n not in METRICS or n in {*_DECISIONS, *(n for own in HEADLINES.values() for n in own)}
    ]
    header = ["Inputs", "Task", *(METRICS[n].title if n in METRICS else n for n in names)]
    rows = [
        [str(e.get("inputs", "")), str(e.get("task", "")), *(_oracle_text(e.get("metrics", {}).get(n)) for n in names)]
        for e in entries
    ]
    return html.heading("The best that can be had") + "".join(
        [
            html.paragraph(
                "On simulated data the truth is known, so the score of a predictor that knows the simulator is a "
                "ceiling: no model can be expected above it."
            ),
            html.table([header, *rows], "Ceiling by inputs", text_columns=2),
            html.paragraph(report.source("results", "metrics.json"), "source"),
        ]
    )


def _oracle_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return estimate_text(value)
    return "–" if value is None else f"{value:.3f}"
