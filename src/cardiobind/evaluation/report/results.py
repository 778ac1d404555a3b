"""Sections about how well the models predict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cardiobind.evaluation.cells import BINARY, Cell, read_cells
from cardiobind.evaluation.figures import (
    Curve,
    decision_curve,
    forest,
    label_efficiency,
    precision_recall,
    reliability,
    roc,
)
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html, kinds
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.tables import (
    HEADLINES,
    estimate_text,
    kinds_of,
    of_kind,
    percent,
    table_rows,
    undefined_notes,
)

_CALIBRATION = ("brier", "ece", "calibration_slope", "calibration_intercept", "brier_recalibrated", "ece_recalibrated")
_DECISIONS = ("balanced_accuracy", "sensitivity", "specificity", "balanced_accuracy_at_half")
_SHOWN_DIFFERENCES = ("auroc", "auprc", "balanced_accuracy", "r2", "mae", "concordance", "macro_auroc")
_MOST_CURVES = 6


def headline(report: Report) -> str:
    """Return for each kind of endpoint the table of all models and a forest, then the best that could be had."""
    metrics = report.metrics
    parts = [
        html.paragraph(report.description) if report.description else "",
        html.paragraph(_how(metrics)),
        *(_of_kind(report, kind) for kind in kinds_of(metrics) or [BINARY]),
        _oracle(report),
    ]
    return "".join(parts)


def _of_kind(report: Report, kind: str) -> str:
    metrics, names = of_kind(report.metrics, kind), HEADLINES[kind]
    parts = [
        _estimates(metrics, names, "Every model on the test subjects: mean over seeds (95 % interval)", counts=True),
        _unlike_subjects(metrics),
    ]
    if _has(metrics, names[0]):
        title = METRICS[names[0]].title
        alt = f"Forest plot: {title} of each model with its 95 % interval; the numbers are in the table above."
        parts.append(html.picture(forest(metrics, metric=names[0]), alt))
    if kind == BINARY:
        parts.append(html.heading("Decisions at the threshold chosen on validation"))
        parts.append(_estimates(metrics, _DECISIONS, "Decisions on the test subjects: mean over seeds (95 % interval)"))
    parts += [
        _seed_table(metrics, names),
        html.paragraph(report.source("results", "metrics.json"), "source"),
        kinds.pictures(report, kind),
    ]
    return "".join(parts)


def comparisons(report: Report) -> str:
    """Return paired differences between models, or nothing without comparisons."""
    entries = [e for e in report.metrics.get("comparisons", ()) if e["metric"] in _SHOWN_DIFFERENCES]
    if not entries:
        return ""
    resamples = int(report.metrics["resamples"])
    header = ["Model", "Baseline", "Inputs", "Labels", "Metric", "Test n", "Difference (95 % interval)", "p"]
    rows = [
        [
            e["arm"], e["baseline"], e["inputs"], percent(e["fraction"]), METRICS[e["metric"]].title, str(e["n"]),
            _difference(e), "–" if e["p"] is None else _p(e["p"], resamples),
        ]
        for e in entries
    ]  # fmt: skip
    notes = [f"{e['arm']} on {e['inputs']}: {e['undefined']}" for e in entries if e.get("undefined")]
    return "".join(
        [
            html.paragraph(
                "Both models are scored on the same test subjects under the same resamples, so what is hard for "
                "both cancels out. p is two-sided, from the bootstrap, not corrected for multiple comparisons; it "
                f"cannot be smaller than 2 / ({resamples} resamples + 1). Other metrics are compared in metrics.json."
            ),
            html.table([header, *rows], "Paired differences, model minus baseline", text_columns=5),
            html.bullets(sorted(set(notes))) if notes else "",
            html.paragraph(report.source("results", "metrics.json"), "source"),
        ]
    )


def efficiency(report: Report) -> str:
    """Return the first metric over the share of labels, or nothing where only one share was used."""
    metrics = report.metrics
    shown = [HEADLINES[kind][0] for kind in kinds_of(metrics) if _has(metrics, HEADLINES[kind][0])]
    if len({cell["fraction"] for cell in metrics["cells"]}) < 2 or not shown:
        return ""
    baselines = list(dict.fromkeys(str(e["baseline"]) for e in metrics.get("comparisons", ())))
    caption = "Bars are 95 % intervals over test subjects." + (" Dashed: baselines." if baselines else "")
    words = "over the share of training labels, a line a model; the numbers are in the table of results."
    pictures = [
        html.picture(
            label_efficiency(metrics, metric=name, baselines=baselines), f"{METRICS[name].title} {words}", caption
        )
        for name in shown
    ]
    return "".join(pictures) + html.paragraph(report.source("results", "metrics.json"), "source")


def curves(report: Report) -> str:
    """Return ROC and precision-recall curves for each set of inputs, or nothing without predictions."""
    parts = []
    for name, cells in _groups(report):
        drawn = [Curve(f"{c.arm} ({_value(report.metrics, c, 'auroc')})", c.labels, c.values["score"]) for c in cells]
        precise = [Curve(f"{c.arm} ({_value(report.metrics, c, 'auprc')})", c.labels, c.values["score"]) for c in cells]
        models = ", ".join(cell.arm for cell in cells)
        pictures = [
            html.picture(roc(drawn, title="ROC (AUROC)"), f"ROC curves on {name}: {models}."),
            html.picture(
                precision_recall(precise, title="Precision and recall (AUPRC)"),
                f"Precision-recall curves on {name}: {models}.",
            ),
        ]
        parts.append(html.heading(name) + html.side_by_side(pictures))
    return "".join(parts) + html.paragraph(report.source("curves", "predictions.parquet"), "source") if parts else ""


def calibration(report: Report) -> str:
    """Return calibration figures, and reliability and decision curves where there are predictions."""
    metrics = of_kind(report.metrics, BINARY)
    if not metrics["cells"]:
        return ""
    parts = [
        html.paragraph(
            "Scores of models trained on re-weighted labels are not risks. Recalibration (Platt) is fitted on "
            "validation subjects and applied to test subjects; it does not change AUROC."
        ),
        _estimates(metrics, _CALIBRATION, "Calibration on the test subjects: mean over seeds (95 % interval)"),
        html.paragraph(report.source("results", "metrics.json"), "source"),
    ]
    for name, cells in _groups(report):
        pictures = [_reliability(name, cells, "score", "Scores as they are")]
        fitted = [cell for cell in cells if not cell.why_undefined("recalibrated")]
        if fitted:
            pictures += [_reliability(name, fitted, "recalibrated", "Recalibrated"), _decision(name, fitted)]
        parts.append(html.heading(name) + html.side_by_side(pictures))
    if report.predictions is not None:
        parts.append(html.paragraph(report.source("curves", "predictions.parquet"), "source"))
    return "".join(parts)


def _how(metrics: Mapping[str, Any]) -> str:
    if BINARY not in (kinds_of(metrics) or [BINARY]):
        return (
            "What was chosen was chosen on validation subjects; the numbers are of test subjects alone. Intervals are "
            f"percentiles of {metrics['resamples']} bootstrap resamples of test subjects; they hold the trained models "
            "fixed, so the spread over training seeds is given apart."
        )
    return (
        f"Thresholds and recalibration come from the {metrics['threshold_from']} split, everything else from the test "
        f"split. Intervals are percentiles of {metrics['resamples']} bootstrap resamples of test subjects, stratified "
        "by class; they hold the trained models fixed, so the spread over training seeds is given apart."
    )


def _estimates(metrics: Mapping[str, Any], names: Sequence[str], caption: str, *, counts: bool = False) -> str:
    rows = table_rows(metrics, names)
    if len({row[0] for row in rows[1:]}) == 1:
        caption, rows = f"{caption}. Task: {rows[1][0]}.", [row[1:] for row in rows]
    words = rows[0].index("Seeds")
    shown = rows if counts else [row[:words] + row[words + 2 :] for row in rows]
    notes = undefined_notes(metrics, [n for n in names if METRICS[n].resampled])
    return html.table(shown, caption, text_columns=words) + (html.bullets(notes) if notes else "")


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
    return html.table(
        [header, *rows], "Spread over training seeds: standard deviation (lowest–highest)", text_columns=3
    )


def _spread(estimate: Mapping[str, Any]) -> str:
    if estimate.get("seed_sd") is None:
        return "–"
    return f"{estimate['seed_sd']:.3f} ({estimate['seed_min']:.3f}–{estimate['seed_max']:.3f})"


def _oracle(report: Report) -> str:
    entries = report.metrics.get("oracle", ())
    if not entries:
        return ""
    names = list(dict.fromkeys(n for e in entries for n in e.get("metrics", {})))
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


def _difference(entry: Mapping[str, Any]) -> str:
    return estimate_text({"value": entry["difference"], "low": entry["low"], "high": entry["high"]})


def _p(p: float, resamples: int) -> str:
    floor = 2 / (resamples + 1)
    if p > floor * (1 + 1e-9) or floor >= 1:
        return "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"< {_rounded_up(floor)}"


def _rounded_up(value: float) -> str:
    digits = max(3, -math.floor(math.log10(value)))
    return f"{math.ceil(value * 10**digits) / 10**digits:.{digits}f}"


def _has(metrics: Mapping[str, Any], name: str) -> bool:
    return any(cell["metrics"].get(name, {}).get("value") is not None for cell in metrics["cells"])


def _value(metrics: Mapping[str, Any], cell: Cell, name: str) -> str:
    key = (cell.task, cell.arm, cell.inputs, cell.fraction)
    for entry in metrics["cells"]:
        if (entry["task"], entry["arm"], entry["inputs"], entry["fraction"]) == key:
            return estimate_text({"value": entry["metrics"][name]["value"]})
    return "–"


def _groups(report: Report) -> list[tuple[str, list[Cell]]]:
    if report.predictions is None:
        return []
    cells = [c for c in read_cells(report.predictions) if c.kind == BINARY and 0 < np.sum(c.labels) < len(c.labels)]
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.task, cell.inputs), []).append(cell)
    found = []
    for (task, inputs), group in groups.items():
        most = max(cell.fraction for cell in group)
        chosen = [cell for cell in group if cell.fraction == most][:_MOST_CURVES]
        found.append((f"{task}, {inputs}, {percent(most)} of the labels", chosen))
    return found


def _reliability(name: str, cells: Sequence[Cell], on: str, title: str) -> str:
    figure = reliability([Curve(c.arm, c.labels, c.values[on]) for c in cells], title=title)
    return html.picture(figure, f"Reliability diagram on {name}, {title.lower()}; the numbers are in the table above.")


def _decision(name: str, cells: Sequence[Cell]) -> str:
    figure = decision_curve([Curve(c.arm, c.labels, c.values["recalibrated"]) for c in cells], title="Decision curve")
    return html.picture(figure, f"Net benefit on {name} over the risk at which one would act, after recalibration.")
