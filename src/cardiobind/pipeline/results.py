"""From the predictors' scores on held-out subjects to metrics that a table shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cardiobind.artifact import Artifact
from cardiobind.errors import InputError
from cardiobind.evaluation import evaluate, table_rows
from cardiobind.evaluation.tables import HEADLINES, kinds_of, of_kind
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.groups import with_groups
from cardiobind.pipeline.workspace import Stage

HEADLINE = {"binary": ("balanced_accuracy", "auroc", "auprc")}
EVALUATION_ROOMS = (
    "rng", "evaluation/bootstrap", "evaluation/calibration", "evaluation/cells", "evaluation/comparison",
    "evaluation/evaluate", "evaluation/label_efficiency", "evaluation/logistic", "evaluation/metrics",
    "evaluation/missing_inputs", "evaluation/net_benefit", "evaluation/over_time", "evaluation/regression",
    "evaluation/resampled", "evaluation/resampler", "evaluation/settled", "evaluation/several_labels",
    "evaluation/subgroups", "evaluation/threshold", "evaluation/time_to_event", "evaluation/uncertainty",
    "tasks/concordance", "pipeline/groups", "pipeline/results",
)  # fmt: skip
CEILING = "oracle ceiling"


def evaluate_cells(study: Study, predictors: Sequence[Artifact], ceilings: Sequence[Artifact] = ()) -> Artifact:
    """Gather the scores of all predictors and measure them; evaluation reads that table alone.

    Args:
        study: the experiment at work.
        predictors: artefacts with ``predictions.parquet``.
        ceilings: on simulated data, the scores of one who knows the truth, for some of the endpoints.
    """
    chosen, seed = study.experiment.evaluation, study.experiment.seed
    parents = [*predictors, *ceilings]
    config = {"comparisons": [list(p) for p in chosen.comparisons], "resamples": chosen.resamples, "seed": seed}

    def build(stage: Stage) -> None:
        predictions = with_groups(_gather(predictors), study.cohort)
        metrics = evaluate(
            predictions, resamples=chosen.resamples, seed=seed, comparisons=chosen.comparisons,
            ceiling=_gather(ceilings) if ceilings else None,
        )  # fmt: skip
        with stage.commit() as folder:
            predictions.to_parquet(folder / "predictions.parquet", index=False)
            (folder / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False))

    return study.workspace.obtain(
        "evaluation", "evaluation", build, config=config, rooms=EVALUATION_ROOMS, parents=parents
    )


def table(metrics: Artifact) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows of the table of all arms, intervals included, the ceiling last.

    Of a task of several labels it is the table of their means.
    """
    measured = metrics.json("metrics.json")
    kind = next(iter(kinds_of(measured)), "binary")
    names = HEADLINE.get(kind, HEADLINES[kind])
    headers, *rows = table_rows(of_kind(measured, kind), names)
    _, *best = table_rows(of_kind({"cells": measured["oracle"]}, kind), names)
    return headers, rows + best


def evaluate_file(
    predictions: Path, *, baseline: str | None = None, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Return all metrics of a table of predictions made anywhere.

    Args:
        predictions: Parquet or CSV with the columns that `cardiobind.evaluation.evaluate` describes.
        baseline: arm that every other arm is compared with, or None.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Raises:
        InputError: there is no such file, it is no table, or its columns are not as described.
    """
    frame = read_predictions(predictions)
    arms = sorted({str(arm) for arm in frame["arm"]} - {baseline}) if "arm" in frame else []
    pairs = [] if baseline is None else [(arm, baseline) for arm in arms]
    return evaluate(frame, resamples=resamples, seed=seed, comparisons=pairs)


def read_predictions(predictions: Path) -> pd.DataFrame:
    """Return a table of predictions.

    Args:
        predictions: Parquet, or CSV as ``.csv``.

    Raises:
        InputError: there is no such file, or it is no table.
    """
    if not predictions.is_file():
        raise InputError("no such file", where=predictions, expected="predictions as Parquet or CSV")
    if predictions.suffix == ".csv":
        _refuse_semicolons(predictions)
    try:
        return pd.read_csv(predictions) if predictions.suffix == ".csv" else pd.read_parquet(predictions)
    except (ValueError, OSError) as error:
        raise InputError("the file is no table", where=predictions, expected="Parquet, or CSV as .csv") from error


def _refuse_semicolons(predictions: Path) -> None:
    with predictions.open("rb") as stream:
        header = stream.readline()
    if header.count(b";") > header.count(b","):
        raise InputError(
            "the columns are separated by semicolons", where=predictions, expected="commas, and decimal points",
            hint="write the table again with commas, or as Parquet",
        )  # fmt: skip


def _gather(sources: Sequence[Artifact]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(s.file("predictions.parquet")) for s in sources], ignore_index=True)
