"""The model card of a run, after Mitchell et al. 2019: what the models are for, on whom they were tried, how well.

Source: Mitchell M, Wu S, Zaldivar A, et al. Model cards for model reporting. FAT* 2019, pages 220-229.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cardiobind.evaluation.report import html
from cardiobind.evaluation.report.choice import prominent
from cardiobind.evaluation.report.content import DIGEST_LENGTH, Report
from cardiobind.evaluation.report.modalities import subgroup_table
from cardiobind.evaluation.report.results import DECIDING
from cardiobind.evaluation.report.standards import facts
from cardiobind.evaluation.table_files import PaperTable, markdown_text
from cardiobind.evaluation.tables import HEADLINES, kinds_of, of_kind, table_rows

SOURCE = "Mitchell et al., Model cards for model reporting, FAT* 2019:220-229"


@dataclass(frozen=True)
class CardSection:
    """One section of the card.

    Attributes:
        title: of the section.
        known: what the run says, a sentence or two each.
        open: what a person has to write.
        tables: numbers.
    """

    title: str
    known: Sequence[str]
    open: Sequence[str] = ()
    tables: Sequence[PaperTable] = field(default_factory=tuple)


def main_model(report: Report) -> str:
    """Return the model that the card is about: the exported one, else the first that is compared."""
    exported = report.settings.get("export")
    named = prominent(report.metrics)
    return str(exported) if exported in named else (named[0] if named else "none")


def model_card(report: Report) -> list[CardSection]:
    """Return the card of the main model of a run, sections in the order of the source."""
    return [
        _details(report), _use(report), _factors(report), _metrics(report), _evaluation_data(report),
        _training_data(report), _analyses(report), _ethics(report), _caveats(report),
    ]  # fmt: skip


def card_section(report: Report) -> str:
    """Return the card as HTML; what a person has to write is marked."""
    parts = [html.paragraph(f"Model card of “{main_model(report)}”, after {SOURCE}.")]
    for section in model_card(report):
        parts.append(html.heading(section.title))
        parts.append(html.marked([*section.known, *(f"OPEN: {text}" for text in section.open)], "OPEN: "))
        parts += [html.table(t.rows, t.caption, text_columns=t.text_columns) for t in section.tables]
    return "".join([*parts, html.paragraph(report.source("results", "metrics.json"), "source")])


def card_markdown(report: Report) -> str:
    """Return the card as a Markdown file."""
    lines = [f"# Model card: {main_model(report)}", "", f"{report.title}. After {SOURCE}. Research use only.", ""]
    for section in model_card(report):
        lines += [f"## {section.title}", "", *(f"- {text}" for text in section.known)]
        lines += [*(f"- **OPEN:** {text}" for text in section.open), ""]
        lines += [markdown_text(table) for table in section.tables]
    return "\n".join(lines).rstrip() + "\n"


def _details(report: Report) -> CardSection:
    known = [f"Model: {main_model(report)}; endpoint: {facts.tasks(report)}; inputs tested: {facts.inputs(report)}."]
    encoders = [
        f"{m} {part['encoder']['kind']}"
        for m in ("ecg", "cmr", "tabular")
        if (part := report.settings.get(m)) and "encoder" in part
    ]
    if encoders:
        known.append(
            f"Encoders: {', '.join(encoders)}; learnt without labels, aligned, then fine-tuned (arXiv 2411.05900)."
        )
    if report.made:
        known.append("; ".join(f"{name}: {text}" for name, text in report.made.items()) + ".")
    used = [f"{name} {a.digest[:DIGEST_LENGTH]}" for name, a in report.artifacts.items() if a.kind == "evaluation"]
    known += [f"Evaluated as {', '.join(used)}."] if used else []
    return CardSection("Model details", known, ("Who made it, date, licence of the weights, whom to ask.",))


def _use(report: Report) -> CardSection:
    known = (
        "Research use only: not a medical device, not for decisions about a person.",
        "Out of scope: other inputs than those named above, other devices, ages or countries than those of the data.",
    )
    return CardSection("Intended use", known, ("Which study or task it is meant for, and who its users are.",))


def _factors(report: Report) -> CardSection:
    groups = facts.groups(report)
    known = [f"Measured by {', '.join(groups)}." if groups else "No groups of people were measured."]
    return CardSection("Factors", known, ("Groups, devices and settings that matter and were not measured.",))


def _metrics(report: Report) -> CardSection:
    known = [
        f"{facts.metrics_measured(report)}.",
        f"Intervals: {report.metrics['resamples']} bootstrap resamples of test subjects; spread over seeds apart.",
    ]
    if facts.has_settled(report, "thresholds"):
        known.append("Threshold: highest balanced accuracy on validation, never on test.")
    return CardSection("Metrics", known)


def _evaluation_data(report: Report) -> CardSection:
    return CardSection("Evaluation data", [f"Test rows: {facts.tested(report)}."], ("Why these data.",))


def _training_data(report: Report) -> CardSection:
    known = []
    if report.cohort:
        kind = report.settings.get("source", {}).get("kind", "unknown")
        made = ", simulated" if facts.simulated(report) else ""
        known.append(f"Source {kind}{made}: {report.cohort['subjects']:,} subjects; {facts.sizes(report)}.")
    known += [f"Labels used: {trained}." for trained in [facts.trained(report)] if trained]
    known += [f"Preparation: {text}." for text in [facts.preparation(report)] if text]
    wanting = () if known else ("What the models were trained on: this run knows their predictions alone.",)
    return CardSection("Training data", known, wanting)


def _analyses(report: Report) -> CardSection:
    name, tables = main_model(report), []
    for kind in kinds_of(report.metrics):
        own = of_kind(report.metrics, kind)
        own["cells"] = [cell for cell in own["cells"] if cell["arm"] == name]
        if own["cells"]:
            rows = table_rows(own, DECIDING.get(kind, HEADLINES[kind]))
            tables.append(PaperTable(f"card_{kind}", f"Unitary results: {name}", rows, (), 4))
    groups = subgroup_table({**report.metrics, "cells": [c for c in report.metrics["cells"] if c["arm"] == name]})
    tables += [groups] if groups is not None else []
    return CardSection("Quantitative analyses", [], ("Results in intersections of groups were not computed.",), tables)


def _ethics(report: Report) -> CardSection:
    known = ("Health data of persons; reports, bundles and logs hold no identifier of a participant.",)
    return CardSection("Ethical considerations", known, ("Approval, consent, risks and harms, and what was done.",))


def _caveats(report: Report) -> CardSection:
    return CardSection(
        "Caveats and recommendations", facts.weaknesses(report), ("What should be tested before anybody builds on it.",)
    )
