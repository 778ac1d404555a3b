"""Put the tables of a finished run into the documentation: ``python docs/write_results.py NAME FOLDER "facts"``.

NAME is ``demo`` or ``ptbxl_mi``. The tables stand between HTML comments in ``docs/results/NAME.md`` and in the README,
so that they are the numbers of ``metrics.json`` and nobody copies them by hand. Above them stand the command, the
digest of the experiment and of the evaluation, the version of the code and the day on which the evaluation was written.

``python docs/write_results.py --page FILE FOLDER COMMAND`` fills the markers ``run-facts`` and ``run-tables`` of any
page with all tables of a run, or of a comparison, in the same way.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cardiobind.evaluation import table_rows
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.tables import estimate_text

DOCS = Path(__file__).parent
SHORT = ("balanced_accuracy", "auroc", "auprc")
FULL = (*SHORT, "brier_recalibrated", "calibration_slope", "sensitivity", "specificity")
PREFIX = {"demo": "demo", "ptbxl_mi": "ptbxl"}
COMMANDS = {"demo": "cardiobind demo", "ptbxl_mi": "cardiobind run ptbxl_mi data_root=/path/to/ptbxl"}
IN_README = {"demo": ("ecg+tabular", "cmr"), "ptbxl_mi": ("ecg",)}


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the header first, as a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def results(metrics: dict[str, Any], names: Sequence[str], inputs: Sequence[str] | None = None) -> str:
    """Return the table of all models and of the ceiling, for some input sets or all."""
    cells = [c for c in [*metrics["cells"], *metrics["oracle"]] if inputs is None or c["inputs"] in inputs]
    return markdown([row[1:] for row in table_rows({"cells": cells}, names)])


def differences(metrics: dict[str, Any]) -> str:
    """Return the paired differences of the headline metrics."""
    header = ["Model", "Against", "Inputs", "Labels", "Metric", "Difference", "p", "p, Holm"]
    rows = [
        [
            c["arm"], c["baseline"], c["inputs"], f"{c['fraction']:.0%}", METRICS[c["metric"]].title,
            estimate_text({"value": c["difference"], "low": c["low"], "high": c["high"]}),
            *("–" if c.get(key) is None else f"{c[key]:.3f}" for key in ("p", "p_holm")),
        ]
        for c in metrics["comparisons"]
        if c["metric"] in SHORT
    ]  # fmt: skip
    return markdown([header, *rows])


def run_facts(run: Path, command: str) -> str:
    """Return a table of how the numbers of a run came about; a line is left out where the run does not know.

    Args:
        run: folder with ``metrics.json`` and the artefact of the evaluation, or of a comparison.
        command: that made it.
    """
    rows = [["Command", f"`{command}`"]]
    for manifest in sorted(run.glob("evaluation-*/manifest.json")):
        if (manifest.parent / "metrics.json").read_bytes() != (run / "metrics.json").read_bytes():
            continue
        known = json.loads(manifest.read_text())
        rows += [["Evaluation", f"`{known['digest'][:12]}`"], ["cardiobind", known["code_version"]]]
    page = run / "report.html"
    digest = re.search(r"&quot;digest&quot;: &quot;([0-9a-f]{12})", page.read_text()) if page.is_file() else None
    rows += [["Experiment, digest", f"`{digest[1]}`"]] if digest else []
    written = datetime.fromtimestamp((run / "metrics.json").stat().st_mtime, tz=UTC)
    return markdown([["What", "Value"], *rows, ["Date", f"{written:%Y-%m-%d}"]])


def all_tables(run: Path) -> str:
    """Return every table that the run wrote for a paper, as Markdown."""
    pages = sorted((run / "tables").glob("*.md"), key=lambda path: (not path.stem.startswith("results"), path.stem))
    return "\n".join(page.read_text() for page in pages)


def fill_page(page: str, run: str, command: str) -> None:
    """Fill a page that holds the tables of one run."""
    fill(Path(page), "run-facts", run_facts(Path(run), command))
    fill(Path(page), "run-tables", all_tables(Path(run)))


def fill(page: Path, marker: str, text: str) -> None:
    """Replace what stands between the two comments of a marker."""
    pattern = re.compile(rf"(<!-- {marker}[^>]*-->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    content = page.read_text()
    if not pattern.search(content):
        raise SystemExit(f"{page} has no marker {marker}")
    page.write_text(pattern.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", content))


def main(name: str, run: str, facts: str) -> None:
    """Fill the README and the page of one experiment."""
    metrics = json.loads((Path(run) / "metrics.json").read_text())
    page, prefix = DOCS / "results" / f"{name}.md", PREFIX[name]
    command = COMMANDS[name]
    fill(page, f"{prefix}-run", run_facts(Path(run), command) + "\n\n" + facts)
    fill(page, f"{prefix}-table", results(metrics, FULL) + "\n\nPaired differences:\n\n" + differences(metrics))
    fill(DOCS.parent / "README.md", f"{prefix}-table", results(metrics, SHORT, IN_README[name]))


if __name__ == "__main__":
    if sys.argv[1] == "--page":
        fill_page(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
