"""Sections about who was studied, what a label means and where everything came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cardiobind.evaluation.figures import FlowStep, cohort_flow
from cardiobind.evaluation.report import html, left_out
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.tables import percent

_SET_TO_MISSING = frozenset({"not_a_flag", "not_a_number", "out_of_range", "unknown_category", "wrong_unit"})
_FROM_BASELINE = "from_baseline_visit"
_ABSENT = "absent_column"


def cohort(report: Report) -> str:
    """Return "Table 1": size, availability of modalities, medical facts with missingness, and signal quality."""
    summary = report.cohort
    if summary is None:
        return ""
    parts = [
        html.paragraph(f"{summary['subjects']:,} subjects, {summary['samples']:,} visits with at least one modality."),
        _availability(summary),
        _features(summary.get("features", {})),
        _quality(summary.get("quality", {})),
        html.paragraph(report.source("cohort", "summary.json"), "source"),
        _splits(report),
    ]
    return "".join(parts)


def quarantine(report: Report) -> str:
    """Return how many records were read, kept and left out, with reasons and examples."""
    if report.counts is None:
        return ""
    summary = report.cohort or {}
    rows = [
        [modality, *(f"{counts[k]:,}" for k in ("read", "kept", "quarantined"))]
        for modality, counts in report.counts.items()
    ]
    parts = [
        html.paragraph("No record is dropped in silence: what was read is kept or is in quarantine with a reason."),
        html.table([["Modality", "Read", "Kept", "Quarantined"], *rows], "Records"),
        left_out.reasons(summary.get("quarantine", {})),
        *(_flow(modality, counts, summary) for modality, counts in report.counts.items()),
    ]
    parts.append(left_out.examples(report.quarantine_examples))
    parts.append(_issues(summary.get("table_issues", ())))
    return "".join(
        [
            *parts,
            html.paragraph(report.source("cohort", "counts.json, summary.json, quarantine_examples.json"), "source"),
        ]
    )


def labels(report: Report) -> str:
    """Return what a positive label is and how many there are."""
    tasks = (report.cohort or {}).get("tasks", {})
    wanted = {part for cell in report.metrics["cells"] for part in str(cell["task"]).split(": ")}
    chosen = {name: facts for name, facts in tasks.items() if not wanted or name in wanted}
    if not report.label_definition and not chosen:
        return ""
    parts = [html.paragraph(report.label_definition)] if report.label_definition else []
    if chosen:
        rows = [
            [
                name, f"{t['labelled']:,}", _count(t["positive"]), _share(t["prevalence"]),
                "; ".join(f"{reason}: {n:,}" for reason, n in t["unlabelled"].items()) or "none",
            ]
            for name, t in chosen.items()
        ]  # fmt: skip
        parts.append(
            html.table(
                [["Task", "Labelled", "Positive", "Prevalence", "Without a label"], *rows], "Labels of all visits"
            )
        )
        parts.append(html.paragraph(report.source("labels", "summary.json"), "source"))
    return "".join(parts)


def audit(report: Report) -> str:
    """Return what the leakage audit found in the features."""
    if report.audit is None:
        return ""
    findings, allowed = report.audit.get("findings", ()), list(report.audit.get("allowed", ()))
    parts = [
        html.paragraph(
            "On training rows alone, each input is checked for stating the label: by its definition, its value, one "
            "of its levels, or by whether it was recorded at all."
        )
    ]
    if findings:
        rows = [[f["feature"], f["reason"], f["detail"], "yes" if f["feature"] in allowed else "no"] for f in findings]
        parts.append(
            html.table([["Feature", "Reason", "Detail", "Allowed by the user"], *rows], "Findings", text_columns=4)
        )
    else:
        parts.append(html.paragraph("Nothing suspicious was found in the inputs used."))
    parts += [_unaudited(report), _roles(report.roles)]
    return "".join([*parts, html.paragraph(report.source("audit", "audit.json, roles.json"), "source")])


def provenance(report: Report) -> str:
    """Return the digests of all artefacts and the resolved configuration."""
    parts = []
    if report.artifacts:
        rows = [
            [name, a.kind, a.digest, str(len(a.manifest["files"])), str(a.manifest["code_version"])]
            for name, a in report.artifacts.items()
        ]
        header = ["Stage", "Kind", "Digest (SHA-256 of the manifest)", "Files", "cardiobind"]
        parts.append(
            html.table(
                [header, *rows], "Artefacts; `cardiobind verify` checks each back to the raw inventory", text_columns=3
            )
        )
    if report.config:
        parts += [html.heading("Resolved configuration"), html.preformatted(report.config)]
    return "".join(parts)


def _issues(issues: Sequence[Mapping[str, Any]]) -> str:
    special = {_FROM_BASELINE, _ABSENT, *_SET_TO_MISSING}
    taken = [[str(i["column"]), f"{i['count']:,}"] for i in issues if i["reason"] == _FROM_BASELINE]
    absent = [str(i["column"]) for i in issues if i["reason"] == _ABSENT]
    parts = [
        _set_to_missing([i for i in issues if i["reason"] in _SET_TO_MISSING]),
        html.table(
            [["Column", "Values taken from it"], *taken], "Values of the table kept from the baseline visit, where the "
            "visit studied has none",
        ) if taken else "",
        html.paragraph(f"Of the core facts the table has no column of: {', '.join(absent)}.") if absent else "",
        _remarks([i for i in issues if i["reason"] not in special]),
    ]  # fmt: skip
    return "".join(parts)


def _set_to_missing(issues: Sequence[Mapping[str, Any]]) -> str:
    header = ["Column", "Reason", "Expected", "Values set to missing"]
    rows = [[str(i["column"]), str(i["reason"]), str(i.get("expected", "–")), f"{i['count']:,}"] for i in issues]
    return html.table([header, *rows], "Implausible or unreadable values of the table", text_columns=3) if rows else ""


def _remarks(issues: Sequence[Mapping[str, Any]]) -> str:
    rows = [[str(i["column"]) or "–", str(i["reason"]), f"{i['count']:,}"] for i in issues]
    header = ["Column", "Reason", "Count"]
    return html.table([header, *rows], "Other remarks on the data set", text_columns=2) if rows else ""


def _unaudited(report: Report) -> str:
    inputs, known = (report.protocol or {}).get("features"), (report.cohort or {}).get("features", {})
    if inputs is None:
        return ""
    others = [name for name, facts in known.items() if facts["observed"] and name not in inputs]
    return html.paragraph(f"In the table, but not inputs and so not checked: {', '.join(others)}.") if others else ""


def _roles(roles: Sequence[Mapping[str, Any]]) -> str:
    """Return the columns of the table by role and use, one row each kind; what no row holds is left out."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in (r for r in roles if r["observed_share"] > 0):
        leak = "never an input" if entry["role"] == "label" else "leaks this endpoint"
        use = "used" if entry["used"] else leak if entry["declared"] else "not used"
        groups.setdefault((str(entry["role"]), use), []).append(str(entry["column"]))
    rows = [[role, use, ", ".join(names), f"{len(names):,}"] for (role, use), names in sorted(groups.items())]
    header = ["Role", "Use", "Columns", "Number"]
    return html.table([header, *rows], "Roles of the columns of the table", text_columns=3) if rows else ""


def _availability(summary: Mapping[str, Any]) -> str:
    total = max(int(summary["samples"]), 1)
    single = [[name, f"{n:,}", _share(n / total)] for name, n in summary["modalities"].items()]
    patterns = [[name.replace("+", " + "), f"{n:,}", _share(n / total)] for name, n in summary["availability"].items()]
    header = ["Modality", "Visits", "Share"]
    return html.side_by_side(
        [
            html.table([header, *single], "Modalities"),
            html.table([["Exactly these", *header[1:]], *patterns], "Patterns of availability"),
        ]
    )


def _features(features: Mapping[str, Mapping[str, Any]]) -> str:
    if not features:
        return ""
    rows = []
    for name, facts in features.items():
        rows.append([name, _value(facts), _median(facts), _share(facts["missing_share"])])
    header = ["Feature (unit in its name)", "Mean ± SD, or shares", "Median (quartiles)", "Missing"]
    return html.table([header, *rows], "Medical facts", text_columns=2)


def _value(facts: Mapping[str, Any]) -> str:
    if facts["kind"] == "number":
        return "–" if facts["mean"] is None else f"{_short(facts['mean'])} ± {_short(facts['sd'])}"
    shares = {k: v for k, v in facts["shares"].items() if v is not None}
    if facts["kind"] == "flag":
        return _share(shares["yes"]) if "yes" in shares else "–"
    return ", ".join(f"{level.replace('_', ' ')} {_share(v)}" for level, v in shares.items()) or "–"


def _median(facts: Mapping[str, Any]) -> str:
    if facts.get("median") is None:
        return ""
    return f"{_short(facts['median'])} ({_short(facts['q1'])}–{_short(facts['q3'])})"


def _quality(quality: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[modality, code, f"{n:,}"] for modality, facts in quality.items() for code, n in facts["codes"].items()]
    return (
        html.table([["Modality", "Remark", "Records"], *rows], "Quality remarks on kept records", text_columns=2)
        if rows
        else ""
    )


def _splits(report: Report) -> str:
    counts = (report.protocol or {}).get("counts", {})
    if not counts:
        return ""
    columns = [c for c in ("samples", "labelled", "positive") if any(c in entry for entry in counts.values())]
    rows = [[split, *(f"{entry[c]:,}" if c in entry else "–" for c in columns)] for split, entry in counts.items()]
    table = html.table(
        [["Split", *(c.capitalize() for c in columns)], *rows], "Splits; a subject is in one of them only"
    )
    return table + html.paragraph(report.source("splits", "protocol.json"), "source")


def _flow(modality: str, counts: Mapping[str, int], summary: Mapping[str, Any]) -> str:
    reasons = summary.get("quarantine", {}).get(modality, {})
    if not counts["quarantined"]:
        return ""
    excluded = tuple((str(reason), int(n)) for reason, n in reasons.items()) or (
        ("quarantined", counts["quarantined"]),
    )
    figure = cohort_flow(
        [FlowStep(f"{modality} records read", counts["read"], excluded), FlowStep("kept", counts["kept"])]
    )
    listed = ", ".join(f"{reason} {n}" for reason, n in excluded)
    return html.picture(
        figure, f"Flow of {modality} records: {counts['read']} read, {counts['kept']} kept; set aside: {listed}."
    )


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _share(value: float | None) -> str:
    return "–" if value is None else percent(round(value, 3))


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
