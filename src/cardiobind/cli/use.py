"""The verbs that put a predictor to use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cardiobind.cli.app import app


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
