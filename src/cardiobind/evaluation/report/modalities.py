"""The sections about what each modality adds, and about who the models work for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.figures import Difference, differences, subgroup_forest
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.choice import shown_arms
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.differences import p_text, record
from cardiobind.evaluation.report.group_differences import group_differences
from cardiobind.evaluation.table_files import PaperTable
from cardiobind.evaluation.tables import HEADLINES, estimate_text, percent

_SHOWN = ("auroc", "balanced_accuracy", "r2", "mae", "concordance", "macro_auroc")
_DRAWN_ARMS = 3


def gains(report: Report) -> str:
    """Return the paired gain of each set of inputs over each smaller one, or nothing where it was not measured."""
    table = gain_table(report.metrics)
    if table is None:
        return ""
    words = (
        "The same predictor scores the same test subjects with and without a modality, so the difference is what the "
        "modality adds for those who have all of the inputs in question. These subjects differ between the sets: those "
        "who have a cardiac MRI are not all who have an ECG. The predictor was trained on all modalities that it "
        "knows; of one that it does not see there is no row."
    )
    return "".join(
        [
            html.paragraph(words), *_gain_pictures(report.metrics), html.paper_table(table),
            html.paragraph(report.source("results", "metrics.json"), "source"),
        ]
    )  # fmt: skip


def gain_table(metrics: Mapping[str, Any]) -> PaperTable | None:
    """Return what each modality adds, full inputs minus fewer inputs, or nothing where it was not measured."""
    entries = [e for e in _nested(metrics) if e["metric"] in _SHOWN]
    if not entries:
        return None
    resamples = int(metrics["resamples"])
    header = [
        "Model", "Task", "Labels", "With", "Without", "Metric", "Test n", "With it", "Without it",
        "Gain (95 % interval)", "p, Holm" if any(e.get("p_holm") is not None for e in entries) else "p",
    ]  # fmt: skip
    rows = [
        [
            str(e["arm"]), str(e["task"]), percent(e["fraction"]), str(e["full"]), str(e["shown"]),
            METRICS[e["metric"]].title, str(e["n"]), estimate_text({"value": e.get("value_full")}),
            estimate_text({"value": e.get("value")}), estimate_text(_gain(e)), _p(e, resamples),
        ]
        for e in entries
    ]  # fmt: skip
    notes = sorted({f"{e['arm']}, {e['full']}: {e['undefined']}" for e in entries if e.get("undefined")})
    records = [record(e) for e in _nested(metrics)]
    return PaperTable(
        "modality_gains", "What a modality adds: all inputs minus fewer inputs, on the same test subjects",
        [header, *rows], records, 6, notes,
    )  # fmt: skip


def subgroups(report: Report) -> str:
    """Return the first metrics in each subgroup with counts, or nothing where no groups are known."""
    table = subgroup_table(report.metrics)
    if table is None:
        return ""
    words = (
        "Each row is one model on the test subjects of one group. Intervals in small groups are wide, and a difference "
        "between two groups is not tested. Where a group has too few of one class there is no number."
    )
    return "".join(
        [
            html.paragraph(words), *_group_pictures(report.metrics), html.paper_table(table),
            group_differences(report.metrics),
            html.paragraph(report.source("results", "metrics.json"), "source"),
        ]
    )  # fmt: skip


def subgroup_table(metrics: Mapping[str, Any]) -> PaperTable | None:
    """Return the metrics of the prominent arms by subgroup at the most labels, and records of all of them."""
    cells = [cell for cell in metrics["cells"] if cell.get("subgroups")]
    if not cells:
        return None
    most = {(c["task"], c["inputs"]): max(d["fraction"] for d in cells if _same(c, d)) for c in cells}
    arms = shown_arms(metrics)
    chosen = [c for c in cells if c["arm"] in arms and c["fraction"] == most[c["task"], c["inputs"]]]
    kinds = list(dict.fromkeys(str(c.get("kind", "binary")) for c in chosen))
    names = [n for kind in kinds for n in _of_groups(kind)]
    header = [
        "Group",
        "Level",
        "Model",
        "Task",
        "Inputs",
        "Labels",
        "Test n (positive)",
        *(METRICS[n].title for n in names),
    ]
    lines = [
        (str(g["group"]), str(g["level"]), [str(c["arm"]), str(c["task"]), str(c["inputs"]), percent(c["fraction"])], g)
        for c in chosen
        for g in c["subgroups"]
    ]  # fmt: skip
    order = list(dict.fromkeys((group, level) for group, level, _, _ in lines))
    lines.sort(key=lambda line: order.index((line[0], line[1])))
    rows = [
        [group, level, *words, _count(g), *(estimate_text(g.get("metrics", {}).get(n, {})) for n in names)]
        for group, level, words, g in lines
    ]
    notes = dict.fromkeys(
        f"{group} {level}, {words[2]}: {g['undefined']}" for group, level, words, g in lines if g.get("undefined")
    )
    return PaperTable(
        "subgroups", "Subgroups of the test subjects", [header, *rows], _group_records(cells), 6, list(notes)
    )


def _group_pictures(metrics: Mapping[str, Any]) -> list[str]:
    """Return a forest of the first model by subgroup for each task, on the inputs with the most test subjects."""
    found, first = [], shown_arms(metrics)[:1]
    cells = [c for c in metrics["cells"] if c.get("subgroups") and c["arm"] in first]
    for task in dict.fromkeys(c["task"] for c in cells):
        own = [c for c in cells if c["task"] == task]
        cell = max(own, key=lambda c: (c["fraction"], c["n"]))
        name = HEADLINES[str(cell.get("kind", "binary"))][0]
        if all(g.get("metrics", {}).get(name, {}).get("value") is None for g in cell["subgroups"]):
            continue
        title = f"{cell['arm']}, {task}, {cell['inputs']}, {percent(cell['fraction'])} of the labels"
        alt = f"Forest of {METRICS[name].title} by subgroup: {title}; the numbers are in the table below."
        caption = "In brackets: positive / all test rows of the group."
        found.append(html.picture(subgroup_forest(cell, metric=name, title=title), alt, caption))
    return found


def _nested(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return fewer inputs minus more inputs of the same predictor, each two sets of which one is part of the other."""
    return [*metrics.get("missingness", ()), *metrics.get("smaller_inputs", ())]


def _gain(entry: Mapping[str, Any]) -> dict[str, float | None]:
    """Return full minus fewer inputs, which is minus what `metrics.json` holds."""
    turned = {"value": "difference", "low": "high", "high": "low"}
    return {key: None if entry.get(name) is None else 0.0 - entry[name] for key, name in turned.items()}


def _p(entry: Mapping[str, Any], resamples: int) -> str:
    holm = entry.get("p_holm")
    return p_text(entry.get("p"), resamples) if holm is None else p_text(holm)


def _gain_pictures(metrics: Mapping[str, Any]) -> list[str]:
    entries = [e for e in _nested(metrics) if e["metric"] in _SHOWN and e.get("difference") is not None]
    found = []
    for arm in [a for a in shown_arms(metrics) if any(e["arm"] == a for e in entries)][:_DRAWN_ARMS]:
        own = [e for e in entries if e["arm"] == arm]
        most = max(e["fraction"] for e in own)
        rows = [_gain_row(e, metrics) for e in own if e["fraction"] == most]
        panels = list(dict.fromkeys(row.panel for row in rows))[:2]
        title = f"{arm}, {percent(most)} of the labels"
        figure = differences(
            [row for row in rows if row.panel in panels], left="worse with it", right="better with it", title=title
        )
        alt = f"Forest of what each modality adds, {title}; the numbers are in the table below."
        found.append(html.picture(figure, alt, "Filled: the 95 % interval over test subjects leaves out zero."))
    return found


def _gain_row(entry: Mapping[str, Any], metrics: Mapping[str, Any]) -> Difference:
    metric, gain = METRICS[entry["metric"]], _gain(entry)
    sign = -1.0 if metric.better == "lower" else 1.0
    low, high = (None if gain[k] is None else sign * float(gain[k] or 0) for k in ("low", "high"))
    ends = (low, high) if sign > 0 else (high, low)
    tasks = len({e["task"] for e in _nested(metrics)}) > 1
    group = f"predicted from {entry['full']}" + (f", {entry['task']}" if tasks else "")
    panel = metric.title if sign > 0 else f"−{metric.title}"
    return Difference(
        group,
        f"{_removed(entry)}, over {entry['shown']} alone (n = {entry['n']:,})",
        panel,
        sign * float(gain["value"] or 0),
        *ends,
    )


def _removed(entry: Mapping[str, Any]) -> str:
    removed = entry.get("removed")
    if isinstance(removed, str):
        return removed.replace("+", " + ")
    parts: Sequence[str] = removed or [m for m in entry["full"].split("+") if m not in entry["shown"].split("+")]
    return " + ".join(parts)


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return bool((a["task"], a["inputs"]) == (b["task"], b["inputs"]))


def _of_groups(kind: str) -> tuple[str, ...]:
    return ("auroc", "balanced_accuracy", "calibration_intercept") if kind == "binary" else HEADLINES[kind][:2]


def _count(group: Mapping[str, Any]) -> str:
    return f"{group['n']}" if group.get("positives") is None else f"{group['n']} ({group['positives']})"


def _group_records(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a line for each cell, group and metric; one without a metric where a group is too small for any."""
    keys, counts = ("task", "kind", "arm", "inputs", "fraction"), ("group", "level", "n", "subjects", "positives")
    found = []
    for cell in cells:
        for group in cell["subgroups"]:
            facts = {k: cell.get(k) for k in keys} | {k: group.get(k) for k in counts}
            measured = group.get("metrics") or {"": {"undefined": group.get("undefined")}}
            found += [{**facts, "metric": name, **record(estimate)} for name, estimate in measured.items()]
    return found
