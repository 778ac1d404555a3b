"""All stages of an experiment, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cardiobind.artifact import Artifact
from cardiobind.cohort import Shard
from cardiobind.cohort.remote import is_url
from cardiobind.config import Experiment, load_experiment
from cardiobind.config.files import SHIPPED
from cardiobind.errors import ConfigError
from cardiobind.pipeline.arms import Cell
from cardiobind.pipeline.ceiling import known_ceiling
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.export import BUNDLE_ROOMS, export_predictor, of_one_scale
from cardiobind.pipeline.finetune import cells, fit, fit_each
from cardiobind.pipeline.prepare import Ingest, prepare_each, prepare_part
from cardiobind.pipeline.progress import Reporter
from cardiobind.pipeline.rehearsal import check_words, rehearse
from cardiobind.pipeline.report import write_page
from cardiobind.pipeline.results import evaluate_cells, table
from cardiobind.pipeline.selection import Selection
from cardiobind.pipeline.variants import learn_without_labels
from cardiobind.pipeline.workspace import Stage, Workspace
from cardiobind.registry import did_you_mean
from cardiobind.training import choose_precision, computing_on
from cardiobind.training.processes import Team, join

STAGES = ("prepare", "pretrain", "align", "finetune")


@dataclass(frozen=True)
class Result:
    """What a run leaves for a person.

    Attributes:
        title, headers, rows: table of all arms with intervals.
        report: one HTML file.
        metrics: JSON of everything measured.
        bundle: for `cardiobind predict`; None where the experiment exports none.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    report: Path
    metrics: Path
    bundle: Path | None


def load(experiment: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Return an experiment by path or shipped name, every name in it looked up.

    Args:
        experiment: path of a TOML file, or the name of a shipped experiment.
        overrides: words such as ``ecg.rate_hz=100``.

    Raises:
        ConfigError: it is not there, or something in it is unknown or out of range.
    """
    path = Path(experiment)
    shipped = sorted(p.stem for p in SHIPPED.glob("*.toml"))
    if not path.is_file() and str(experiment) in shipped:
        path = SHIPPED / f"{experiment}.toml"
    if not path.is_file():
        hint = did_you_mean(path.stem, shipped)
        raise ConfigError("no such experiment", where=path, expected="a TOML file or a shipped name", hint=hint)
    config = load_experiment(path, overrides)
    check_words(config)
    return config


def run(
    experiment: Experiment, out: Path | str, *, reporter: Reporter | None = None,
    ceiling: Callable[[Study], Artifact | None] | None = None, ingest: Ingest | None = None,
) -> Result:  # fmt: skip
    """Walk all stages of an experiment; a stage whose inputs, config and code have not changed is not done again.

    Args:
        experiment: what to do.
        out: folder of the artefacts and the report.
        reporter: receives progress.
        ceiling: makes the scores of one who knows the truth, for simulated raw files; a source that knows the truth
            itself needs none.
        ingest: how raw files are read, or a cohort that is there already.

    Raises:
        CardiobindError: of any kind; what was done before it is kept.
    """
    _check_export(experiment, ingest)
    team, workspace = _join(experiment), Workspace(out, reporter)
    with workspace.locked(), computing_on(experiment.training.accelerator):
        studies = prepare_each(experiment, workspace, ingest or Ingest())
        _rehearse(studies)
        predictors = [fit(cell) for cell in _cells(studies)]
        return team.by_leader(lambda: _result(studies, predictors, ceiling))


def run_until(
    stage: str,
    experiment: Experiment,
    out: Path | str,
    *,
    reporter: Reporter | None = None,
    ingest: Ingest | None = None,
    selection: Selection | None = None,
) -> list[Artifact]:
    """Walk the stages of an experiment up to and including one, and return the artefacts of that one.

    Args:
        stage: prepare, pretrain, align or finetune.
        experiment: what to do.
        out: folder of the artefacts.
        reporter: receives progress.
        ingest: how raw files are read.
        selection: of the predictors that are fitted, for finetune; others may be at work on other predictors in the
            same folder, and a stage that several need is computed by one of them. None for all predictors.

    Returns:
        The artefacts of that stage; for prepare the cohort and the protocol; none where the experiment has no such
        stage.

    Raises:
        CardiobindError: of any kind; what was done before it is kept.
    """
    if stage not in STAGES:
        raise ConfigError("unknown stage", got=stage, expected=" | ".join(STAGES))
    _join(experiment)
    workspace, chosen = Workspace(out, reporter), selection or Selection()
    with workspace.locked(shared=not chosen.everything), computing_on(experiment.training.accelerator):
        studies = prepare_each(experiment, workspace, ingest or Ingest())
        study = studies[0]
        if stage == "prepare":
            return [study.cohort.artifact, *(own.protocol.artifact for own in studies)]
        _rehearse(studies)
        if stage == "finetune":
            return fit_each(chosen.of(_cells(studies)), again=chosen.again)
        learnt = learn_without_labels(study, until=stage).values()
        if stage == "align":
            return _distinct(own.aligned for own in learnt)
        return _distinct(encoder for own in learnt for encoder in own.encoders.values())


def run_shard(
    shard: Shard, experiment: Experiment, out: Path | str, *, reporter: Reporter | None = None,
    ingest: Ingest | None = None,
) -> int:  # fmt: skip
    """Prepare one shard's part of the raw files; ``run_until("prepare", ...)`` puts all shards together.

    Args:
        shard: which part.
        experiment: what to do.
        out: folder that all shards share.
        reporter: receives progress.
        ingest: how raw files are read.

    Returns:
        How many records are the shard's.

    Raises:
        CardiobindError: of any kind; what was done before it is kept.
    """
    workspace = Workspace(out, reporter)
    with workspace.locked(shared=True):
        return prepare_part(experiment, workspace, shard, ingest or Ingest())


def _join(experiment: Experiment) -> Team:
    """Join the processes that were launched, or launch those that the experiment asks for."""
    return join(experiment.training.devices, experiment.training.nodes)


def _result(
    studies: Sequence[Study], predictors: Sequence[Artifact], ceiling: Callable[[Study], Artifact | None] | None
) -> Result:  # fmt: skip
    study = studies[0]
    best = [(ceiling or known_ceiling)(own) for own in studies if ceiling or own.experiment.evaluation.ceiling]
    metrics = evaluate_cells(study, predictors, [one for one in best if one is not None])
    bundle = _bundle(study, predictors)
    page, numbers = write_page(study, metrics, studies, bundle, simulated=ceiling is not None)
    headers, rows = table(metrics)
    return Result(study.experiment.title, headers, rows, page, numbers, bundle)


def _check_export(experiment: Experiment, ingest: Ingest | None) -> None:
    if experiment.export is not None and ingest is not None and is_url(ingest.cohort or ""):
        raise ConfigError(
            "a bundle needs a copy of the cohort in a folder", where="export", got=experiment.export,
            hint="say export=none, or copy the cohort and give the folder",
        )  # fmt: skip


def _tell_precision(experiment: Experiment, workspace: Workspace) -> None:
    training = experiment.training
    workspace.reporter.say(f"precision of the trainings: {choose_precision(training.precision, training.accelerator)}")


def _rehearse(studies: Sequence[Study]) -> None:
    for study in studies:
        rehearse(study)
    _tell_precision(studies[0].experiment, studies[0].workspace)


def _cells(studies: Sequence[Study]) -> list[Cell]:
    """Return all cells, after what they start from has been learnt, once for all endpoints."""
    found: list[Cell] = []
    for study in studies:
        learnt = learn_without_labels(study)
        found += cells(study, learnt[None].encoders, learnt[None].aligned, learnt)
    return found


def _distinct(found: Iterable[Artifact | None]) -> list[Artifact]:
    return list({one.digest: one for one in found if one is not None}.values())


def _bundle(study: Study, predictors: Sequence[Artifact]) -> Path | None:
    if study.experiment.export is None:
        return None
    own = [p for p in predictors if study.protocol.artifact.digest in {q["digest"] for q in p.manifest["parents"]}]
    arms = [p for p in own if p.config["arm"]["name"] == study.experiment.export]
    most = max(p.config["fraction"] for p in arms)
    seeds = sorted((p for p in arms if p.config["fraction"] == most), key=lambda p: int(p.config["seed"]))
    chosen = seeds if of_one_scale(seeds) else seeds[:1]

    def build(stage: Stage) -> None:
        export_predictor([one.path for one in chosen], stage.path)

    found = study.workspace.obtain(
        "bundle", "bundle", build, config={"arm": study.experiment.export}, parents=chosen,
        rooms=BUNDLE_ROOMS,
    )  # fmt: skip
    return study.workspace.link("bundle", found)
