"""The verbs that look at files and artefacts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from cardiobind.cli.app import app
from cardiobind.cli.places import Overwrite, check_free
from cardiobind.cli.words import Experiment, Overrides


@app.command()
def inspect(
    path: Annotated[str, typer.Argument(help="ECG, cine, table, or a folder of them; archive.zip::member too.")],
    out: Annotated[Path, typer.Option(help="HTML page to write.")] = Path("inspect.html"),
    view: Annotated[str | None, typer.Option(help="View of a cine: sax, lax_2ch, lax_3ch, lax_4ch.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Say what a file or folder holds and draw it: ECG on paper, cine with its crop, table with its gaps."""
    check_free(out, overwrite=overwrite)
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
def verify(
    path: Annotated[Path, typer.Argument(help="Folder of an artefact; with --release also of a hub, or an ONNX file.")],
    release: Annotated[bool, typer.Option("--release", help="Check that nobody is in it and it may leave.")] = False,
    predictions: Annotated[
        Path | None, typer.Option(help="With --release: scores of training and test subjects, to measure memory.")
    ] = None,
    smallest_count: Annotated[int, typer.Option(help="With --release: fewest people that a number may count.")] = 10,
) -> None:
    """Check every file of an artefact and of all it was made from; or, with --release, that nobody is in it."""
    if release:
        _verify_release(path, predictions, smallest_count)
        return
    from cardiobind import artifact

    for found in artifact.verify(path):
        print(f"ok  {found.kind:<12} {found.digest[:12]}  {found.path}")  # noqa: T201


def _verify_release(path: Path, predictions: Path | None, smallest: int) -> None:
    from cardiobind.sharing import release

    found = release.verify_release(path, smallest=smallest)
    lines = [f"FOUND   {finding}" for finding in found.findings] + [f"proven  {claim}" for claim in found.proven]
    lines += [f"open    {claim}" for claim in found.beyond]
    if predictions is not None:
        lines += [f"memory  {measured}" for measured in release.membership(predictions)]
    verdict = "nothing was found" if found.clean else f"{len(found.findings)} findings: this must not leave"
    print(*lines, f"{found.kind}: {verdict}", sep="\n")  # noqa: T201
    if not found.clean:
        raise typer.Exit(1)


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
