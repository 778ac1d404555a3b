"""The verbs that put a predictor to use."""

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
    refuse_beside_many,
    refuse_beside_one,
)
from cardiobind.cli.places import Overwrite, check_artifact, check_free


@app.command()
def export(
    source: Annotated[Path, typer.Argument(help="Artefact of kind predictor; a bundle for the options.")],
    out: Annotated[Path | None, typer.Argument(help="Folder of the bundle that is made of a predictor.")] = None,
    also: Annotated[list[Path] | None, typer.Option(help="A predictor of another seed of the same arm.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to write of a bundle's network.", metavar="FILE")] = None,
    inputs: Annotated[str | None, typer.Option(help="Inputs of the ONNX graph, such as ecg+tabular; else all.")] = None,
    tower: Annotated[str | None, typer.Option(help="Write the encoder of this modality alone as ONNX.")] = None,
    hub: Annotated[Path | None, typer.Option(help="Folder for a model hub to write.", metavar="DIR")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the hub's card.")] = "other",
    metrics: Annotated[Path | None, typer.Option(help="metrics.json of the run, for the hub's card.")] = None,
    release: Annotated[
        Path | None, typer.Option(help="Copy of a bundle without the places of its parents.", metavar="DIR")
    ] = None,
) -> None:
    """Make a bundle of a predictor, or other forms of a bundle: ONNX, a folder for a hub, a copy that may leave."""
    check_artifact(source, "bundle" if out is None else "predictor")
    if out is not None:
        from cardiobind import pipeline

        print(pipeline.export_predictor([source, *(also or [])], out).path)  # noqa: T201
        source = out
    elif onnx is hub is release is None:
        raise typer.BadParameter("say what to write: a folder for the bundle, --onnx, --hub or --release")
    if onnx is hub is release is None:
        return
    from cardiobind import sharing

    for line in sharing.export_forms(
        source, onnx=onnx, inputs=inputs, tower=tower, hub=hub, licence=licence, metrics=metrics, release=release
    ):
        print(line)  # noqa: T201


@app.command()
def predict(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    ecg: Annotated[Path | None, typer.Option(help="ECG file.")] = None,
    cmr: Annotated[Path | None, typer.Option(help="Cine MRI: zip or folder of DICOM files.")] = None,
    table: Annotated[Path | None, typer.Option(help="Medical facts: of one row, or of all --subjects.")] = None,
    subject: Annotated[str | None, typer.Option(help="Row of the table, where it has several.")] = None,
    cmr_long_axis: Annotated[Path | None, typer.Option(help="Long-axis views, if apart from --cmr.")] = None,
    subjects: Subjects = None,
    folder: Folder = None,
    source: SourceKind = None,
    root: Root = None,
    inputs: Inputs = None,
    out: Annotated[Path | None, typer.Option(help="Table of many: .parquet, .csv, .jsonl, .json.")] = None,
    workers: Workers = WORKERS,
    seconds: Seconds = SECONDS,
    memory_gib: MemoryGib = MEMORY_GIB,
    on_doubt: Annotated[
        str, typer.Option(help="Of signals not to rely on: abstain (say why), or tell the risk too.")
    ] = "abstain",
    ignore_unknown: IgnoreUnknown = False,
) -> None:
    """Print the calibrated score of one subject as JSON, or write a table of many (--subjects, --folder, --source)."""
    check_artifact(bundle, "bundle")
    from cardiobind import inference

    one = {"ecg": ecg, "cmr": cmr, "cmr_long_axis": cmr_long_axis, "subject": subject}
    if subjects is None and folder is None and source is None and out is None:
        refuse_beside_one(
            {"root": root, "inputs": inputs, "workers": workers, "seconds": seconds, "memory_gib": memory_gib}
        )
        predictor = inference.load(bundle, on_doubt=on_doubt)  # type: ignore[arg-type]
        found = predictor.predict(table=table, ignore_unknown=ignore_unknown, **one)  # type: ignore[arg-type]
        print(json.dumps(found.to_json(), indent=1))  # noqa: T201
        return
    refuse_beside_many(out, one)
    from cardiobind.pipeline import many

    with console() as shown:
        told = many.predict_many(
            bundle, out or "", subjects=subjects, folder=folder, source=source, root=root, table=table,
            inputs=modality_names(inputs), workers=workers, limits=limits(seconds, memory_gib), reporter=shown,
            on_doubt=on_doubt, ignore_unknown=ignore_unknown,  # type: ignore[arg-type]
        )  # fmt: skip
        shown.say(f"{told}\n{told.out}")


@app.command()
def serve(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with a key that requests must bear; else CARDIOBIND_API_KEY, else none.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that read and prepare what is sent.")] = 2,
    request_seconds: Annotated[float, typer.Option(help="Time limit of the preparation of one request.")] = 30.0,
    worker_gib: Annotated[float, typer.Option(help="Memory limit of a worker process.")] = 2.0,
    most_requests: Annotated[int, typer.Option(help="Predictions in work or waiting; one more is told to wait.")] = 32,
    index: Annotated[Path | None, typer.Option(help="Folder of an index: each answer shows the nearest cases.")] = None,
) -> None:
    """Serve a bundle over HTTP, with a web page: raw files and medical facts in, calibrated risk out."""
    check_artifact(bundle, "bundle")
    if index is not None:
        check_artifact(index, "index")
    from cardiobind import serve as server
    from cardiobind.cohort import Limits

    settings = server.Settings(
        workers=workers, limits=Limits(request_seconds, int(worker_gib * 2**30)), most_requests=most_requests,
        api_key=server.read_api_key(api_key_file),
    )  # fmt: skip
    server.run(bundle, host=host, port=port, settings=settings, index=index)


@app.command()
def explain(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    out: Annotated[Path, typer.Option(help="HTML page to write, or a file ending in .json for the numbers.")],
    ecg: Annotated[Path | None, typer.Option(help="ECG file.")] = None,
    cmr: Annotated[Path | None, typer.Option(help="Cine MRI: zip or folder of DICOM files.")] = None,
    table: Annotated[Path | None, typer.Option(help="CSV with one row of medical facts.")] = None,
    subject: Annotated[str | None, typer.Option(help="Row of the table, where it has several.")] = None,
    cmr_long_axis: Annotated[Path | None, typer.Option(help="Long-axis views, if apart from --cmr.")] = None,
    method: Annotated[str, typer.Option(help="How samples and pixels are attributed.")] = "integrated_gradients",
    steps: Annotated[int, typer.Option(help="Steps of integrated gradients.", min=2)] = 32,
    ignore_unknown: IgnoreUnknown = False,
    overwrite: Overwrite = False,
) -> None:
    """Write a page, or numbers, about what one subject's score rests on: samples, pixels, facts, modalities."""
    check_artifact(bundle, "bundle")
    check_free(out, overwrite=overwrite)
    from cardiobind import inference
    from cardiobind.explain import write_explanation

    found = write_explanation(
        inference.load(bundle), out, ecg=ecg, cmr=cmr, table=table, subject=subject, cmr_long_axis=cmr_long_axis,
        method=method, steps=steps, ignore_unknown=ignore_unknown,
    )  # fmt: skip
    print(found)  # noqa: T201
