"""Raw records and table in, one immutable cohort out: prepared arrays, samples, labels, and what was left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind import artifact
from cardiobind.artifact import Artifact
from cardiobind.cohort.audit.measured import measured_frames
from cardiobind.cohort.ingest.chunks import INDEX_DTYPES, QUARANTINE_DTYPES, open_chunk, plan_chunks, remove_chunks
from cardiobind.cohort.ingest.examples import first_of_each
from cardiobind.cohort.ingest.executors import make_executor
from cardiobind.cohort.ingest.guard import Limits
from cardiobind.cohort.ingest.locks import Shard, beside_others, exclusive
from cardiobind.cohort.ingest.parts import QUARANTINE_EXAMPLES, Part, chunk_part, remaining_parts
from cardiobind.cohort.ingest.prepare import Settings, long_axis_source, signal_spec
from cardiobind.cohort.ingest.run import Progress, ingest
from cardiobind.cohort.ingest.work import Job
from cardiobind.cohort.store import SCHEMA_VERSION
from cardiobind.cohort.summary import summarise
from cardiobind.cohort.tables import TidyTable, make_labels, make_samples, tidy_table
from cardiobind.errors import ArtifactError, ArtifactExistsError
from cardiobind.modalities.cmr.preparation import CmrPreparation
from cardiobind.modalities.ecg.preparation import EcgPreparation
from cardiobind.sources.base import LONG_AXIS_NOT_USED

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef, Source

KIND = "cohort"
SHARD_ROWS = 256
CHUNK = 256


def build_cohort(
    source: Source,
    out: Path,
    *,
    work: Path,
    ecg: EcgPreparation | None,
    cmr: CmrPreparation | None,
    workers: int = 2,
    dask: str = "",
    limits: Limits | None = None,
    accept_missing: bool = False,
    chunk: int = CHUNK,
    config: Mapping[str, Any],
    fingerprint: str,
    earlier: Artifact | None = None,
    progress: Progress | None = None,
) -> Artifact:
    """Prepare all records of a source and commit them as a cohort.

    Each chunk of records is committed in `work`, so a killed build goes on where it was. The bytes depend neither on
    who prepares the records nor on `chunk`, shards, interruptions or `earlier`. What cannot be used is quarantined with
    a reason; read = kept + quarantined is checked.

    Args:
        source: records, table and events; it must be picklable.
        out: folder of the cohort; it must not exist.
        work: folder for chunks, emptied at the end; chunks that shards have committed there are used.
        ecg: preparation of ECGs, or None to leave them out.
        cmr: the same of cine MRIs.
        workers: processes; 0 works in this process.
        dask: address of a scheduler; see `cardiobind.cohort.ingest.executors.make_executor`.
        limits: time and memory of one record.
        accept_missing: quarantine missing files even where most are missing.
        chunk: records prepared together, the most that a kill costs each worker.
        config: resolved config of the stage, kept in the manifest.
        fingerprint: digest of config, raw data and code; chunks of another one are not used.
        earlier: a cohort that differs in the list of withdrawals alone; what it holds is not read again.
        progress: called with (records done, records in all).

    Raises:
        ArtifactExistsError: there is something at `out`.
        ArtifactError: another build or a shard is at work in `work`, or the counts do not add up.
        ConfigError, InputError: as `cardiobind.cohort.ingest.ingest`, or the source has no long-axis views.
    """
    _refuse_existing(out)
    work, settings = Path(work), _settings(source, ecg, cmr)
    job = Job(source, settings, work, limits or Limits(), accept_missing)
    refs = _wanted(source, ecg, cmr)
    with exclusive(work):
        parts = None if earlier is None else remaining_parts(earlier, refs)
        if parts is None:
            chunks = plan_chunks(refs, chunk, settings, fingerprint)
            ingest(job, chunks, make_executor(workers, dask), progress)
            parts = [chunk_part(open_chunk(work, c)) for c in chunks]
        with artifact.commit(
            out, KIND, schema_version=SCHEMA_VERSION, config=config, fingerprint=fingerprint
        ) as folder:
            _write_cohort(folder, source, settings, refs, parts)
        remove_chunks(work)
    return artifact.open_artifact(out, KIND)


def _refuse_existing(out: Path) -> None:
    if Path(out).exists():
        raise ArtifactExistsError("there is something at that path already", where=out, hint="choose another path")


def prepare_shard(
    source: Source,
    shard: Shard,
    *,
    work: Path,
    ecg: EcgPreparation | None,
    cmr: CmrPreparation | None,
    workers: int = 2,
    dask: str = "",
    limits: Limits | None = None,
    accept_missing: bool = False,
    chunk: int = CHUNK,
    fingerprint: str,
    progress: Progress | None = None,
) -> int:
    """Prepare one shard's part of the records; shards may run in any order, again, or at once on several machines.

    `build_cohort` with the same arguments, on the same `work` folder, does what no shard has done and commits.

    Args:
        source: as for `build_cohort`, like all that is not explained here.
        shard: which part.
        work: folder that all shards and the build share.
        ecg: preparation of ECGs.
        cmr: preparation of cine MRIs.
        workers: processes of this shard.
        dask: address of a scheduler.
        limits: of one record.
        accept_missing: quarantine missing files even where most are missing.
        chunk: records prepared together; the same for all shards and the build.
        fingerprint: the same for all shards and the build.
        progress: called with (records done, records of this shard).

    Returns:
        How many records the shard owns.

    Raises:
        ArtifactError: a whole build, or this very shard, is at work in `work`.
        ConfigError, InputError: as for `build_cohort`.
    """
    settings = _settings(source, ecg, cmr)
    own = shard.own(plan_chunks(_wanted(source, ecg, cmr), chunk, settings, fingerprint))
    with beside_others(Path(work), shard, own):
        job = Job(source, settings, Path(work), limits or Limits(), accept_missing)
        ingest(job, own, make_executor(workers, dask), progress)
    return sum(len(c.refs) for c in own)


def _settings(source: Source, ecg: EcgPreparation | None, cmr: CmrPreparation | None) -> Settings:
    if cmr is not None and cmr.long_axis:
        long_axis_source(source)
    wanted: dict[str, EcgPreparation | CmrPreparation | None] = {"ecg": ecg, "cmr": cmr}
    return {m: s for m, s in wanted.items() if s is not None}


def _wanted(source: Source, ecg: EcgPreparation | None, cmr: CmrPreparation | None) -> list[RecordRef]:
    left_out = {m for m, s in {"ecg": ecg, "cmr": cmr}.items() if s is None}
    return [r for r in source.records() if r.modality not in left_out]


def _write_cohort(
    folder: Path, source: Source, settings: Settings, refs: Sequence[RecordRef], parts: Sequence[Part]
) -> None:
    raw = source.table()
    table = tidy_table(raw)
    index, rejected, examples = _gather(folder, parts)
    samples = make_samples(index, table.rows, raw)
    labels = make_labels(samples, source.events(), source.visits(), table.rows)
    quarantine = pd.concat([rejected, table.quarantine], ignore_index=True).astype(QUARANTINE_DTYPES)
    issues = [*_true_issues(source, settings), *table.issues]
    frames = {
        "index": index.drop(columns="position"), "samples": samples, "table": table.rows, "labels": labels,
        "quarantine": quarantine, **measured_frames(source, table.rows),
    }  # fmt: skip
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    _write_json(folder / QUARANTINE_EXAMPLES, examples)
    _write_json(folder / "counts.json", _checked_counts(settings, refs, index, quarantine, table))
    _write_json(folder / "summary.json", summarise(samples, table.rows, labels, index, quarantine, issues))
    _write_json(folder / "specs.json", {m: signal_spec(m, s).to_json() for m, s in settings.items()})


def _true_issues(source: Source, settings: Settings) -> list[dict[str, Any]]:
    """Return the source's issues, without the long-axis cines that a layout does use."""
    cmr = settings.get("cmr")
    used = isinstance(cmr, CmrPreparation) and bool(cmr.long_axis)
    return [found for found in source.issues() if not (used and found["reason"] == LONG_AXIS_NOT_USED)]


def _gather(folder: Path, parts: Sequence[Part]) -> tuple[pd.DataFrame, pd.DataFrame, list[Mapping[str, Any]]]:
    indices = [pd.DataFrame(columns=[*INDEX_DTYPES, "position"]).astype({**INDEX_DTYPES, "position": "int64"})]
    rejected = [pd.DataFrame(columns=list(QUARANTINE_DTYPES)).astype(QUARANTINE_DTYPES)]
    examples: list[Mapping[str, Any]] = []
    for modality in sorted({p.modality for p in parts}):
        own = [p for p in parts if p.modality == modality]
        frame = pd.concat([p.index for p in own], ignore_index=True)
        indices.append(frame.assign(position=np.arange(len(frame))))
        for part in own:
            before = sum(map(len, rejected))
            examples += [{**example, "row": before + example["row"]} for example in part.examples]
            rejected.append(part.rejected)
        _write_shards(folder / modality, own)
    index = pd.concat(indices, ignore_index=True)
    index = index.assign(shard=index["position"] // SHARD_ROWS, row=index["position"] % SHARD_ROWS)
    return index, pd.concat(rejected, ignore_index=True), first_of_each(examples)


def _write_shards(folder: Path, parts: Iterable[Part]) -> None:
    folder.mkdir()
    for number, rows in enumerate(_regrouped(parts)):
        np.save(folder / f"shard-{number:05d}.npy", rows)


def _regrouped(parts: Iterable[Part]) -> Iterator[NDArray[Any]]:
    waiting: list[NDArray[Any]] = []
    for part in parts:
        for row in part.signals():
            waiting.append(row)
            if len(waiting) == SHARD_ROWS:
                yield np.stack(waiting)
                waiting.clear()
    if waiting:
        yield np.stack(waiting)


def _checked_counts(
    settings: Settings, refs: Sequence[RecordRef], index: pd.DataFrame, quarantine: pd.DataFrame, table: TidyTable
) -> dict[str, dict[str, int]]:
    kept = index["modality"].value_counts().to_dict() | {"tabular": len(table.rows)}
    out = quarantine["modality"].value_counts().to_dict()
    read = dict.fromkeys(settings, 0) | Counter(ref.modality for ref in refs)
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
