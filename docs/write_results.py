"""Put the tables of a finished run into the documentation: ``python docs/write_results.py NAME FOLDER "facts"``.

NAME is ``demo`` or ``ptbxl_mi``. The tables stand between HTML comments in ``docs/results/NAME.md`` and in the README,
so that they are the numbers of ``metrics.json`` and nobody copies them by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cardiobind.evaluation import table_rows
from cardiobind.evaluation.metrics import METRICS
from cardiobind.evaluation.tables import estimate_text

DOCS = Path(__file__).parent
SHORT = ("balanced_accuracy", "auroc", "auprc")
FULL = (*SHORT, "brier_recalibrated", "calibration_slope", "sensitivity", "specificity")
PREFIX = {"demo": "demo", "ptbxl_mi": "ptbxl"}
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
    header = ["Model", "Against", "Inputs", "Labels", "Metric", "Difference", "p"]
    rows = [
        [
            c["arm"], c["baseline"], c["inputs"], f"{c['fraction']:.0%}", METRICS[c["metric"]].title,
            estimate_text({"value": c["difference"], "low": c["low"], "high": c["high"]}),
            "–" if c["p"] is None else f"{c['p']:.3f}",
        ]
        for c in metrics["comparisons"]
        if c["metric"] in SHORT
    ]  # fmt: skip
    return markdown([header, *rows])


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
    fill(page, f"{prefix}-run", facts)
    fill(page, f"{prefix}-table", results(metrics, FULL) + "\n\nPaired differences:\n\n" + differences(metrics))
    fill(DOCS.parent / "README.md", f"{prefix}-table", results(metrics, SHORT, IN_README[name]))


if __name__ == "__main__":
    main(*sys.argv[1:])
