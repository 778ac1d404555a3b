"""Put the paper's table into the documentation: ``python docs/write_table.py NAME FOLDER [COMMAND]``.

NAME is ``table`` or ``told_the_cine``, FOLDER a finished run of that page's experiment. Its tables fill the markers of
``docs/results/NAME.md`` and a headline of the README, so that every number there is one of ``tables/*.csv``, which
``cardiobind run`` wrote. Intervals are those over test subjects and trainings together where there are several seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from write_results import DOCS, fill, markdown, run_facts

HEADLINE = {
    "binary": ("auroc", "balanced_accuracy"),
    "regression": ("r2", "mae"),
    "survival": ("concordance", "integrated_brier_scaled"),
}
TITLES = {
    "auroc": "AUROC", "balanced_accuracy": "Balanced accuracy", "r2": "R²", "mae": "Mean absolute error",
    "concordance": "C-index", "integrated_brier_scaled": "Integrated Brier, scaled",
}  # fmt: skip
SCRATCH = "supervised from scratch"
TOLD, TOLD_AND_TREES = "learnt to measure, told the cine", "told the cine and boosted trees"
RECIPE, RECIPE_AND_TREES = "best recipe", "best recipe and boosted trees"


@dataclass(frozen=True)
class Page:
    """A page of results.

    Attributes:
        command: that makes its run.
        other: the model that the headline compares with besides supervised training.
        asked: models and input sets of the headline.
        shown: those of them that the README shows.
    """

    command: str
    other: str
    asked: tuple[tuple[str, str], ...]
    shown: tuple[tuple[str, str], ...]


PAGES = {
    "table": Page(
        "cardiobind run table", "joint tower",
        (("joint tower", "ecg+tabular"), (RECIPE, "ecg+tabular"), (RECIPE_AND_TREES, "ecg+tabular"), (RECIPE, "ecg"),
         (RECIPE, "tabular"), (RECIPE, "cmr"), (RECIPE, "cmr+ecg+tabular")),
        (("joint tower", "ecg+tabular"), (RECIPE_AND_TREES, "ecg+tabular")),
    ),
    "told_the_cine": Page(
        "cardiobind run table_measured_cmr", "learnt to measure, not aligned",
        ((TOLD, "ecg+tabular"), (TOLD_AND_TREES, "ecg+tabular"), (TOLD, "ecg"), (TOLD, "cmr"),
         (TOLD, "cmr+ecg+tabular"), (TOLD_AND_TREES, "cmr+ecg+tabular"),
         ("learnt to measure, joint tower", "ecg+tabular"), ("learnt to measure, not aligned", "ecg+tabular")),
        ((TOLD, "ecg+tabular"), (TOLD_AND_TREES, "ecg+tabular"), (TOLD, "ecg")),
    ),
}  # fmt: skip


def read(run: Path, name: str) -> pd.DataFrame:
    """Return the rows of all tables of a run whose file begins with a name."""
    return pd.concat([pd.read_csv(path) for path in sorted((run / "tables").glob(f"{name}*.csv"))], ignore_index=True)


def with_interval(row: pd.Series, value: str, *, sign: bool = False) -> str:
    """Return a value with its widest interval that is defined."""
    kinds = ("both", "test_subjects")
    known = [ends for kind in kinds if pd.notna((ends := _ends(row, f"intervals.{kind}."))[0])]
    ends = known[0] if known else _ends(row, "")
    plus = "+" if sign else ""
    spread = "" if pd.isna(ends[0]) else f" ({ends[0]:{plus}.3f} to {ends[1]:{plus}.3f})"
    return f"{row[value]:{plus}.3f}{spread}"


def _ends(row: pd.Series, prefix: str) -> tuple[float, float]:
    return row.get(f"{prefix}low", float("nan")), row.get(f"{prefix}high", float("nan"))


def matrix(rows: pd.DataFrame, value: str, index: str, *, sign: bool = False) -> str:
    """Return a table with a column a share of the labels."""
    fractions = sorted(rows["fraction"].unique())
    header = [index.capitalize(), *(f"{fraction:.0%} of the labels" for fraction in fractions)]
    lines = []
    for name, group in rows.groupby(index, sort=False):
        cells = [group[group["fraction"] == fraction] for fraction in fractions]
        lines.append([str(name), *(with_interval(c.iloc[0], value, sign=sign) if len(c) else "–" for c in cells)])
    return markdown([header, *lines])


def results_of(task: str, rows: pd.DataFrame) -> str:
    """Return all tables of one endpoint: every model on every input set at every share."""
    parts = [f"### {task}"]
    for metric in HEADLINE[rows["kind"].iloc[0]]:
        chosen = rows[rows["metric"] == metric]
        for inputs, group in chosen.groupby("inputs", sort=False):
            known = group.iloc[0]
            positive = f", {int(known['positives'])} positive" if pd.notna(known.get("positives")) else ""
            parts += [f"{TITLES[metric]}, {inputs}, {int(known['n'])} tested{positive}:", matrix(group, "value", "arm")]
    return "\n\n".join(parts)


def differences_of(task: str, rows: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the paired differences of some pairs of models: p over subjects and trainings, of AUROC DeLong's too."""
    header = ["Model", "Against", "Inputs", "Labels", "Metric", "Difference", "p, Holm", "p, DeLong, Holm"]
    lines = []
    for arm, baseline in pairs:
        for _, row in rows[(rows["arm"] == arm) & (rows["baseline"] == baseline)].iterrows():
            corrected = [p_of(row, f"{test}.p_holm") for test in ("both", "delong")]
            lines.append([arm, baseline, row["inputs"], f"{row['fraction']:.0%}", TITLES[row["metric"]],
                          with_interval(row, "difference", sign=True), *corrected])  # fmt: skip
    return f"### {task}\n\n{markdown([header, *lines])}" if lines else ""


def p_of(row: pd.Series, column: str) -> str:
    """Return a p value as text."""
    value = row.get(column, float("nan"))
    return "–" if pd.isna(value) else "< .001" if value < 0.001 else f"{value:.3f}"


def headline(
    differences: pd.DataFrame, closed: pd.DataFrame, factors: pd.DataFrame, other: str, asked: Sequence[tuple[str, str]]
) -> str:
    """Return what the goals ask of the infarction at 10 % of the labels, by model and input set."""
    header = [
        "Model", "Inputs", "Metric", f"minus {SCRATCH}", f"minus {other}", "Gap to the ceiling closed",
        "Label-efficiency factor",
    ]  # fmt: skip
    lines = []
    for arm, inputs in asked:
        for metric in HEADLINE["binary"]:
            own = {"task": "mi", "fraction": 0.1, "arm": arm, "inputs": inputs, "metric": metric}
            scratch = {**own, "baseline": SCRATCH}
            lines.append([
                arm, inputs, TITLES[metric], one(differences, scratch, "difference", sign=True),
                one(differences, {**own, "baseline": other}, "difference", sign=True), one(closed, scratch, "share"),
                one(factors, scratch, "factor", bounded=True),
            ])  # fmt: skip
    return markdown([header, *lines])


def one(rows: pd.DataFrame, key: Mapping[str, object], value: str, *, sign: bool = False, bounded: bool = False) -> str:
    """Return the value of the only row with a key, a dash where there is none."""
    found = rows[np.logical_and.reduce([rows[column] == wanted for column, wanted in key.items()])]
    if not len(found):
        return "–"
    return within_bounds(found.iloc[0], value) if bounded else with_interval(found.iloc[0], value, sign=sign)


def within_bounds(row: pd.Series, value: str) -> str:
    """Return a factor with its widest interval, each number marked where it is only known to be beyond."""
    kinds = [kind for kind in ("both", "test_subjects") if pd.notna(row.get(f"intervals.{kind}.low"))]
    names = [value, *(f"intervals.{kinds[0]}.{end}" for end in ("low", "high"))] if kinds else [value] * 3
    marks = ["bound", *(f"{name}_bound" for name in names[1:])]
    known = [row.get(mark) for mark in marks]
    first, low, high = (
        f"{'' if pd.isna(mark) else f'{mark} '}{row[name]:.1f}" for name, mark in zip(names, known, strict=True)
    )
    return f"{first} ({low} to {high})"


def main(name: str, run: str, command: str | None = None) -> None:
    """Fill the page and the README."""
    page, folder, path = PAGES[name], Path(run), DOCS / "results" / f"{name}.md"
    results, differences = read(folder, "results_"), read(folder, "differences")
    closed, factors = read(folder, "gap_closed"), read(folder, "label_efficiency")
    metrics = [metric for kind in HEADLINE.values() for metric in kind]
    known = differences[differences["metric"].isin(metrics)]
    pairs = list(dict.fromkeys(zip(known["arm"], known["baseline"], strict=True)))
    fill(path, "table-run", run_facts(folder, command or page.command))
    fill(path, "table-headline", headline(differences, closed, factors, page.other, page.asked))
    fill(path, "table-results", "\n\n".join(results_of(str(t), r) for t, r in results.groupby("task", sort=False)))
    fill(path, "table-differences",
         "\n\n".join(differences_of(str(t), r, pairs) for t, r in known.groupby("task", sort=False)))  # fmt: skip
    shown = headline(differences, closed, factors, page.other, page.shown)
    fill(DOCS.parent / "README.md", f"{name}-headline".replace("_", "-"), shown)


if __name__ == "__main__":
    main(*sys.argv[1:])
