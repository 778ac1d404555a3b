"""The section about paired differences between models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.figures import Difference, differences
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import estimate_text, percent

SHOWN = ("balanced_accuracy", "auroc", "auprc", "r2", "mae", "concordance", "macro_auroc")
_DRAWN = 3
_FURTHER_P = (
    ("p, Holm", ("p_holm",)), ("p, subjects and trainings, Holm", ("both", "p_holm")), ("p, DeLong", ("delong", "p")),
)  # fmt: skip
_MOST_PICTURES = 8


def comparisons(report: Report) -> str:
    """Return paired differences between models as forests and as a table, or nothing without comparisons."""
    entries = _shown(report.metrics)
    if not entries:
        return ""
    resamples = int(report.metrics["resamples"])
    table = differences_table(report.metrics)
    return "".join(
        [
            html.paragraph(
                "Both models are scored on the same test subjects under the same resamples, so what is hard for "
                f"both cancels out. p is two-sided, from the bootstrap; the smallest it can be is at least "
                f"2 / ({resamples} resamples + 1), and more where few have the endpoint. "
                f"{_correction(entries, resamples)} Other metrics are compared in metrics.json."
            ),
            *_pictures(entries, resamples),
            html.paper_table(table),
            html.paragraph(report.source("results", "metrics.json"), "source"),
        ]
    )


def differences_table(metrics: Mapping[str, Any]) -> PaperTable:
    """Return all paired differences; the shown metrics as rows, every metric as records."""
    entries, resamples = _shown(metrics), int(metrics["resamples"])
    several = len({e["task"] for e in entries}) > 1
    extra = [(title, path) for title, path in _FURTHER_P if any(_deep(e, *path) is not None for e in entries)]
    header = [
        *(["Task"] if several else []), "Model", "Baseline", "Inputs", "Labels", "Metric", "Test n",
        "Difference (95 % interval)", "p", *(title for title, _ in extra),
    ]  # fmt: skip
    rows = [
        [
            *([e["task"]] if several else []), e["arm"], e["baseline"], e["inputs"], percent(e["fraction"]),
            METRICS[e["metric"]].title, str(e["n"]), difference_text(e), p_text(e["p"], resamples),
            *(p_text(_deep(e, *path)) for _, path in extra),
        ]
        for e in entries
    ]  # fmt: skip
    notes = sorted({f"{e['arm']} on {e['inputs']}: {e['undefined']}" for e in entries if e.get("undefined")})
    return PaperTable(
        "differences", "Paired differences, model minus baseline", [header, *rows],
        [record(e) for e in metrics.get("comparisons", ())], header.index("Test n"), notes,
    )  # fmt: skip


def record(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of ``metrics.json`` as one flat line, ``delong.p`` for what lies within."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": inner for name, inner in record(value).items()}
        elif isinstance(value, list | tuple):
            flat[key] = " ".join(map(str, value))
        else:
            flat[key] = value
    return flat


def difference_text(entry: Mapping[str, Any]) -> str:
    """Return the difference of an entry with its interval."""
    return estimate_text({"value": entry["difference"], "low": entry["low"], "high": entry["high"]})


def p_text(p: float | None, resamples: int | None = None) -> str:
    """Return p as text, never smaller than the number of resamples allows.

    Args:
        p: None where there is none.
        resamples: of the bootstrap it comes from; None where it does not.
    """
    if p is None:
        return "–"
    floor = 0.0 if resamples is None else 2 / (resamples + 1)
    if p > floor * (1 + 1e-9) or floor >= 1:
        return "< 0.001" if p < 0.001 else f"{p:.3f}"
    return f"< {_rounded_up(floor)}"


def _shown(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [e for e in metrics.get("comparisons", ()) if e["metric"] in SHOWN]


def _correction(entries: Sequence[Mapping[str, Any]], resamples: int) -> str:
    sizes = {e.get("family_size") for e in entries if e.get("p_holm") is not None}
    if not sizes:
        return "It is not corrected for multiple comparisons."
    known = sorted(int(size) for size in sizes if size is not None)
    many, largest = ", ".join(map(str, known)), max(known, default=1)
    return (
        f"p (Holm) is corrected over all comparisons of one metric in this run ({many} of them), so the smallest it "
        f"can be with these resamples is at least {min(1.0, 2 * largest / (resamples + 1)):.2g}; intervals are not "
        "corrected. The p over subjects and trainings (Student's t, several seeds) speaks of other trainings too and "
        "has no such bound. DeLong's test of AUROC is a second opinion that needs no resampling."
    )


def _pictures(entries: Sequence[Mapping[str, Any]], resamples: int) -> list[str]:
    pairs = list(dict.fromkeys((e["task"], e["arm"], e["baseline"]) for e in entries))
    tasks = len({task for task, _, _ in pairs}) > 1
    found = []
    for task, arm, baseline in pairs[:_MOST_PICTURES]:
        own = [e for e in entries if (e["task"], e["arm"], e["baseline"]) == (task, arm, baseline)]
        grouped = len({e["fraction"] for e in own}) > 1
        rows = [_row(e, resamples, grouped=grouped) for e in own if e["difference"] is not None]
        metrics = sorted(dict.fromkeys(row.panel for row in rows), key=_place)[:_DRAWN]
        rows = [row for name in metrics for row in rows if row.panel == name]
        if not rows:
            continue
        title = f"{arm} against {baseline}" + (f", {task}" if tasks else "")
        figure = differences(rows, left="baseline better", right="model better", title=title)
        alt = f"Forest of paired differences, {title}; the numbers are in the table below."
        found.append(html.picture(figure, alt, "Filled: the 95 % interval over test subjects leaves out zero."))
    if len(pairs) > _MOST_PICTURES:
        found.append(html.paragraph(f"{len(pairs) - _MOST_PICTURES} further pairs are in the table alone."))
    return found


def _row(entry: Mapping[str, Any], resamples: int, *, grouped: bool) -> Difference:
    metric = METRICS[entry["metric"]]
    adjusted = entry.get("p_holm")
    note = f"p {p_text(entry['p'], resamples)}" if adjusted is None else f"Holm p {p_text(adjusted)}"
    sign = -1.0 if metric.better == "lower" else 1.0
    low, high = (None if entry[k] is None else sign * entry[k] for k in ("low", "high"))
    ends = (low, high) if sign > 0 else (high, low)
    panel = metric.title if sign > 0 else f"−{metric.title}"
    inputs, labels = str(entry["inputs"]), f"{percent(entry['fraction'])} of the labels"
    names = (inputs, labels) if grouped else ("", inputs)
    return Difference(*names, panel, sign * entry["difference"], *ends, note)


def _place(panel: str) -> int:
    titles = [METRICS[name].title for name in SHOWN]
    return titles.index(panel.removeprefix("−")) if panel.removeprefix("−") in titles else len(titles)


def _deep(entry: Mapping[str, Any], *path: str) -> Any:
    found: Any = entry
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _rounded_up(value: float) -> str:
    digits = max(3, -math.floor(math.log10(value)))
    return f"{math.ceil(value * 10**digits) / 10**digits:.{digits}f}"
