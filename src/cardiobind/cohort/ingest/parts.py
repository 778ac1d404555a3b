"""What a cohort is put together from: committed chunks, or an earlier cohort without those who have withdrawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cardiobind.artifact import Artifact
from cardiobind.cohort.ingest.chunks import EXAMPLES, INDEX_DTYPES, QUARANTINE_DTYPES

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef

QUARANTINE_EXAMPLES = "quarantine_examples.json"


@dataclass(frozen=True)
class Part:
    """Prepared records of one modality.

    Attributes:
        modality: of all of them.
        index: kept records, as `INDEX_DTYPES`.
        rejected: the others, as `QUARANTINE_DTYPES`.
        examples: of the rejected, each with its ``row`` there; see `cardiobind.cohort.ingest.examples`.
        signals: yields the arrays of the kept records in the order of `index`.
    """

    modality: str
    index: pd.DataFrame
    rejected: pd.DataFrame
    examples: Sequence[Mapping[str, Any]]
    signals: Callable[[], Iterator[NDArray[Any]]]


def chunk_part(chunk: Artifact) -> Part:
    """Return the content of a committed chunk."""

    def signals() -> Iterator[NDArray[Any]]:
        if "signals.npy" in chunk.manifest["files"]:
            yield from np.load(chunk.file("signals.npy"), mmap_mode="r")

    return Part(
        chunk.config["modality"],
        pd.read_parquet(chunk.file("index.parquet")).astype(INDEX_DTYPES),
        pd.read_parquet(chunk.file("quarantine.parquet")).astype(QUARANTINE_DTYPES),
        chunk.json(EXAMPLES),
        signals,
    )


def remaining_parts(cohort: Artifact, refs: Iterable[RecordRef]) -> list[Part] | None:
    """Return what an earlier cohort of the same raw files holds of those who are still in it.

    Args:
        cohort: made by the same code from the same files with the same settings, under another list of withdrawals.
        refs: records of those who are in it now.

    Returns:
        One part a modality; None if the earlier cohort lacks one of the records, or if an example of the quarantine
        goes and another record could take its place: then the files have to be read again.
    """
    index = pd.read_parquet(cohort.file("index.parquet"))
    quarantine = pd.read_parquet(cohort.file("quarantine.parquet")).astype(QUARANTINE_DTYPES)
    rejected = quarantine[quarantine["modality"] != "tabular"]
    wanted = Counter((ref.modality, ref.subject) for ref in refs)
    held = Counter([*_keys(index), *_keys(rejected)])
    if any(held[key] != count for key, count in wanted.items()):
        return None
    index, left = _of(wanted, index), _of(wanted, rejected)
    examples = [e for e in cohort.json(QUARANTINE_EXAMPLES) if e["row"] in left.index]
    if _could_be_replaced(cohort.json(QUARANTINE_EXAMPLES), examples, left):
        return None
    modalities = sorted({modality for modality, _ in wanted})
    return [
        _remaining(cohort, m, index[index["modality"] == m], left[left["modality"] == m], examples) for m in modalities
    ]


def _keys(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["modality"], frame["subject"], strict=True))


def _of(wanted: Mapping[tuple[str, str], int], frame: pd.DataFrame) -> pd.DataFrame:
    return frame.loc[np.array([key in wanted for key in _keys(frame)], dtype=bool)]


def _could_be_replaced(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], left: pd.DataFrame
) -> bool:
    shown = Counter((e["modality"], e["reason"]) for e in after)
    there = Counter(zip(left["modality"], left["reason"], strict=True))
    gone = {(e["modality"], e["reason"]) for e in before if e["row"] not in left.index}
    return any(there[key] > shown[key] for key in gone)


def _remaining(
    cohort: Artifact, modality: str, index: pd.DataFrame, rejected: pd.DataFrame, examples: Sequence[Mapping[str, Any]]
) -> Part:
    places = list(zip(index["shard"], index["row"], strict=True))
    row_of = {old: new for new, old in enumerate(rejected.index)}

    def signals() -> Iterator[NDArray[Any]]:
        opened, rows = -1, np.empty(0)
        for shard, row in places:
            if shard != opened:
                opened, rows = shard, np.load(cohort.file(f"{modality}/shard-{shard:05d}.npy"), mmap_mode="r")
            yield rows[row]

    return Part(
        modality,
        index[list(INDEX_DTYPES)].reset_index(drop=True).astype(INDEX_DTYPES),
        rejected.reset_index(drop=True),
        [{**e, "row": row_of[e["row"]]} for e in examples if e["modality"] == modality],
        signals,
    )
