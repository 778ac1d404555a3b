"""The section about labels: what more of them bring, how many a baseline needs to keep up, what gap is closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.figures import label_efficiency
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.choice import baselines_of, left_out, shown_arms
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.differences import record
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import HEADLINES, estimate_text, kinds_of, percent

_ALSO = {"binary": ("balanced_accuracy",)}


def efficiency(report: Report) -> str:
    """Return metrics over the share of labels, with label-efficiency factors and gaps closed where they are known."""
    parts = [_curves(report), _factors(report.metrics), _gaps(report.metrics)]
    if not any(parts):
        return ""
    return "".join(parts) + html.paragraph(report.source("results", "metrics.json"), "source")


def factor_table(metrics: Mapping[str, Any]) -> PaperTable | None:
    """Return how many times the share of its labels a baseline needs to match an arm, or nothing where not known."""
    entries = metrics.get("label_efficiency", ())
    if all(entry.get("factor") is None for entry in entries):
        return None
    header = ["Model", "Baseline", "Task", "Inputs", "Labels", "Metric", "Value", "Factor (95 % interval)"]
    rows = [
        [
            str(e["arm"]), str(e["baseline"]), str(e["task"]), str(e["inputs"]), percent(e["fraction"]),
            METRICS[e["metric"]].title, estimate_text({"value": e.get("value")}), _factor(e),
        ]
        for e in entries
    ]  # fmt: skip
    caption = "Label efficiency: share of its own labels that the baseline needs for the same value, over the model's"
    notes = sorted({f"{e['arm']} on {e['inputs']}: {e['undefined']}" for e in entries if e.get("undefined")})
    return PaperTable("label_efficiency", caption, [header, *rows], [record(e) for e in entries], 6, notes)


def gap_table(metrics: Mapping[str, Any]) -> PaperTable | None:
    """Return what share of the gap between baseline and ceiling an arm closes, or nothing without a ceiling."""
    entries = metrics.get("gap_closed", ())
    if all(entry.get("share") is None for entry in entries):
        return None
    header = [
        "Model", "Baseline", "Task", "Inputs", "Labels", "Metric", "Baseline's", "Model's", "Ceiling",
        "Gap closed (95 % interval)",
    ]  # fmt: skip
    rows = [
        [
            str(e["arm"]), str(e["baseline"]), str(e["task"]), str(e["inputs"]), percent(e["fraction"]),
            METRICS[e["metric"]].title,
            *(estimate_text({"value": e.get(f"{who}_value")}) for who in ("baseline", "arm", "oracle")), _share(e),
        ]
        for e in entries
    ]  # fmt: skip
    notes = sorted({f"{e['arm']} on {e['inputs']}: {e['undefined']}" for e in entries if e.get("undefined")})
    caption = "Share of the gap between baseline and ceiling that a model closes"
    return PaperTable("gap_closed", caption, [header, *rows], [record(e) for e in entries], 6, notes)


def _curves(report: Report) -> str:
    metrics = report.metrics
    if len({cell["fraction"] for cell in metrics["cells"]}) < 2:
        return ""
    baselines, shown = baselines_of(metrics), shown_arms(metrics)
    caption = (
        "Bars are 95 % intervals over test subjects."
        + (" Dashed: baselines." if baselines else "")
        + left_out(metrics, shown).replace("Not drawn, in the tables alone", "Grey")
    )
    words = "over the share of training labels, a line a model; the numbers are in the tables of results."
    return "".join(
        html.picture(
            label_efficiency(metrics, metric=name, baselines=baselines, labels=_labels(report), shown=shown),
            f"{METRICS[name].title} {words}",
            caption,
        )
        for kind in kinds_of(metrics)
        for name in (HEADLINES[kind][0], *_ALSO.get(kind, ()))
        if any(cell["metrics"].get(name, {}).get("value") is not None for cell in metrics["cells"])
    )


def _labels(report: Report) -> dict[float, str]:
    """Return how many labels each share is; a range where arms with other modalities have others."""
    counts: dict[float, list[int]] = {}
    for (_, fraction), n in report.training_labels.items():
        counts.setdefault(fraction, []).append(n)
    return {f: _range(found) for f, found in counts.items()}


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def _factors(metrics: Mapping[str, Any]) -> str:
    table = factor_table(metrics)
    if table is None:
        return ""
    words = (
        "A factor of 5 says that the baseline needs five times the share of its own labels to be as good. These are as "
        "many times the labels only where both models have the same training subjects. Where all labels that were "
        "tried do not suffice, the factor is only known to be more than that (>)."
    )
    return html.heading("Label efficiency factor") + html.paragraph(words) + html.paper_table(table)


def _gaps(metrics: Mapping[str, Any]) -> str:
    table = gap_table(metrics)
    if table is None:
        return ""
    words = (
        "On simulated data the ceiling is known: 0 % is the baseline, 100 % the best that can be had; below 0 % the "
        "model is worse than its baseline."
    )
    return html.heading("Gap closed") + html.paragraph(words) + html.paper_table(table)


def _factor(entry: Mapping[str, Any]) -> str:
    if entry.get("factor") is None:
        return "–"
    value = f"{_bound(entry, 'bound')}{entry['factor']:.3g}"
    if entry.get("low") is None or entry.get("high") is None:
        return value
    low, high = (f"{_bound(entry, f'{end}_bound')}{entry[end]:.3g}" for end in ("low", "high"))
    return f"{value} ({low} to {high})"


def _bound(entry: Mapping[str, Any], key: str) -> str:
    mark = entry.get(key) or ""
    return f"{mark} " if mark else ""


def _share(entry: Mapping[str, Any]) -> str:
    if entry.get("share") is None:
        return "–"
    ends = [entry.get(end) for end in ("low", "high")]
    words = [f"{100 * v:.0f}".replace("-", "−") for v in (entry["share"], *ends) if v is not None]
    return f"{words[0]} % ({words[1]} to {words[2]})" if len(words) == 3 else f"{words[0]} %"
