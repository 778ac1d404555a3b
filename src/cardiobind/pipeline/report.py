"""The page of a run: everything measured, with the artefact of every number."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact, file_sha256
from cardiobind.config import digest, resolved
from cardiobind.evaluation.report import Reconstruction, Report, write_report
from cardiobind.methods.contrast import EVALUATED
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.networks import load_arrays, load_history
from cardiobind.pipeline.results import evaluate_file, read_predictions
from cardiobind.tasks import TASKS, Task, describe_codes

_TWO_VIEWS = ("simclr", "scarf")
SHOWN_KINDS = ("encoder", "aligned")


def write_page(study: Study, metrics: Artifact) -> tuple[Path, Path]:
    """Write ``report.html`` and ``metrics.json`` beside the artefacts of a run.

    Args:
        study: the experiment at work; its workspace knows all artefacts.
        metrics: the evaluation.

    Returns:
        Paths of the page and of the metrics.
    """
    page, numbers = study.workspace.out / "report.html", study.workspace.out / "metrics.json"
    write_report(page, build_report(study, metrics))
    shutil.copyfile(metrics.file("metrics.json"), numbers)
    return page, numbers


def report_file(
    predictions: Path, out: Path, *, title: str = "Predictions", baseline: str | None = None, resamples: int = 1000,
    seed: int = 0,
) -> Path:  # fmt: skip
    """Write the page of a table of predictions made anywhere: results, differences, curves and calibration.

    Args:
        predictions: as `cardiobind.pipeline.evaluate_file` reads it.
        out: HTML file to write.
        title: heading of the page.
        baseline: arm that every other arm is compared with, or None.
        resamples: bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        The path written.

    Raises:
        InputError: as `cardiobind.pipeline.evaluate_file`.
    """
    metrics = evaluate_file(predictions, baseline=baseline, resamples=resamples, seed=seed)
    origin = f"{predictions.name}, sha256 {file_sha256(predictions)[:12]}"
    report = Report(
        title=title, metrics=metrics, predictions=read_predictions(predictions),
        sources={"results": origin, "curves": origin},
    )  # fmt: skip
    return write_report(out, report)


def build_report(study: Study, metrics: Artifact) -> Report:
    """Return all that the page shows.

    Args:
        study: the experiment at work.
        metrics: the evaluation.
    """
    used, experiment = study.workspace.used, study.experiment
    aligned = used.get("align")
    embeddings = {} if aligned is None else load_arrays(aligned.file("embeddings.npz"))
    return Report(
        title=experiment.title,
        metrics=metrics.json("metrics.json"),
        description=experiment.description,
        label_definition=define(TASKS.get(experiment.protocol.task)),
        cohort=study.cohort.summary,
        counts=study.cohort.counts,
        quarantine_examples=study.cohort.quarantine_examples,
        protocol=study.protocol.artifact.json("protocol.json"),
        audit=study.protocol.artifact.json("audit.json"),
        roles=study.protocol.artifact.json("roles.json"),
        predictions=pd.read_parquet(metrics.file("predictions.parquet")),
        histories={name: load_history(found) for name, found in used.items() if found.kind in SHOWN_KINDS},
        chance=_chance(study),
        reconstruction=_reconstruction(study),
        **_embeddings(embeddings),
        retrieval=[] if aligned is None else _retrieval(aligned),
        artifacts=used,
        config=json.dumps({"digest": digest(experiment), **resolved(experiment)}, indent=1),
    )


def define(task: Task) -> str:
    """Return what an endpoint's labels mean, in words, with all codes."""
    return _DEFINED.get(task.kind, _binary)(task)


def _binary(task: Task) -> str:
    when = {"any": "at any time, before or after the visit", "prevalent": "up to the visit", "incident": "after it"}
    negative = (
        "Negative: no such record; who was never recorded may still be ill."
        if task.negative is None
        else f"Negative: {describe_codes(task.negative)}. Everybody else has no label."
    )
    return f"{task.title}. Positive: {when[task.timing]}, one of {describe_codes(task.positive)}. {negative}"


def _regression(task: Task) -> str:
    return f"{task.title}. The value is {task.column} of the table; who has none has no label."


def _survival(task: Task) -> str:
    return (
        f"{task.title}. Event: the first after the visit of {describe_codes(task.positive)}; who had one before has no "
        "label. Time: days to it, or to the first of death, loss and the end of the records."
    )


def _multilabel(task: Task) -> str:
    return f"{task.title}. " + " ".join(define(TASKS.get(name)) for name in task.members)


_DEFINED = {"regression": _regression, "survival": _survival, "multilabel": _multilabel}


def _chance(study: Study) -> dict[str, float]:
    found = {}
    for modality in study.modalities:
        stage = getattr(study.experiment, modality).pretrain
        if stage is None or stage.method.kind not in _TWO_VIEWS:
            continue
        subjects = min(EVALUATED, len(study.cohort.rows_with(study.protocol.rows("validation"), [modality])))
        if subjects >= 2:
            found[f"pretrain-{modality}"] = math.log(2 * subjects - 1)
    return found


def _reconstruction(study: Study) -> Reconstruction | None:
    found = study.workspace.used.get("pretrain-ecg")
    if found is None or "reconstruction.npz" not in found.manifest["files"]:
        return None
    arrays = load_arrays(found.file("reconstruction.npz"))
    if not arrays:  # no validation subject has an ECG
        return None
    rate_hz = float(study.cohort.spec("ecg").rate_hz or 0)
    return Reconstruction(arrays["signal"], arrays["reconstruction"], rate_hz, arrays["hidden"] > 0.5)


def _embeddings(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    label = arrays.get("label")
    embedded = {m: z for m, z in arrays.items() if m != "label"}
    rows = {m: np.isfinite(z).all(axis=1) for m, z in embedded.items()}
    found: dict[str, Any] = {"embeddings": {m: z[rows[m]] for m, z in embedded.items()}}
    if label is not None:
        found["embedding_labels"] = {m: label[rows[m]] for m in embedded}
    return found


def _retrieval(aligned: Artifact) -> list[dict[str, object]]:
    history, best = load_history(aligned), aligned.json("model.json")["selection"]["best_round"]
    row = history.iloc[-1] if best is None else history[history["round"] == best].iloc[0]
    found: dict[str, dict[str, object]] = {}
    for column in history.columns:
        if column.startswith("validation_recall_at_"):
            k, _, pair = column.removeprefix("validation_recall_at_").partition("_")
            found.setdefault(pair, {"pair": pair.replace("_to_", " → ")})[f"recall@{k}"] = float(row[column])
    return list(found.values())
