"""What the scores of the exported model rest on, in the mean over subjects."""

from __future__ import annotations

from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.html import paragraph, table

_WORDS = (
    "Attributions of the exported model's scores, averaged over at least 20 test subjects, so that nobody's are shown: "
    "an ECG by integrated gradients against a normal ECG with the same beats, facts and modalities by Shapley values "
    "against their absence. They say what this model uses, not what causes the disease, and were checked on simulated "
    "infarcts alone (docs/results/explanations.md)."
)


def explained(report: Report) -> str:
    """Return the tables of what scores rest on, or nothing."""
    if not report.explained:
        return ""
    tables = [table(rows, caption) for caption, rows in report.explained.items()]
    return paragraph(_WORDS) + "".join(tables) + paragraph(report.source("explained"), "source")
