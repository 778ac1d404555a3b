"""Arguments and options that several verbs have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
