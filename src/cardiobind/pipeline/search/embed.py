"""Embeddings of many subjects, from raw files or a prepared cohort, as a Parquet table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from cardiobind import artifact
from cardiobind.cohort import Cohort
from cardiobind.cohort.ingest.guard import Limits
from cardiobind.errors import ConfigError
from cardiobind.pipeline.many.cases import Cases, cases_of
from cardiobind.pipeline.many.chunks import CODE, Row, finish, refuse_existing, rows_of, work_folder
from cardiobind.pipeline.many.output import METADATA_KEY, blocks, write_table
from cardiobind.pipeline.many.predict import Counted, Told
from cardiobind.pipeline.many.work import NOTHING_GIVEN, REASONS, Job
from cardiobind.pipeline.progress import Quiet, Reporter
from cardiobind.pipeline.search.cohorts import subjects_of
from cardiobind.pipeline.search.embedders import Embedder, open_embedder

_arrow: Any = pyarrow  # pyarrow has no type hints
_TEXTS = ("subject", "visit", "set_aside", "detail")
STAGE = "embed"


def embed_many(
    encoder: Path | str | Embedder,
    out: Path | str,
    *,
    cohort: Path | str | None = None,
    subjects: Path | str | None = None,
    folder: Path | str | None = None,
    source: str | None = None,
    root: Path | str | None = None,
    table: Path | str | None = None,
    inputs: Sequence[str] | None = None,
    ignore_unknown: bool = False,
    workers: int = 2,
    limits: Limits | None = None,
    reporter: Reporter | None = None,
) -> Told:
    """Write a Parquet table with one row a subject and one column of fixed-size lists (float32) an embedding.

    Columns are ``ecg_pooled``, ``cmr_pooled``, ``tabular_pooled``, and, of aligned encoders, ``ecg_shared`` and
    so on, of length 1; null where a subject lacks the modality. A row depends on no other subject.

    Args:
        encoder: folder of a bundle, of an artefact of kind aligned or encoder, or of an index; or an opened one.
        out: ``.parquet``; must not exist.
        cohort: a prepared one, in place of raw files.
        subjects: as of `cardiobind.pipeline.many.predict_many`, which says too how a killed call goes on.
        folder: likewise.
        source: likewise.
        root: likewise.
        table: likewise.
        inputs: likewise; of raw files.
        ignore_unknown: likewise.
        workers: likewise.
        limits: likewise.
        reporter: hears of the progress.

    Raises:
        ConfigError: arguments that do not go together, another ending of `out`, or workers that cannot start.
        ArtifactError: there is no such artefact, or another call is at work on `out`.
        InputError, DataContractError, RecordError: as of `cardiobind.pipeline.many.predict_many`, or the cohort was
            prepared otherwise.
    """
    out, shown = Path(out), reporter or Quiet()
    if out.suffix.lower() not in (".parquet", ".pq"):
        raise ConfigError("embeddings are written as Parquet", where="--out", expected=".parquet", got=out.suffix)
    refuse_existing(out)
    opened = open_embedder(encoder) if isinstance(encoder, Path | str) else encoder
    if cohort is not None:
        of_files = (subjects, folder, source, root, table, inputs, ignore_unknown or None)
        if any(given is not None for given in of_files):
            raise ConfigError(
                "a cohort or raw files?", where="--cohort", expected="one of them",
                hint="--table, --inputs and --ignore-unknown are of raw files; of a cohort all is embedded",
            )  # fmt: skip
        return _of_cohort(opened, Cohort.open(cohort), out, shown)
    cases = cases_of(
        tuple(opened.contract.inputs), subjects=subjects, folder=folder, source=source, root=root, table=table,
        inputs=inputs, ignore_unknown=ignore_unknown,
    )  # fmt: skip
    return _of_files(opened, cases, out, workers, limits or Limits(), shown)


def _of_files(opened: Embedder, cases: Cases, out: Path, workers: int, limits: Limits, shown: Reporter) -> Told:
    shown.start(STAGE)
    with rows_of(
        Job(cases.reader, opened.contract, limits), cases.rows, work_folder(out),
        lambda ready: [_listed(opened.embed(one)) for one in ready], key=f"{opened.artifact.digest} {limits}",
        workers=workers, progress=lambda done, total: shown.advance(STAGE, done, total),
    ) as rows:  # fmt: skip
        counted, partial = Counted(rows), work_folder(out) / "partial.parquet"
        _write(partial, counted, opened)
        told = counted.told(out, cases)
        finish(partial, out)
    shown.finish(STAGE, cached=False)
    return told


def _of_cohort(opened: Embedder, cohort: Cohort, out: Path, shown: Reporter) -> Told:
    shown.start(STAGE)
    counted, partial = Counted(_rows(opened, cohort, shown)), out.parent / f".{out.name}.partial"
    _write(partial, counted, opened)
    partial.replace(out)
    shown.finish(STAGE, cached=False)
    return Told(out, len(cohort), counted.scored, set_aside=dict(counted.set_aside))


def _rows(opened: Embedder, cohort: Cohort, shown: Reporter) -> Iterator[Row]:
    """Yield a row for each sample of a cohort, those that have no modality of the network set aside."""
    samples: Any = cohort.samples[["subject", "visit"]].astype(str).to_dict("records")
    nothing = {"set_aside": NOTHING_GIVEN, "detail": REASONS[NOTHING_GIVEN], "told": None}
    due = 0
    for row, prepared in subjects_of(cohort, opened.contract, np.arange(len(cohort))):
        yield from (samples[lacking] | nothing for lacking in range(due, row))
        due = row + 1
        shown.advance(STAGE, due, len(cohort))
        yield samples[row] | {"set_aside": None, "detail": None, "told": _listed(opened.embed(prepared))}
    yield from (samples[lacking] | nothing for lacking in range(due, len(cohort)))


def _listed(vectors: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: [float(x) for x in vector] for name, vector in vectors.items()}


def _write(path: Path, rows: Iterable[Row], opened: Embedder) -> None:
    facts = {
        "kind": "embeddings", "encoder": opened.artifact.digest, "encoder_kind": opened.artifact.kind,
        "code_version": metadata.version("cardiobind"), "code": artifact.code_digest((*CODE, "pipeline/search")),
    }  # fmt: skip
    lists = [_arrow.field(name, _arrow.list_(_arrow.float32(), width)) for name, width in opened.widths.items()]
    schema = _arrow.schema(
        [*(_arrow.field(name, _arrow.string()) for name in _TEXTS), *lists],
        metadata={METADATA_KEY: json.dumps(facts, sort_keys=True)},
    )
    write_table(path, (_table(block, schema) for block in blocks(rows)), schema)


def _table(rows: Sequence[Mapping[str, Any]], schema: Any) -> Any:
    columns = [[row[name] for row in rows] for name in _TEXTS]
    columns += [[(row["told"] or {}).get(field.name) for row in rows] for field in list(schema)[len(_TEXTS) :]]
    return _arrow.table([_arrow.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
