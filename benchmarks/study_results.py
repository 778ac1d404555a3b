"""From the predictions of a study's jobs to a table of all arms: CSV, JSON and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import roc_auc_score

from cardiobind.evaluation import evaluate
from cardiobind.evaluation.tables import estimate_text
from study_plan import Job, Plan

METRICS = ("auroc", "auprc", "balanced_accuracy")
MACRO = {"auroc": "macro_auroc", "auprc": "macro_auprc"}
"""What stands for a metric where a task has several labels: its mean over them."""
CELL = ["task", "arm", "inputs", "fraction"]


def gather(jobs: Sequence[Job], folder: Path) -> pd.DataFrame:
    """Return the predictions of all finished jobs, an arm that two jobs have taken from the first."""
    frames: list[pd.DataFrame] = []
    taken: set[str] = set()
    for job in jobs:
        file = folder / job.folder / "predictions.parquet"
        if job.stage == "finetune" and file.is_file():
            frame = pd.read_parquet(file)
            frames.append(frame[~frame["arm"].isin(taken)])
            taken |= set(frame["arm"])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def measure(predictions: pd.DataFrame, baselines: Sequence[str], *, resamples: int, processes: int) -> pd.DataFrame:
    """Return one row for each arm, inputs and share of labels, with paired differences from each baseline.

    Args:
        predictions: of all arms.
        baselines: arms, those without predictions are left out.
        resamples: of the bootstrap.
        processes: the cells of one task, inputs and share are measured by one process.
    """
    parts = [part for _, part in predictions.groupby(["task", "inputs", "fraction"], sort=False)]
    work = partial(_measure, baselines=list(baselines), resamples=resamples)
    if processes < 2 or len(parts) < 2:
        return pd.DataFrame([row for part in parts for row in work(part)])
    with ProcessPoolExecutor(min(processes, len(parts))) as pool:
        return pd.DataFrame([row for rows in pool.map(work, parts) for row in rows])


def _measure(part: pd.DataFrame, baselines: list[str], resamples: int) -> list[dict[str, Any]]:
    arms = list(part["arm"].unique())
    pairs = [(arm, baseline) for baseline in baselines if baseline in arms for arm in arms if arm != baseline]
    found = evaluate(part, resamples=resamples, comparisons=pairs)
    differences = {(c["arm"], c["baseline"], c["metric"]): c for c in found["comparisons"]}
    macro = [cell for cell in found["cells"] if MACRO["auroc"] in cell["metrics"]]
    return [_row(cell, part, differences, baselines) for cell in macro or found["cells"]]


def _row(
    cell: Mapping[str, Any], part: pd.DataFrame, differences: Mapping[tuple[str, str, str], Any], baselines: list[str]
) -> dict[str, Any]:
    row: dict[str, Any] = {name: cell[name] for name in CELL}
    row |= {"seeds": len(cell["seeds"]), "n": cell["n"], "positives": cell.get("positives")}
    row["validation_auroc"] = _validation_auroc(part[part["arm"] == cell["arm"]])
    for name in METRICS:
        stored = name if name in cell["metrics"] else MACRO.get(name, name)
        for key in ("value", "low", "high", "seed_sd"):
            row[f"{name}_{key}"] = cell["metrics"].get(stored, {}).get(key)
        for baseline in baselines:
            against = differences.get((cell["arm"], baseline, stored), {})
            for key in ("difference", "low", "high", "p"):
                row[f"{name}_{key}_to_{baseline}"] = against.get(key)
    return row


def _validation_auroc(rows: pd.DataFrame) -> float | None:
    """Return the mean over seeds; what was chosen on these subjects makes it a little too good."""
    known = rows[(rows["split"] == "validation") & rows["label"].notna()]
    by = ["seed", "output"] if "output" in known else ["seed"]
    values = [roc_auc_score(r["label"], r["score"]) for _, r in known.groupby(by) if r["label"].nunique() == 2]
    return sum(values) / len(values) if values else None


def write(plan: Plan, folder: Path, out: Path, *, notes: Sequence[str], resamples: int, processes: int) -> None:
    """Write predictions.parquet, methods.csv and methods.md of all finished jobs.

    Args:
        plan: of the study.
        folder: of the jobs.
        out: receives the three files.
        notes: lines on how it was run.
        resamples: of the bootstrap.
        processes: that measure.
    """
    predictions = gather(plan.jobs, folder)
    if predictions.empty:
        print("no job has finished: nothing to measure")
        return
    out.mkdir(parents=True, exist_ok=True)
    predictions.to_parquet(out / "predictions.parquet", index=False)
    table = measure(predictions, plan.baselines, resamples=resamples, processes=processes)
    table.to_csv(out / "methods.csv", index=False)
    (out / "methods.md").write_text(_markdown(plan, table, _costs(plan, folder), notes), encoding="utf-8")
    print(f"{len(table)} cells: {out / 'methods.md'}")


def _costs(plan: Plan, folder: Path) -> list[list[str]]:
    rows = []
    for job in plan.jobs:
        file = folder / job.folder / "costs.json"
        if file.is_file():
            cost = json.loads(file.read_text())
            by_stage = cost["seconds"]
            learnt = sum(s for name, s in by_stage.items() if name.startswith(("pretrain", "align", "kernel")))
            fitted = [s for name, s in by_stage.items() if name.startswith("predictor")]
            weights = f"{cost['encoder_weights']:,}" if cost.get("encoder_weights") else "–"
            rows.append([job.name, weights, f"{learnt:.0f}", f"{sum(fitted):.0f} ({len(fitted)})", cost["device"]])
    return rows


def _markdown(plan: Plan, table: pd.DataFrame, costs: list[list[str]], notes: Sequence[str]) -> str:
    lines = [f"## {plan.title}", "", *notes, ""]
    for (task, inputs), rows in table.groupby(["task", "inputs"], sort=False):
        first = rows.iloc[0]
        tested = f"{int(first['n'])} test subjects and visits"
        tested += "" if pd.isna(first["positives"]) else f", {int(first['positives'])} positive"
        lines += [f"### {task}, {inputs}", "", f"{tested}. AUROC:", "", *_by_fraction(rows, _auroc), ""]
        for baseline in (b for b in plan.baselines if b in set(rows["arm"])):
            lines += [f"Difference of AUROC from *{baseline}*, p:", ""]
            lines += [*_by_fraction(rows[rows["arm"] != baseline], partial(_difference, baseline=baseline)), ""]
        best = [f"{_best(part)} ({100 * share:g} %)" for share, part in rows.groupby("fraction")]
        lines += [f"Best on validation: {'; '.join(best)}.", ""]
    header = ["Job", "Encoder weights", "Learning without labels, s", "Predictors, s (number)", "Device"]
    return "\n".join([*lines, "### Costs", "", *_grid(header, costs)]) + "\n"


def _by_fraction(rows: pd.DataFrame, text: Callable[[pd.Series], str]) -> list[str]:
    """Return a table, one row an arm, one column a share of the labels."""
    shares = sorted(rows["fraction"].unique())
    cells = {(row["arm"], row["fraction"]): text(row) for _, row in rows.iterrows()}
    lines = [[str(arm), *(cells.get((arm, share), "–") for share in shares)] for arm in rows["arm"].unique()]
    return _grid(["Arm", *(f"{100 * share:g} % of the labels" for share in shares)], lines)


def _auroc(row: pd.Series) -> str:
    spread = _number(row["auroc_seed_sd"])
    estimate = estimate_text({k: _number(row[f"auroc_{k}"]) for k in ("value", "low", "high")})
    return estimate if spread is None else f"{estimate}, SD {spread:.3f}"


def _difference(row: pd.Series, baseline: str) -> str:
    keys = {"value": "difference", "low": "low", "high": "high"}
    p = _number(row.get(f"auroc_p_to_{baseline}"))
    shown = estimate_text({k: _number(row.get(f"auroc_{name}_to_{baseline}")) for k, name in keys.items()})
    return shown if p is None else f"{shown}, {p:.3f}"


def _best(rows: pd.DataFrame) -> str:
    known = rows[rows["validation_auroc"].notna()]
    return "–" if known.empty else str(known.loc[known["validation_auroc"].astype(float).idxmax(), "arm"])


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]
