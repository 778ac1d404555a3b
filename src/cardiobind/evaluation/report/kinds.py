"""Results of endpoints that are not binary: a table with intervals, a forest and a picture of each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cardiobind.evaluation.cells import Cell, read_cells
from cardiobind.evaluation.figures import Agreement, BrierCurve, RiskScores, agreement, brier_over_time, events_by_risk
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.choice import choose, looks_of, value_text
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.tables import estimate_text, percent


def pictures(report: Report, kind: str) -> str:
    """Return the pictures of one kind of endpoint, one for each set of inputs; none without predictions."""
    draw = _PICTURES.get(kind)
    if report.predictions is None or draw is None:
        return ""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in read_cells(report.predictions):
        if cell.kind == kind and len(cell.labels):
            groups.setdefault((cell.task, cell.inputs), []).append(cell)
    parts = []
    for (task, inputs), cells in groups.items():
        most = max(cell.fraction for cell in cells)
        chosen = choose(report.metrics, [cell for cell in cells if cell.fraction == most])
        parts.append(html.heading(f"{task}, {inputs}, {percent(most)} of the labels") + draw(report.metrics, chosen))
    return "".join(parts) + html.paragraph(report.source("curves", "predictions.parquet"), "source") if parts else ""


def _agreement(metrics: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    models = [Agreement(_title(metrics, cell, "r2"), cell.labels, cell.values["score"].mean(axis=0)) for cell in cells]
    alt = f"Predicted over measured values of {cells[0].task}; the numbers are in the table above."
    caption = "A point is a test subject, its prediction the mean over seeds; dotted: equality."
    return html.picture(agreement(models, quantity=cells[0].task), alt, caption, raster=True)


def _by_risk(metrics: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    models = [
        RiskScores(_title(metrics, c, "concordance"), c.labels[:, 0], c.labels[:, 1], c.values["score"].mean(axis=0))
        for c in cells
        if c.labels[:, 1].any()
    ]
    if not models:
        return html.paragraph("No test subject has the event.")
    alt = f"Share with the event over time in thirds of the predicted risk, {cells[0].task}."
    caption = "Test subjects in thirds of the predicted risk, the mean over seeds: number, and number of events."
    return html.picture(events_by_risk(models), alt, caption) + _over_time(metrics, cells)


def _over_time(metrics: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """Return the Brier score over time and how risks hold at horizons, where they were measured."""
    entries = [(cell, entry) for cell in cells if (entry := _entry(metrics, cell).get("over_time"))]
    drawn = [(cell, entry["brier"]) for cell, entry in entries if entry.get("brier")]
    styles = looks_of(metrics)
    curves = [
        BrierCurve(
            cell.arm, [p["days"] for p in points], [p["value"] for p in points], [p["reference"] for p in points],
            styles[cell.arm],
        )
        for cell, points in drawn
    ]  # fmt: skip
    alt = "Brier score of each model over time, beside that of one risk for all; lower is better."
    return (html.picture(brier_over_time(curves), alt) if curves else "") + _horizons(entries)


def _horizons(entries: Sequence[tuple[Cell, Mapping[str, Any]]]) -> str:
    header = [
        "Model", "Years", "Events", "At risk", "AUROC", "Brier", "Brier of one risk", "Predicted", "Observed",
        "Observed / expected", "Calibration slope",
    ]  # fmt: skip
    rows = [
        [
            cell.arm, f"{at['years']:.3g}", str(at["events"]), str(at["at_risk"]), estimate_text(at.get("auroc") or {}),
            estimate_text(at.get("brier") or {}), *(_plain(at.get(k)) for k in ("brier_reference", "predicted")),
            *(estimate_text(at.get(k) or {}) for k in ("observed", "observed_over_expected", "calibration_slope")),
        ]
        for cell, entry in entries for at in entry.get("horizons", ())
    ]  # fmt: skip
    return html.table([header, *rows], "Risk by a time: test subjects, mean over seeds (95 % interval)") if rows else ""


def _plain(value: Any) -> str:
    return estimate_text(value if isinstance(value, Mapping) else {"value": value})


def _entry(metrics: Mapping[str, Any], cell: Cell) -> Mapping[str, Any]:
    key = (cell.task, cell.arm, cell.inputs, cell.fraction)
    found = (e for e in metrics["cells"] if (e["task"], e["arm"], e["inputs"], e["fraction"]) == key)
    return next(found, {})


def _title(metrics: Mapping[str, Any], cell: Cell, name: str) -> str:
    return f"{cell.arm}\n{METRICS[name].title} {value_text(metrics, cell, name)}"


_PICTURES: Mapping[str, Callable[[Mapping[str, Any], Sequence[Cell]], str]] = {
    "regression": _agreement,
    "survival": _by_risk,
}
