"""The verbs of embeddings and of the search among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cardiobind.cli.app import app, console
from cardiobind.cli.many_words import (
    MEMORY_GIB,
    SECONDS,
    WORKERS,
    Folder,
    IgnoreUnknown,
    Inputs,
    MemoryGib,
    Root,
    Seconds,
    SourceKind,
    Subjects,
    Workers,
    limits,
    modality_names,
)
from cardiobind.cli.places import check_artifact
from cardiobind.errors import ConfigError


@app.command()
def embed(
    out: Annotated[Path, typer.Option(help="Table to write: .parquet.")],
    bundle: Annotated[Path | None, typer.Option(help="Folder of a bundle.")] = None,
    encoder: Annotated[Path | None, typer.Option(help="Artefact of kind aligned, encoder or index.")] = None,
    cohort: Annotated[Path | None, typer.Option(help="A prepared cohort, in place of raw files.")] = None,
    subjects: Subjects = None,
    folder: Folder = None,
    source: SourceKind = None,
    root: Root = None,
    table: Annotated[Path | None, typer.Option(help="Medical facts of all --subjects.")] = None,
    inputs: Inputs = None,
    workers: Workers = WORKERS,
    seconds: Seconds = SECONDS,
    memory_gib: MemoryGib = MEMORY_GIB,
    ignore_unknown: IgnoreUnknown = False,
) -> None:
    """Write embeddings of many subjects, from raw files or a prepared cohort, as a Parquet table."""
    if (bundle is None) == (encoder is None):
        raise ConfigError("which network?", expected="one of --bundle and --encoder")
    if bundle is not None:
        check_artifact(bundle, "bundle")
    if encoder is not None:
        check_artifact(encoder, "aligned", "encoder", "index")
    from cardiobind.pipeline import search

    with console() as shown:
        told = search.embed_many(
            bundle or encoder or "", out, cohort=cohort, subjects=subjects, folder=folder, source=source, root=root,
            table=table, inputs=modality_names(inputs), workers=workers, limits=limits(seconds, memory_gib),
            reporter=shown, ignore_unknown=ignore_unknown,
        )  # fmt: skip
        shown.say(f"{told}\n{told.out}")


@app.command()
def index(
    aligned: Annotated[Path, typer.Argument(help="Artefact of kind aligned.")],
    out: Annotated[Path, typer.Argument(help="Folder of the index.")],
    phenotypes: Annotated[
        Path | None,
        typer.Option(help="Table: subject, lvef_percent ...; by default the cohort's endpoints."),
    ] = None,
    neighbours: Annotated[
        int | None, typer.Option(help="Subjects that a phenotype is inferred from; else what leaving one out says.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep embeddings in float16.")] = False,
) -> None:
    """Make an index of training subjects' cines that `cardiobind search` asks; it must not leave the platform."""
    check_artifact(aligned, "aligned")
    from cardiobind.pipeline import search
    from cardiobind.pipeline.search.assess import HEADERS, rows_of

    with console() as shown:
        made = search.build_index(aligned, out, phenotypes=phenotypes, neighbours=neighbours, half=half, reporter=shown)
        shown.table(HEADERS, rows_of(made.facts), "Phenotypes of test subjects, told by their nearest neighbours")
        shown.say(f"{made.facts['notice']}\n{made.artifact.path}")


@app.command()
def search(
    index: Annotated[Path, typer.Option(help="Folder of the index.")],
    ecg: Annotated[Path | None, typer.Option(help="ECG file.")] = None,
    cmr: Annotated[Path | None, typer.Option(help="Cine MRI: zip or folder of DICOM files.")] = None,
    table: Annotated[Path | None, typer.Option(help="Medical facts.")] = None,
    subject: Annotated[str | None, typer.Option(help="Row of the table, where it has several.")] = None,
    by: Annotated[str | None, typer.Option(help="What to search by: ecg, tabular, ecg+tabular, cmr.")] = None,
    nearest: Annotated[int, typer.Option(help="Neighbours to print.", min=1)] = 10,
    ignore_unknown: IgnoreUnknown = False,
) -> None:
    """Print, as JSON, the subjects whose cines are nearest to one's ECG, and the phenotypes that they tell.

    Of signals that cannot be relied on it prints nothing but why.
    """
    check_artifact(index, "index")
    from cardiobind import inference
    from cardiobind.pipeline.search import open_index

    opened = open_index(index)
    prepared = inference.prepare_subject(
        opened.contract, ecg=ecg, cmr=cmr, table=table, subject=subject, ignore_unknown=ignore_unknown
    )
    abstained = opened.doubt(prepared, by)
    told = {
        "by": opened.query(prepared, by)[0], "quality": prepared.quality, "abstained": abstained,
        "phenotypes": opened.inferred(prepared, by),
        "nearest": opened.neighbours(prepared, nearest, by) if abstained is None else [], "notice": inference.NOTICE,
    }  # fmt: skip
    print(json.dumps(told, indent=1))  # noqa: T201
