"""Put the sections together and write the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cardiobind.evaluation.report import (
    curves,
    data,
    differences,
    efficiency,
    explained,
    html,
    learning,
    modalities,
    results,
    terms,
)
from cardiobind.evaluation.report.content import Report
from cardiobind.evaluation.report.paper import paper_tables
from cardiobind.evaluation.report.standards import checklist, model_card
from cardiobind.evaluation.table_files import markdown_text, write_tables

WARNING = (
    "Research use only. These models are not a medical device and were not validated for the care of patients; no "
    "decision about a person may rest on this report."
)

_SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (
    ("results", "Results", results.headline),
    ("comparisons", "Paired differences", differences.comparisons),
    ("efficiency", "Label efficiency", efficiency.efficiency),
    ("modalities", "Which modality adds what", modalities.gains),
    ("curves", "ROC and precision-recall", curves.curves),
    ("calibration", "Calibration and decisions", curves.calibration),
    ("explained", "What scores rest on", explained.explained),
    ("subgroups", "Subgroups", modalities.subgroups),
    ("cohort", "Cohort", data.cohort),
    ("quarantine", "What was left out", data.quarantine),
    ("labels", "Label definition", data.labels),
    ("audit", "Leakage audit", data.audit),
    ("losses", "Training", learning.losses),
    ("reconstruction", "Reconstruction", learning.restored),
    ("retrieval", "Retrieval", learning.retrieval),
    ("embeddings", "Embedding map", learning.embeddings),
    ("card", "Model card", model_card.card_section),
    ("checklist", "TRIPOD+AI checklist", checklist.checklist),
    ("provenance", "Provenance", data.provenance),
)
_OF_MODELS = ("card", "checklist")


def render(report: Report) -> str:
    """Return the report as one HTML document that loads nothing from anywhere.

    Args:
        report: what to show; sections without content are left out.
    """
    known = bool(report.metrics["cells"])
    wanted = [section for section in _SECTIONS if known or section[0] not in _OF_MODELS]
    sections = [(anchor, name, text) for anchor, name, build in wanted if (text := build(report))]
    return html.page(report.title, _lead(report), WARNING, sections, "Written by cardiobind. Research use only.")


def write_report(out: Path, report: Report) -> Path:
    """Write the report, at once or not at all, and return its path.

    Args:
        out: the HTML file; its folder is made, an older report replaced.
        report: what to show.
    """
    return _write(Path(out), render(report))


def write_papers(folder: Path, report: Report) -> list[Path]:
    """Write what goes into a paper beside the report, and return the paths.

    Args:
        folder: receives ``tables/`` with each table as CSV, Markdown and LaTeX, ``model_card.md`` and
            ``tripod_ai.md``.
        report: what to show.
    """
    tables = write_tables(folder / "tables", paper_tables(report))
    if not report.metrics["cells"]:
        return tables
    card = _write(folder / "model_card.md", model_card.card_markdown(report))
    return [*tables, card, _write(folder / "tripod_ai.md", markdown_text(checklist.checklist_table(report)))]


def _write(out: Path, text: str) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, out)
    return out


def _lead(report: Report) -> str:
    cells = report.metrics["cells"]
    if not cells:
        return "No model was evaluated."
    arms = len({cell["arm"] for cell in cells})
    tasks = "; ".join(dict.fromkeys(terms.task_title(str(cell["task"])) for cell in cells))
    n = max(int(cell["n"]) for cell in cells)
    positives = [int(cell["positives"]) for cell in cells if cell["positives"] is not None]
    of_them = f", {max(positives):,} of them positive" if positives else ""
    return f"{tasks}: {_count(arms, 'model')} on up to {n:,} test visits{of_them}."


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
