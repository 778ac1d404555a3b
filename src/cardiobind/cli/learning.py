"""The verbs that make predictors out of raw files, a stage each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiobind.cli.app import app, console, finish
from cardiobind.cli.words import Again, Experiment, Only, Out, Overrides, Part, Prepared


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for raw files, artefacts and report.")] = Path("cardiobind-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated cohort and of all training.")] = 0,
) -> None:
    """Simulate a small raw cohort, do everything on it, and write report.html and metrics.json."""
    from cardiobind import pipeline

    with console() as shown:
        finish(pipeline.demo(out, seed=seed, reporter=shown), shown)


@app.command()
def run(
    experiment: Experiment, overrides: Overrides = None, out: Out = None, cohort: Prepared = None, only: Only = "",
    shard: Part = "", again: Again = False,
) -> None:  # fmt: skip
    """Walk all stages of an experiment; what is done already is not done again."""
    from cardiobind import pipeline

    if only or shard or again:
        _until("finetune", experiment, overrides, out, cohort=cohort, cells=(only, shard, again))
        return
    config = pipeline.load(experiment, overrides or [])
    with console(joint=True) as shown:
        ingest = pipeline.Ingest(cohort=cohort)
        finish(pipeline.run(config, out or Path("runs") / config.name, reporter=shown, ingest=ingest), shown)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder for the raw files.")],
    subjects: Annotated[int, typer.Option(help="Number of simulated subjects.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the cohort.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    slices: Annotated[int, typer.Option(help="Short-axis slices of a cine.")] = 10,
    phases: Annotated[int, typer.Option(help="Phases of a cine.")] = 50,
) -> None:
    """Write raw files of a simulated cohort: CardioSoft XML, DICOM zips, one wide CSV."""
    from cardiobind import pipeline
    from cardiobind.simulate import SimulationSettings

    settings = SimulationSettings(subjects=subjects, seed=seed, slices=slices, phases=phases)
    with console() as shown:
        shown.say(f"raw files: {pipeline.simulate(out, settings, workers=workers, reporter=shown)}")


@app.command()
def prepare(
    experiment: Experiment,
    overrides: Overrides = None,
    out: Out = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Prepare part I of N of the records, then run without it.", metavar="I/N"),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0 for this one alone.")] = 2,
    dask: Annotated[str, typer.Option(help="Address of a dask scheduler, or: local.")] = "",
    record_seconds: Annotated[float, typer.Option(help="Time limit of one record.")] = 60.0,
    worker_gib: Annotated[float, typer.Option(help="Memory limit of a worker process.")] = 4.0,
    accept_missing: Annotated[bool, typer.Option(help="Go on although most files cannot be opened.")] = False,
) -> None:
    """Read the raw files of an experiment into a cohort and divide it into training, validation and test."""
    from cardiobind import pipeline
    from cardiobind.cohort import Limits

    limits = Limits(record_seconds, int(worker_gib * 2**30))
    ingest = pipeline.Ingest(workers, dask, limits, accept_missing)
    if shard is None:
        _until("prepare", experiment, overrides, out, ingest)
    else:
        _shard(shard, experiment, overrides, out, ingest)


@app.command()
def pretrain(experiment: Experiment, overrides: Overrides = None, out: Out = None, cohort: Prepared = None) -> None:
    """Pre-train the encoders of an experiment without labels."""
    _until("pretrain", experiment, overrides, out, cohort=cohort)


@app.command()
def align(experiment: Experiment, overrides: Overrides = None, out: Out = None, cohort: Prepared = None) -> None:
    """Align the pre-trained encoders of an experiment with one another."""
    _until("align", experiment, overrides, out, cohort=cohort)


@app.command()
def finetune(
    experiment: Experiment, overrides: Overrides = None, out: Out = None, cohort: Prepared = None, only: Only = "",
    shard: Part = "", again: Again = False,
) -> None:  # fmt: skip
    """Train the predictors of an experiment: every arm at every label fraction and seed."""
    _until("finetune", experiment, overrides, out, cohort=cohort, cells=(only, shard, again))


def _shard(text: str, experiment: str, overrides: list[str] | None, out: Path | None, ingest: Any) -> None:
    from cardiobind import pipeline
    from cardiobind.cohort import Shard

    shard, config = Shard.parse(text), pipeline.load(experiment, overrides or [])
    with console() as shown:
        folder = out or Path("runs") / config.name
        records = pipeline.run_shard(shard, config, folder, reporter=shown, ingest=ingest)
        shown.say(f"shard {shard}: {records} records; after all shards, run `cardiobind prepare` without --shard")


def _until(
    stage: str, experiment: str, overrides: list[str] | None, out: Path | None, ingest: Any = None,
    cohort: str | None = None, cells: tuple[str, str, bool] = ("", "", False),
) -> None:  # fmt: skip
    from cardiobind import pipeline

    only, shard, again = cells
    selection = pipeline.Selection.parse(only, shard, again=again)
    config = pipeline.load(experiment, overrides or [])
    with console(joint=True) as shown:
        for found in pipeline.run_until(
            stage,
            config,
            out or Path("runs") / config.name,
            reporter=shown,
            ingest=ingest or pipeline.Ingest(cohort=cohort),
            selection=selection,
        ):
            shown.say(f"{found.kind:<12} {found.path}")
