"""What the scores of the exported model rest on, in the mean over subjects, and of a few of them."""

from __future__ import annotations

from cardiobind.evaluation.report.content import Example, Report
from cardiobind.evaluation.report.html import heading, paragraph, picture, side_by_side, table

_WORDS = (
    "Attributions of the exported model's scores, averaged over at least 20 test subjects, so that nobody's are shown: "
    "an ECG by integrated gradients against a normal ECG with the same beats, facts and modalities by Shapley values "
    "against their absence. They say what this model uses, not what causes the disease, and were checked on simulated "
    "infarcts alone (docs/results/explanations.md)."
)
_CHOSEN = (
    "Of the test subjects with the most modalities, up to 40, those whose scores are nearest to high and low "
    "percentiles; those on whom the model abstains are passed over. ECGs and cines are drawn as they were prepared for "
    "the network."
)
_SIMULATED = "They are simulated; nobody is shown."
_REAL = (
    "These are pictures of participants' recordings: this report is participant data, though it names nobody. Keep it "
    "where their data are; evaluation.examples=0 writes it without them."
)
_NARROW = ("risk", "modalities", "facts")


def explained(report: Report) -> str:
    """Return the tables of what scores rest on, or nothing."""
    if not report.explained and not report.examples:
        return ""
    tables = [table(rows, caption) for caption, rows in report.explained.items()]
    means = paragraph(_WORDS) + "".join(tables) if tables else ""
    return means + _examples(report) + paragraph(report.source("explained"), "source")


def _examples(report: Report) -> str:
    if not report.examples:
        return ""
    whose = paragraph(_SIMULATED) if report.simulated else paragraph(_REAL, "warning")
    return heading("A few subjects") + paragraph(_CHOSEN) + whose + "".join(map(_example, report.examples))


def _example(example: Example) -> str:
    drawn = {one.name: picture(one.figure, one.alt, one.caption, raster=one.raster) for one in example.pictures}
    narrow = [drawn.pop(name) for name in _NARROW if name in drawn]
    tables = [table(rows, caption, text_columns=len(rows[0])) for caption, rows in example.tables.items()]
    words = paragraph(example.words) if example.words else ""
    return heading(example.title) + words + "".join(tables) + side_by_side(narrow) + "".join(drawn.values())
