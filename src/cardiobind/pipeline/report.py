"""The page of a run: everything measured, with the artefact of every number."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact, file_sha256
from cardiobind.config import digest, resolved
from cardiobind.evaluation.report import Reconstruction, Report, write_papers, write_report
from cardiobind.methods.contrast import EVALUATED
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.examples import knows_truth, wanted_examples
from cardiobind.pipeline.explained import explained_tables
from cardiobind.pipeline.networks import load_arrays, load_history
from cardiobind.pipeline.pretrain import ROWS
from cardiobind.pipeline.results import evaluate_file, read_predictions
from cardiobind.tasks import KINDS, TASKS, Task, describe_codes, kind_of

_TWO_VIEWS = ("simclr", "scarf")
SHOWN_KINDS = ("encoder", "aligned")
_LABELS_IN = ("model.json", "probe.json")
"""Files in which an arm says with how many labels it was trained: a network, a model fitted on features."""
_EJECTION_FRACTION = "lvef_percent"


def write_page(
    study: Study, metrics: Artifact, endpoints: Sequence[Study] = (), bundle: Path | None = None, *,
    simulated: bool = False,
) -> tuple[Path, Path]:  # fmt: skip
    """Write ``report.html``, ``metrics.json``, ``tables/``, model card and checklist beside the artefacts of a run.

    Args:
        study: the experiment at work; its workspace knows all artefacts.
        metrics: the evaluation.
        endpoints: a study for each endpoint that was evaluated, where there are several.
        bundle: whose scores are explained; None where none was exported.
        simulated: whether the raw files are simulated, though their source cannot know that.

    Returns:
        Paths of the page and of the metrics.
    """
    page, numbers = study.workspace.out / "report.html", study.workspace.out / "metrics.json"
    report = build_report(study, metrics, endpoints or [study], bundle, simulated=simulated)
    write_report(page, report)
    write_papers(study.workspace.out, report)
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


def build_report(
    study: Study, metrics: Artifact, endpoints: Sequence[Study], bundle: Path | None = None, *, simulated: bool = False
) -> Report:  # fmt: skip
    """Return all that the page shows.

    Args:
        study: the experiment at work.
        metrics: the evaluation.
        endpoints: a study for each endpoint that was evaluated.
        bundle: whose scores are explained; None where none was exported.
        simulated: whether the raw files are simulated, though their source cannot know that.
    """
    used, experiment = study.workspace.used, study.experiment
    aligned = used.get("align")
    embeddings = {} if aligned is None else load_arrays(aligned.file("embeddings.npz"))
    settings = {"digest": digest(experiment), **resolved(experiment)}
    shown = wanted_examples(experiment, simulated=simulated)
    explained, examples = ({}, []) if bundle is None else explained_tables(
        bundle, study.cohort, study.protocol, shown=shown
    )  # fmt: skip
    return Report(
        title=experiment.title,
        metrics=metrics.json("metrics.json"),
        description=experiment.description,
        label_definition=" ".join(define(TASKS.get(own.experiment.protocol.task)) for own in endpoints),
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
        **_embeddings(study, embeddings),
        retrieval=[] if aligned is None else _retrieval(study, aligned),
        artifacts=used,
        config=json.dumps(settings, indent=1),
        training_labels=_training_labels(used.values()),
        settings=settings,
        made=_made(study, metrics),
        explained=explained,
        examples=examples,
        simulated=simulated or knows_truth(experiment),
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


def _embeddings(study: Study, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    label = _marks(study, arrays[ROWS]) if ROWS in arrays else None
    embedded = {m: z for m, z in arrays.items() if m != ROWS}
    rows = {m: np.isfinite(z).all(axis=1) for m, z in embedded.items()}
    found: dict[str, Any] = {"embeddings": {m: z[rows[m]] for m, z in embedded.items()}}
    if label is not None:
        found["embedding_labels"] = {m: label[rows[m]] for m in embedded}
    colours = _colours(study, arrays[ROWS]) if embedded else {}
    found["embedding_colours"] = {
        name: {m: values[rows[m]] for m in embedded}
        for name, values in colours.items()
        if all(len(values) == len(z) for z in embedded.values()) and np.isfinite(values).any()
    }
    return found


def _colours(study: Study, rows: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return what colours the embedded test subjects: sex, age and ejection fraction, NaN where unknown."""
    table = study.cohort.table.iloc[rows]
    found: dict[str, NDArray[np.float64]] = {}
    if "sex" in table:
        found["male/female"] = np.asarray(table["sex"].map({"female": 1.0, "male": 0.0}), np.float64)
    if "age_years" in table:
        found["age (years)"] = table["age_years"].to_numpy(np.float64)
    if _EJECTION_FRACTION in study.cohort.summary.get("tasks", {}):
        found["LVEF (%)"] = np.asarray(study.cohort.label_matrix((_EJECTION_FRACTION,))[rows, 0], np.float64)
    return found


def _marks(study: Study, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    labels, marks = study.protocol.labels, KINDS.get(kind_of(study.protocol.task)).marks
    return None if labels is None or marks is None else marks(labels[rows])


def _retrieval(study: Study, aligned: Artifact) -> list[dict[str, object]]:
    history, best = load_history(aligned), aligned.json("model.json")["selection"]["best_round"]
    row = history.iloc[-1] if best is None else history[history["round"] == best].iloc[0]
    found: dict[str, dict[str, object]] = {}
    for column in history.columns:
        if column.startswith("validation_recall_at_"):
            k, _, pair = column.removeprefix("validation_recall_at_").partition("_")
            entry = found.setdefault(pair, {"pair": pair.replace("_to_", " → "), **_searched(study, pair)})
            entry[f"recall@{k}"] = float(row[column])
    return list(found.values())


def _searched(study: Study, pair: str) -> dict[str, int]:
    """Return how many validation subjects a pair of modalities was searched among, if both are modalities."""
    wanted = pair.split("_to_")
    if not set(wanted) <= set(study.modalities):
        return {}
    rows = study.protocol.rows("validation")
    have = {m: study.cohort.has(m)[rows] for m in study.modalities}
    several = np.flatnonzero(np.sum(list(have.values()), axis=0) >= 2)[:EVALUATED]
    return {"subjects": int(np.logical_and(*(have[m][several] for m in wanted)).sum())}


def _training_labels(used: Iterable[Artifact]) -> dict[tuple[str, float], int]:
    """Return with how many labels each arm was trained at each share, the mean over seeds.

    An ensemble has none of its own: those of its members are counted with them. An arm has none whose number differs
    between endpoints, as no model was trained with the mean of them.
    """
    counts: dict[tuple[str, float], dict[int, set[int]]] = {}
    for found in used:
        facts = [name for name in _LABELS_IN if name in found.manifest["files"]]
        if found.kind == "predictor" and facts:
            known = found.json(facts[0]).get("training_labels")
            if known is not None:
                own = counts.setdefault((found.config["arm"]["name"], float(found.config["fraction"])), {})
                own.setdefault(int(found.config["seed"]), set()).add(int(known))
    clear = {key: by_seed for key, by_seed in counts.items() if all(len(n) == 1 for n in by_seed.values())}
    return {key: round(sum(map(sum, by_seed.values())) / len(by_seed)) for key, by_seed in clear.items()}


def _made(study: Study, metrics: Artifact) -> dict[str, str]:
    environment = metrics.manifest.get("environment", {})
    return {
        "experiment": study.experiment.name,
        "experiment digest": digest(study.experiment)[:12],
        "code version": str(metrics.manifest["code_version"]),
        "made with": ", ".join(f"{name} {value}" for name, value in environment.items()),
    }
