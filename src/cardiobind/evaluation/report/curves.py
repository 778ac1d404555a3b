"""Sections of pictures of test scores: ROC, precision-recall, calibration, decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cardiobind.evaluation.cells import BINARY, Cell, read_cells
from cardiobind.evaluation.figures import Curve, decision_curve, precision_recall, reliability, roc
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.choice import choose, left_out, looks_of, value_text
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.results import CALIBRATION, estimates
from cardiobind.evaluation.tables import of_kind, percent

_WITH_BAND = 2
_BANDS = "Shaded: 95 % bootstrap band at each point, over test subjects, of the first two models."


def curves(report: Report) -> str:
    """Return ROC and precision-recall curves for each set of inputs, or nothing without predictions."""
    parts = []
    for name, cells in _groups(report):
        models = ", ".join(cell.arm for cell in cells)
        caption = _BANDS + left_out(report.metrics, [cell.arm for cell in cells])
        pictures = [
            html.picture(
                roc(_curves(report, cells, "auroc"), title="ROC (AUROC)"), f"ROC curves on {name}: {models}.", caption
            ),
            html.picture(
                precision_recall(_curves(report, cells, "auprc"), title="Precision and recall (AUPRC)"),
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
        estimates(metrics, CALIBRATION, "Calibration on the test subjects: mean over seeds (95 % interval)"),
        html.paragraph(report.source("results", "metrics.json"), "source"),
    ]
    for name, cells in _groups(report):
        parts += [html.heading(name), *_calibration_pictures(report, name, cells)]
    if report.predictions is not None:
        parts.append(html.paragraph(report.source("curves", "predictions.parquet"), "source"))
    return "".join(parts)


def _calibration_pictures(report: Report, name: str, cells: Sequence[Cell]) -> list[str]:
    fitted = [cell for cell in cells if not cell.why_undefined("recalibrated")]
    if not fitted:
        return [_reliability(report, name, cells, "score", "Scores as they are")]
    return [_reliability(report, name, fitted, "recalibrated", "Recalibrated"), _decision(report, name, fitted)]


def _curves(report: Report, cells: Sequence[Cell], metric: str) -> list[Curve]:
    styles = looks_of(report.metrics)
    return [
        Curve(
            f"{cell.arm} ({value_text(report.metrics, cell, metric)})", cell.labels, cell.values["score"],
            cell.subject_index, place < _WITH_BAND, styles.get(cell.arm),
        )
        for place, cell in enumerate(cells)
    ]  # fmt: skip


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
        chosen = choose(report.metrics, [cell for cell in group if cell.fraction == most])
        found.append((f"{task}, {inputs}, {percent(most)} of the labels", chosen))
    return found


def _reliability(report: Report, name: str, cells: Sequence[Cell], on: str, title: str) -> str:
    styles = looks_of(report.metrics)
    drawn = [Curve(c.arm, c.labels, c.values[on], c.subject_index, look=styles.get(c.arm)) for c in cells]
    alt = f"Reliability diagram on {name}, {title.lower()}; the numbers are in the table above."
    return html.picture(reliability(drawn, title=title), alt, "Bars: 95 % Wilson intervals of the observed frequency.")


def _decision(report: Report, name: str, cells: Sequence[Cell]) -> str:
    styles = looks_of(report.metrics)
    drawn = [Curve(c.arm, c.labels, c.values["recalibrated"], look=styles.get(c.arm)) for c in cells]
    bands = {c.arm: band for c in cells[:_WITH_BAND] if (band := _benefit_band(report.metrics, c))}
    caption = (
        "Net benefit of acting at a risk, after recalibration: true positives less false positives, the latter weighed "
        "by the odds of that risk. A model helps where its line is above both acting on all and acting on none."
    )
    return html.picture(
        decision_curve(drawn, title="Decision curve", bands=bands),
        f"Net benefit on {name} over the risk at which one would act, after recalibration.",
        caption + (f" {_BANDS}" if bands else ""),
    )


def _benefit_band(metrics: Mapping[str, Any], cell: Cell) -> list[tuple[float, float, float]]:
    key = (cell.task, cell.arm, cell.inputs, cell.fraction)
    for entry in metrics["cells"]:
        if (entry["task"], entry["arm"], entry["inputs"], entry["fraction"]) == key:
            points = entry.get("net_benefit", {}).get("points", ())
            bounds = [(p["threshold"], p["net_benefit"]["low"], p["net_benefit"]["high"]) for p in points]
            return [bound for bound in bounds if None not in bound]
    return []
