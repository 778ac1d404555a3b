"""Raw records and table in, one immutable cohort out: prepared arrays, samples, labels, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort.chunks import (
    INDEX_DTYPES,
    QUARANTINE_DTYPES,
    Chunk,
    exclusive,
    open_chunk,
    plan_chunks,
    remove_chunks,
)
from cardiobind.cohort.ingest import Job, Progress, ingest
from cardiobind.cohort.prepare import Settings, signal_spec
from cardiobind.cohort.summary import summarise
from cardiobind.cohort.tables import TidyTable, make_labels, make_samples, tidy_table
from cardiobind.errors import ArtifactError, ArtifactExistsError
from cardiobind.modalities.cmr import CmrPreparation
from cardiobind.modalities.ecg import EcgPreparation

if TYPE_CHECKING:
    from cardiobind.sources import Source

KIND = "cohort"
SCHEMA_VERSION = 1
SHARD_ROWS = 256


def build_cohort(
    source: Source,
    out: Path,
    *,
    work: Path,
    ecg: EcgPreparation | None,
    cmr: CmrPreparation | None,
    workers: int = 2,
    chunk: int = 256,
    config: Mapping[str, Any],
    fingerprint: str,
    progress: Progress | None = None,
) -> Artifact:
    """Prepare all records of a source and commit them as a cohort.

    Each chunk of records is committed in `work`, so a killed build goes on where it was; the bytes of the result
    depend neither on the number of workers, nor on `chunk`, nor on interruptions. A record that cannot be read or used
    is quarantined with a reason; read = kept + quarantined is checked.

    Args:
        source: records, table and events; it must be picklable.
        out: folder of the cohort; it must not exist.
        work: folder for chunks, emptied at the end.
        ecg: preparation of ECGs, or None to leave them out.
        cmr: preparation of cine MRIs, or None to leave them out.
        workers: processes; 0 works in this process.
        chunk: records prepared together, the most that a kill costs each worker.
        config: resolved config of the stage, kept in the manifest.
        fingerprint: digest of config, raw data and code; chunks of another one are not used.
        progress: called with (records done, records in all).

    Raises:
        ArtifactExistsError: there is something at `out`.
        ArtifactError: another build is at work in `work`, or the counts do not add up.
        ConfigError: worker processes cannot start.
    """
    if Path(out).exists():
        raise ArtifactExistsError("there is something at that path already", where=out, hint="choose another path")
    wanted: dict[str, EcgPreparation | CmrPreparation | None] = {"ecg": ecg, "cmr": cmr}
    settings: Settings = {m: s for m, s in wanted.items() if s is not None}
    refs = [r for r in source.records() if wanted.get(r.modality, True) is not None]
    with exclusive(Path(work)):
        chunks = plan_chunks(refs, chunk, settings, fingerprint)
        ingest(Job(source, settings, Path(work)), chunks, workers, progress)
        with artifact.commit(
            out, KIND, schema_version=SCHEMA_VERSION, config=config, fingerprint=fingerprint
        ) as folder:
            _write_cohort(folder, source, settings, Path(work), chunks)
        remove_chunks(Path(work), chunks)
    return artifact.open_artifact(out, KIND)


def _write_cohort(folder: Path, source: Source, settings: Settings, work: Path, chunks: Sequence[Chunk]) -> None:
    raw = source.table()
    table = tidy_table(raw)
    index, rejected = _gather_chunks(folder, work, chunks)
    samples = make_samples(index, table.rows, raw)
    labels = make_labels(samples, source.events(), source.visits())
    quarantine = pd.concat([rejected, table.quarantine], ignore_index=True).astype(QUARANTINE_DTYPES)
    issues = [*source.issues(), *table.issues]
    frames = {
        "index": index.drop(columns="position"), "samples": samples, "table": table.rows, "labels": labels,
        "quarantine": quarantine,
    }  # fmt: skip
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    _write_json(folder / "counts.json", _checked_counts(settings, chunks, index, quarantine, table))
    _write_json(folder / "summary.json", summarise(samples, table.rows, labels, index, quarantine, issues))
    _write_json(folder / "specs.json", {m: signal_spec(m, s).to_json() for m, s in settings.items()})


def _gather_chunks(folder: Path, work: Path, chunks: Sequence[Chunk]) -> tuple[pd.DataFrame, pd.DataFrame]:
    indices = [pd.DataFrame(columns=[*INDEX_DTYPES, "position"]).astype({**INDEX_DTYPES, "position": "int64"})]
    rejected = [pd.DataFrame(columns=list(QUARANTINE_DTYPES)).astype(QUARANTINE_DTYPES)]
    for modality in sorted({c.modality for c in chunks}):
        parts = [open_chunk(work, c) for c in chunks if c.modality == modality]
        frame = pd.concat([pd.read_parquet(p.file("index.parquet")) for p in parts], ignore_index=True)
        indices.append(frame.astype(INDEX_DTYPES).assign(position=np.arange(len(frame))))
        rejected += [pd.read_parquet(p.file("quarantine.parquet")).astype(QUARANTINE_DTYPES) for p in parts]
        _write_shards(folder / modality, parts)
    index = pd.concat(indices, ignore_index=True)
    index = index.assign(shard=index["position"] // SHARD_ROWS, row=index["position"] % SHARD_ROWS)
    return index, pd.concat(rejected, ignore_index=True)


def _write_shards(folder: Path, parts: Iterable[Artifact]) -> None:
    folder.mkdir()
    for number, rows in enumerate(_regrouped(parts)):
        np.save(folder / f"shard-{number:05d}.npy", rows)


def _regrouped(parts: Iterable[Artifact]) -> Iterator[NDArray[Any]]:
    waiting: list[NDArray[Any]] = []
    for part in parts:
        if "signals.npy" not in part.manifest["files"]:
            continue
        waiting.extend(np.load(part.file("signals.npy"), mmap_mode="r"))
        while len(waiting) >= SHARD_ROWS:
            yield np.stack(waiting[:SHARD_ROWS])
            del waiting[:SHARD_ROWS]
    if waiting:
        yield np.stack(waiting)


def _checked_counts(
    settings: Settings, chunks: Sequence[Chunk], index: pd.DataFrame, quarantine: pd.DataFrame, table: TidyTable
) -> dict[str, dict[str, int]]:
    kept = index["modality"].value_counts().to_dict() | {"tabular": len(table.rows)}
    out = quarantine["modality"].value_counts().to_dict()
    read = {m: sum(len(c.refs) for c in chunks if c.modality == m) for m in {*settings, *(c.modality for c in chunks)}}
    counts = {
        m: {"read": n, "kept": int(kept.get(m, 0)), "quarantined": int(out.get(m, 0))}
        for m, n in sorted({**read, "tabular": table.read}.items())
    }
    for modality, count in counts.items():
        if count["read"] != count["kept"] + count["quarantined"]:
            raise ArtifactError("records were lost: read is not kept + quarantined", where=modality, got=count)
    return counts


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2, sort_keys=False, allow_nan=False, ensure_ascii=False) + "\n")
