"""The TRIPOD+AI checklist of a run: filled where the run knows the answer, visibly open where a person must write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.standards import facts
from cardiobind.evaluation.report.standards.items import ITEMS, SOURCE, Item
from cardiobind.evaluation.table_files import PaperTable

State = Literal["filled", "partly", "open"]
_MARKS: Mapping[State, str] = {"filled": "filled", "partly": "PARTLY OPEN", "open": "OPEN"}


@dataclass(frozen=True)
class Answer:
    """What a run says to one item.

    Attributes:
        item: which.
        state: whether it answers the item, a part of it or nothing.
        text: what it says; "" where it knows nothing.
        where: section of the report.
    """

    item: Item
    state: State
    text: str = ""
    where: str = ""


def checklist(report: Report) -> str:
    """Return the checklist as a section, with how many items a person still has to answer."""
    table = checklist_table(report)
    answered = answers(report)
    still = sum(a.state != "filled" for a in answered)
    words = (
        f"{len(answered)} items and parts; {still} of them wait for a person, in whole or in part, and are marked "
        "OPEN. What is filled was taken from this run and names where it stands; read it before you sign it. "
        f"Source: {SOURCE}; the wording here is ours, so check it against the original."
    )
    kinds = ["open" if a.state == "open" else "partly" if a.state == "partly" else "" for a in answered]
    rows = html.table(table.rows, table.caption, text_columns=len(table.rows[0]), kinds=kinds)
    return html.paragraph(words) + rows + html.downloads(table)


def checklist_table(report: Report) -> PaperTable:
    """Return the checklist as a table."""
    header = ["Item", "Section", "Topic", "For", "What is to be said", "State", "What this run says", "Where"]
    lines = [
        [a.item.number, a.item.section, a.item.topic, a.item.applies, a.item.asks, _MARKS[a.state],
         a.text or "A person has to write this.", a.where]
        for a in answers(report)
    ]  # fmt: skip
    records = [dict(zip(header, line, strict=True)) for line in lines]
    return PaperTable("tripod_ai", f"TRIPOD+AI checklist. {SOURCE}", [header, *lines], records, len(header))


def answers(report: Report) -> list[Answer]:
    """Return the answer to each item, in order."""
    return [_answer(report, item) for item in ITEMS]


def _answer(report: Report, item: Item) -> Answer:
    known = _KNOWN.get(item.number)
    text = known.say(report) if known is not None else ""
    if known is None or not text:
        return Answer(item, "open")
    sentence = text if text.endswith(".") else f"{text}."
    open_part = known.open_part(report)
    return Answer(item, "partly" if open_part else "filled", f"{sentence} {open_part}".rstrip(), known.where(report))


@dataclass(frozen=True)
class _Known:
    say: Callable[[Report], str]
    section: str = ""
    file: str = ""
    wanting: str = ""
    wanting_elsewhere: str = ""

    def open_part(self, report: Report) -> str:
        return self.wanting or ("" if report.settings else self.wanting_elsewhere)

    def where(self, report: Report) -> str:
        cited = report.source(self.section, self.file) if self.section else ""
        return cited.removeprefix("From ") if cited.startswith("From ") else ""


def _title(report: Report) -> str:
    return f"The run is called “{report.title}”." if report.settings else ""


def _objectives(report: Report) -> str:
    named = facts.arms(report)
    if not report.settings:
        return f"{len(named)} models are evaluated on {facts.tasks(report)}; their development is not part of this run."
    return (
        f"Development and evaluation on held-out subjects: {len(named)} models of {facts.tasks(report)} are compared."
    )


def _source(report: Report) -> str:
    if not report.cohort:
        return ""
    kind = report.settings.get("source", {}).get("kind", "a source that the run does not name")
    made = " The data are simulated." if facts.simulated(report) else ""
    size = f"{report.cohort['subjects']:,} subjects, {report.cohort['samples']:,} visits"
    return f"Source {kind!r}: {size}; development and evaluation are parts of the same source.{made}"


def _eligible(report: Report) -> str:
    if not report.cohort:
        return ""
    return "A visit counts that has at least one readable modality and, for training and testing, a label."


def _outcome(report: Report) -> str:
    return report.label_definition


def _predictors(report: Report) -> str:
    features = (report.protocol or {}).get("features")
    if not features:
        return ""
    audit = (report.audit or {}).get("findings", ())
    refused = (
        f" {len(audit)} finding(s) of the leakage audit." if audit else " The leakage audit found nothing in them."
    )
    return f"{len(features)} columns of the table, named in the experiment, no selection by the outcome.{refused}"


def _defined(report: Report) -> str:
    features = (report.protocol or {}).get("features")
    listed = f"{', '.join(features)} (units in the names)" if features else ""
    signals = [m for m in ("ecg", "cmr") if report.settings.get(m)]
    return "; ".join(part for part in (" and ".join(signals), listed) if part)


def _sample_size(report: Report) -> str:
    return facts.sizes(report) or facts.tested(report)


def _missing(report: Report) -> str:
    if not report.settings:
        return ""
    handled = facts.gaps(report)
    if not handled:
        return ""
    left = facts.flow(report) or "none"
    return f"{handled} A row is scored where it has all inputs of the set. Records left out: {left}."


def _divided(report: Report) -> str:
    split = (report.protocol or {}).get("split")
    return f"Split {split!r} by subject, a subject in one part only. {facts.sizes(report)}." if split else ""


def _scaled(report: Report) -> str:
    return facts.preparation(report)


def _models(report: Report) -> str:
    if not report.settings:
        return ""
    seeds = len(report.settings.get("seeds", ()))
    return (
        f"Models: {', '.join(facts.arms(report))}. Settings are in the resolved configuration; best round, penalty and "
        f"threshold were chosen on validation, the test split chose nothing. {seeds} training seed(s)."
    )


def _measures(report: Report) -> str:
    differences = report.metrics.get("comparisons", ())
    delong = " and DeLong" if any(c.get("delong") for c in differences) else ""
    compared = f" Paired differences by bootstrap{delong}." if differences else ""
    recalibrated = ", reliability, decision curves" if facts.has_settled(report, "recalibration") else ""
    plots = f"ROC, precision-recall{recalibrated}" if facts.is_binary(report) else "plots by endpoint"
    return f"{facts.metrics_measured(report)}; {plots}.{compared}"


def _updated(report: Report) -> str:
    settled = facts.has_settled(report, "recalibration")
    return "Logistic recalibration, fitted on validation; not by groups." if settled else ""


def _computed(report: Report) -> str:
    if not report.settings:
        return ""
    made = report.made.get("code version", "")
    return (
        f"cardiobind {made}, `cardiobind predict` from a bundle; offline and exported scores come from the same code."
    )


def _imbalance(report: Report) -> str:
    if not report.settings or not facts.is_binary(report):
        return ""
    return (
        "Batches keep the natural prevalence. Networks weigh positives in the loss by negatives over positives, unless "
        "an arm says otherwise in the configuration; risks are recalibrated on validation afterwards."
    )


def _fair(report: Report) -> str:
    groups = facts.groups(report)
    return f"Nothing was corrected; performance was measured by {', '.join(groups)}." if groups else ""


def _output(report: Report) -> str:
    if not facts.is_binary(report):
        return "A number or a risk, no class."
    if not facts.has_settled(report, "thresholds"):
        return ""
    risk = ", recalibrated to a risk" if facts.has_settled(report, "recalibration") else ""
    return f"A score in [0, 1]{risk}. Class: above the threshold of the highest balanced accuracy on validation."


def _differ(report: Report) -> str:
    if not report.protocol or facts.is_official(report):
        return ""
    return "Same source, eligibility, outcome and predictors: evaluation is internal, on subjects not used in training."


def _code(report: Report) -> str:
    if not report.settings:
        return ""
    digest = str(report.settings.get("digest", ""))[:12]
    return f"cardiobind {report.made.get('code version', '')} (Apache-2.0), experiment {digest or 'below'}."


def _flow(report: Report) -> str:
    flow = facts.flow(report)
    return f"{flow}. {facts.sizes(report)}." if flow else facts.tested(report)


def _characteristics(report: Report) -> str:
    return "The table of medical facts, with what is missing, in the section Cohort." if report.cohort else ""


def _analyses(report: Report) -> str:
    trained = facts.trained(report)
    return f"Test: {facts.tested(report)}." + (f" Training: {trained}." if trained else "")


def _specified(report: Report) -> str:
    if not report.artifacts:
        return ""
    return (
        "Weights, contract of the data and calibration are artefacts of this run, listed under Provenance with digests."
    )


def _performance(report: Report) -> str:
    groups = facts.groups(report)
    return "Tables of results with 95 % intervals" + (f"; by {', '.join(groups)}." if groups else "; no groups.")


def _recalibrated(report: Report) -> str:
    settled = facts.has_settled(report, "recalibration")
    return "Calibration before and after, in the section Calibration and decisions." if settled else ""


def _limits(report: Report) -> str:
    return " ".join(facts.weaknesses(report))


def _poor_inputs(report: Report) -> str:
    if not report.settings:
        return ""
    return "A bundle refuses inputs outside its contract and names why; it predicts from the modalities that are there."


_KNOWN: Mapping[str, _Known] = {
    "1": _Known(_title, wanting="Population, and whether this is development or evaluation, are open."),
    "4": _Known(_objectives, wanting="The medical aim is open."),
    "5a": _Known(_source, "cohort", "summary.json", "Why these data, and how representative they are, is open."),
    "6b": _Known(_eligible, "cohort", "summary.json", "What the source itself asked of participants is open."),
    "7": _Known(_scaled, "cohort", "manifest.json", "Whether quality differs between groups is open."),
    "8a": _Known(_outcome, "labels", "", "Time horizon, reason, and sameness for all groups are open."),
    "9a": _Known(_predictors, "audit", "protocol.json, audit.json"),
    "9b": _Known(_defined, "audit", "protocol.json, table_contract.json", "How and when each was measured is open."),
    "10": _Known(_sample_size, "splits", "protocol.json", "No size was calculated by the run; say why it suffices."),
    "11": _Known(_missing, "cohort", "counts.json, summary.json"),
    "12a": _Known(_divided, "splits", "protocol.json"),
    "12b": _Known(_scaled, "splits", "table_contract.json"),
    "12c": _Known(_models, "results", "metrics.json"),
    "12e": _Known(_measures, "results", "metrics.json"),
    "12f": _Known(_updated, "results", "metrics.json"),
    "12g": _Known(_computed, "results", "predictions.parquet"),
    "13": _Known(_imbalance, "results", "metrics.json"),
    "14": _Known(_fair, "results", "metrics.json", "What fairness asks for here is open."),
    "15": _Known(_output, "results", "metrics.json"),
    "16": _Known(_differ, "splits", "protocol.json"),
    "18f": _Known(_code, "results", "manifest.json", "Where the analysis itself is published is open."),
    "20a": _Known(_flow, "quarantine", "", wanting_elsewhere="Who was left out before the predictions is open."),
    "20b": _Known(_characteristics, "cohort", "summary.json", "Dates, treatments and differences by group are open."),
    "20c": _Known(facts.sizes, "splits", "protocol.json", "The distribution of predictors by split is open."),
    "21": _Known(_analyses, "results", "metrics.json", wanting_elsewhere="Numbers in fitting and tuning are open."),
    "22": _Known(_specified, "results", "", "Limits to access and use are open."),
    "23a": _Known(_performance, "results", "metrics.json"),
    "24": _Known(_recalibrated, "results", "metrics.json"),
    "26": _Known(_limits, "results", "metrics.json", "What this does to bias and generality is open."),
    "27a": _Known(_poor_inputs, wanting="What a clinic should do then is open."),
}  # fmt: skip
