"""The verbs of the command line: parsing and printing; the work is in `cardiobind.pipeline`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cardiobind.errors import CardiobindError


class _Verbs(TyperGroup):
    """All verbs; Typer by itself would end an interrupted one without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted: start the same command again to go on from here", file=sys.stderr)  # noqa: T201
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn from ECG, cardiac MRI and medical facts without labels; predict heart disease from few labels.",
)

Overrides = Annotated[
    list[str] | None, typer.Argument(help="Overrides such as ecg.rate_hz=100", metavar="[KEY=VALUE]...")
]
Experiment = Annotated[str, typer.Argument(help="Path of a TOML file, or the name of a shipped experiment.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the artefacts and the report.")]
Prepared = Annotated[
    str | None, typer.Option(help="A cohort prepared elsewhere, folder or s3://...: no raw files are needed.")
]
Only = Annotated[
    str, typer.Option(help="Fit these cells alone, such as arm=aligned,fraction=0.1,seed=0,task=mi.", metavar="WORDS")
]
Part = Annotated[str, typer.Option(help="Fit part I of N of the cells, then run without it.", metavar="I/N")]
Again = Annotated[bool, typer.Option("--again", help="Fit the chosen cells though they are there.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for raw files, artefacts and report.")] = Path("cardiobind-demo"),
    seed: Annotated[int, typer.Option(help="Seed of the simulated cohort and of all training.")] = 0,
) -> None:
    """Simulate a small raw cohort, do everything on it, and write report.html and metrics.json."""
    from cardiobind import pipeline

    with _console() as console:
        _finish(pipeline.demo(out, seed=seed, reporter=console), console)


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
    with _console(joint=True) as console:
        ingest = pipeline.Ingest(cohort=cohort)
        _finish(pipeline.run(config, out or Path("runs") / config.name, reporter=console, ingest=ingest), console)


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
    with _console() as console:
        console.say(f"raw files: {pipeline.simulate(out, settings, workers=workers, reporter=console)}")


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


@app.command()
def evaluate(
    predictions: Annotated[Path, typer.Argument(help="predictions.parquet")],
    baseline: Annotated[str | None, typer.Option(help="Arm that every other arm is compared with.")] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Print metrics with intervals, as JSON, from a table of predictions alone."""
    from cardiobind import pipeline

    print(json.dumps(pipeline.evaluate_file(predictions, baseline=baseline, resamples=resamples, seed=seed), indent=1))  # noqa: T201


@app.command()
def report(
    predictions: Annotated[Path, typer.Argument(help="predictions.parquet or .csv")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Predictions",
    baseline: Annotated[str | None, typer.Option(help="Arm that every other arm is compared with.")] = None,
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Write one HTML page of results, curves and calibration from a table of predictions alone."""
    from cardiobind import pipeline

    print(pipeline.report_file(predictions, out, title=title, baseline=baseline, resamples=resamples, seed=seed))  # noqa: T201


@app.command()
def compare(
    models: Annotated[
        list[str], typer.Argument(help="Tables of predictions, each a path or NAME=path.", metavar="A B ...")
    ],
    out: Annotated[Path, typer.Option(help="Folder for report, metrics and tables.")] = Path("comparison"),
    baseline: Annotated[
        str | None, typer.Option(help="Model that the others are compared with; else the first.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Keep rows, such as fraction=0.1.", metavar="COLUMN=VALUE")
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
) -> None:
    """Compare the predictions of any models on the same subjects: HTML, CSV, Markdown and LaTeX."""
    from cardiobind import pipeline

    found = pipeline.compare_files(
        models, out, baseline=baseline, only=only or [], title=title, resamples=resamples, seed=seed
    )
    lines = [
        *found.notes,
        f"report:  {found.report}",
        f"metrics: {found.metrics}",
        f"tables:  {found.tables[0].parent}",
    ]
    print(*lines, sep="\n")  # noqa: T201


@app.command()
def export(
    predictor: Annotated[Path, typer.Argument(help="Artefact of kind predictor.")],
    out: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
) -> None:
    """Make a bundle that `cardiobind predict` uses, out of a predictor and its parents."""
    from cardiobind import pipeline

    print(pipeline.export_predictor(predictor, out).path)  # noqa: T201


@app.command()
def predict(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    ecg: Annotated[Path | None, typer.Option(help="ECG file.")] = None,
    cmr: Annotated[Path | None, typer.Option(help="Cine MRI: zip or folder of DICOM files.")] = None,
    table: Annotated[Path | None, typer.Option(help="CSV with one row of medical facts.")] = None,
    subject: Annotated[str | None, typer.Option(help="Row of the table, where it has several.")] = None,
    cmr_long_axis: Annotated[Path | None, typer.Option(help="Long-axis views, if apart from --cmr.")] = None,
) -> None:
    """Print the calibrated score of one subject, as JSON, from raw files."""
    from cardiobind import inference

    predictor = inference.load(bundle)
    found = predictor.predict(ecg=ecg, cmr=cmr, table=table, subject=subject, cmr_long_axis=cmr_long_axis)
    print(json.dumps(found.to_json(), indent=1))  # noqa: T201


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="ECG, cine, table, or a folder of them; archive.zip::member too.")],
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("inspect.html"),
    view: Annotated[str | None, typer.Option(help="View of a cine: sax, lax_2ch, lax_3ch, lax_4ch.")] = None,
) -> None:
    """Say what a file or folder holds and draw it: ECG on paper, cine with its crop, table with its gaps."""
    from cardiobind import inspection

    sheet = inspection.inspect(path, view)
    out.write_text(inspection.to_html(sheet), encoding="utf-8")
    print(*inspection.to_text(sheet), f"drawn:  {out}", sep="\n")  # noqa: T201


@app.command()
def config(experiment: Experiment, overrides: Overrides = None) -> None:
    """Print the resolved experiment, all defaults filled in, and its digest."""
    from cardiobind import config as configuration
    from cardiobind import pipeline

    resolved = pipeline.load(experiment, overrides or [])
    tree = {"digest": configuration.digest(resolved), "experiment": configuration.resolved(resolved)}
    print(json.dumps(tree, indent=1))  # noqa: T201


@app.command()
def verify(path: Annotated[Path, typer.Argument(help="Folder of an artefact.")]) -> None:
    """Check every file of an artefact and of all artefacts it was made from."""
    from cardiobind import artifact

    for found in artifact.verify(path):
        print(f"ok  {found.kind:<12} {found.digest[:12]}  {found.path}")  # noqa: T201


@app.command()
def withdrawn(
    cohort: Annotated[Path, typer.Argument(help="Folder of a cohort.")],
    listed: Annotated[Path, typer.Argument(help="Text file, one participant a line.", metavar="LIST")],
) -> None:
    """Count who of a list of withdrawn participants is still in a cohort; exit with 1 if anybody is."""
    from cardiobind import pipeline

    count = pipeline.count_withdrawn(cohort, listed)
    print(f"{count} of the listed participants are in {cohort}")  # noqa: T201
    if count:
        print("prepare again under the new list, then delete this cohort and what was made from it", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1)


def _shard(text: str, experiment: str, overrides: list[str] | None, out: Path | None, ingest: Any) -> None:
    from cardiobind import pipeline
    from cardiobind.cohort import Shard

    shard, config = Shard.parse(text), pipeline.load(experiment, overrides or [])
    with _console() as console:
        folder = out or Path("runs") / config.name
        records = pipeline.run_shard(shard, config, folder, reporter=console, ingest=ingest)
        console.say(f"shard {shard}: {records} records; after all shards, run `cardiobind prepare` without --shard")


def _until(
    stage: str, experiment: str, overrides: list[str] | None, out: Path | None, ingest: Any = None,
    cohort: str | None = None, cells: tuple[str, str, bool] = ("", "", False),
) -> None:  # fmt: skip
    from cardiobind import pipeline

    only, shard, again = cells
    selection = pipeline.Selection.parse(only, shard, again=again)
    config = pipeline.load(experiment, overrides or [])
    with _console(joint=True) as console:
        for found in pipeline.run_until(
            stage,
            config,
            out or Path("runs") / config.name,
            reporter=console,
            ingest=ingest or pipeline.Ingest(cohort=cohort),
            selection=selection,
        ):
            console.say(f"{found.kind:<12} {found.path}")


def _console(*, joint: bool = False) -> Any:
    """Return the display; of processes that do one thing together, the first one's alone is visible."""
    import rich.console

    from cardiobind.pipeline.console import Console
    from cardiobind.training.processes import launched

    return Console(rich.console.Console(quiet=True) if joint and not launched(os.environ).leads else None)


def _finish(result: Any, console: Any) -> None:
    console.table(result.headers, result.rows, result.title)
    console.say(f"report:  {result.report}")
    console.say(f"metrics: {result.metrics}")
    if result.bundle is not None:
        console.say(f"bundle:  {result.bundle}")


def _speaks() -> bool:
    processes = sys.modules.get("cardiobind.training.processes")
    return processes is None or bool(processes.current().leads)


def main() -> None:
    """Run the command line; an error made by the user's input is printed without a stack trace."""
    try:
        app()
    except CardiobindError as error:
        if _speaks():
            print(f"error: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
