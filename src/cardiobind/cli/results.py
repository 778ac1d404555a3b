"""The verbs that read tables of predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cardiobind.cli.app import app
from cardiobind.cli.places import Overwrite, check_free


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
    overwrite: Overwrite = False,
) -> None:
    """Write one HTML page of results, curves and calibration from a table of predictions alone."""
    check_free(out, overwrite=overwrite)
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
    overwrite: Overwrite = False,
) -> None:
    """Compare the predictions of any models on the same subjects: HTML, CSV, Markdown and LaTeX."""
    check_free(out, overwrite=overwrite)
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
