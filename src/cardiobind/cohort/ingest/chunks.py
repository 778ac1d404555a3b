"""Chunks of prepared records: planned from the list of records alone, committed one by one, kept over a restart."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cardiobind import artifact
from cardiobind.artifact import Artifact, canonical_json
from cardiobind.cohort.ingest.examples import describe, first_of_each
from cardiobind.cohort.ingest.prepare import Outcome, Prepared, Settings
from cardiobind.errors import ArtifactError, ArtifactExistsError

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef

KIND = "cohort-chunk"
DUPLICATE_RECORD = "duplicate_record"
INDEX_DTYPES = {
    "subject": "str", "visit": "str", "modality": "str", "quality": "str", "confidence": "float64", "details": "str",
}  # fmt: skip
EXAMPLES = "examples.json"
_CHUNK_NAME = re.compile(r".+-\d{5,}-[0-9a-f]{16}")
QUARANTINE_DTYPES = dict.fromkeys(("subject", "visit", "modality", "reason", "detail"), "str")


@dataclass(frozen=True)
class Chunk:
    """Records of one modality that are prepared together.

    Attributes:
        name: folder name; it holds a digest of all that decides the content.
        modality: of all its records.
        refs: the records in the order they are stored.
    """

    name: str
    modality: str
    refs: tuple[RecordRef, ...]


def plan_chunks(refs: Iterable[RecordRef], size: int, settings: Settings, fingerprint: str) -> list[Chunk]:
    """Cut the records into chunks; the plan does not depend on the order of `refs`.

    Args:
        refs: all records of the source.
        size: records a chunk; it may be exceeded to keep repeated records together.
        settings: preparation of each modality.
        fingerprint: digest of config, raw data and code.
    """
    ordered = sorted(refs, key=lambda r: (r.modality, r.subject, r.visit, r.location))
    chunks: list[Chunk] = []
    for modality, of_modality in groupby(ordered, key=lambda r: r.modality):
        for number, part in enumerate(_parts(of_modality, size)):
            key = [fingerprint, repr(settings.get(modality)), [asdict(r) for r in part]]
            digest = hashlib.sha256(canonical_json(key).encode()).hexdigest()[:16]
            chunks.append(Chunk(f"{modality}-{number:05d}-{digest}", modality, tuple(part)))
    return chunks


def out_of_reach(work: Path, chunk: Chunk) -> list[int] | None:
    """Return which records of a committed chunk could not be opened; None if the chunk has to be made.

    A damaged chunk is removed, to be made again.
    """
    try:
        found = artifact.open_artifact(work / chunk.name, KIND)
    except ArtifactError:
        remove_chunk(work, chunk)
        return None
    return list(found.config["out_of_reach"])


def remove_chunk(work: Path, chunk: Chunk) -> None:
    """Delete one chunk, whole or damaged."""
    _discard(work / chunk.name)


def write_chunk(work: Path, chunk: Chunk, outcomes: Sequence[Outcome]) -> None:
    """Commit the outcomes of a chunk; of repeated records the first readable one is kept.

    Args:
        work: folder of the chunks.
        chunk: the plan.
        outcomes: one a record, in the order of the plan.
    """
    settled = list(_without_duplicates(outcomes))
    kept = [(o.ref, o.prepared) for o in settled if o.prepared is not None]
    rejected = [o for o in settled if o.prepared is None]
    config = {"modality": chunk.modality, "out_of_reach": [i for i, o in enumerate(outcomes) if o.out_of_reach]}
    try:
        with artifact.commit(work / chunk.name, KIND, config=config) as folder:
            if kept:
                np.save(folder / "signals.npy", np.stack([prepared.array for _, prepared in kept]))
            _frame([_index_row(*pair) for pair in kept], INDEX_DTYPES).to_parquet(folder / "index.parquet", index=False)
            rows = _frame([_quarantine_row(o) for o in rejected], QUARANTINE_DTYPES)
            rows.to_parquet(folder / "quarantine.parquet", index=False)
            (folder / EXAMPLES).write_text(json.dumps(first_of_each(_examples(rejected)), indent=1))
    except ArtifactExistsError:
        return  # a worker that outlived a killed run has written the same chunk


def open_chunk(work: Path, chunk: Chunk) -> Artifact:
    """Open a committed chunk after checking its hashes.

    Raises:
        ArtifactError: it is absent or damaged.
    """
    return artifact.open_artifact(work / chunk.name, KIND)


def remove_chunks(work: Path) -> None:
    """Delete all chunks of a work folder, also those of an earlier plan: they may hold who has withdrawn since."""
    for folder in work.iterdir():
        if _CHUNK_NAME.fullmatch(folder.name):
            _discard(folder)


def _discard(folder: Path) -> None:
    """Delete a chunk at once for readers: what a kill leaves of it bears a name that `remove_partials` knows."""
    away = folder.with_name(f".{folder.name}.partial-{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        folder.rename(away)
        shutil.rmtree(away, ignore_errors=True)


def _parts(refs: Iterable[RecordRef], size: int) -> Iterator[list[RecordRef]]:
    part: list[RecordRef] = []
    for _, same in groupby(refs, key=lambda r: (r.subject, r.visit)):
        if len(part) >= size:
            yield part
            part = []
        part += same
    if part:
        yield part


def _without_duplicates(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    seen: set[tuple[str, str]] = set()
    for outcome in outcomes:
        key = (outcome.ref.subject, outcome.ref.visit)
        if outcome.prepared is not None and key in seen:
            yield Outcome(outcome.ref, reason=DUPLICATE_RECORD, detail="another record of this visit is kept")
            continue
        if outcome.prepared is not None:
            seen.add(key)
        yield outcome


def _index_row(ref: RecordRef, prepared: Prepared) -> dict[str, Any]:
    return {
        "subject": ref.subject, "visit": ref.visit, "modality": ref.modality, "quality": ";".join(prepared.quality),
        "confidence": prepared.confidence, "details": canonical_json(dict(prepared.details)),
    }  # fmt: skip


def _quarantine_row(outcome: Outcome) -> dict[str, Any]:
    ref = outcome.ref
    row = {"subject": ref.subject, "visit": ref.visit, "modality": ref.modality}
    return row | {"reason": outcome.reason, "detail": outcome.detail}


def _examples(rejected: Sequence[Outcome]) -> Iterator[dict[str, Any]]:
    for row, outcome in enumerate(rejected):
        ref = outcome.ref
        yield describe(ref.location, ref.modality, outcome.reason, outcome.detail, outcome.picture) | {"row": row}


def _frame(rows: list[dict[str, Any]], dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)
