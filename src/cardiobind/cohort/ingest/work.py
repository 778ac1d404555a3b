"""What a worker does, wherever it runs: prepare the records of one chunk within their limits and commit it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cardiobind.cohort.ingest.chunks import Chunk, out_of_reach, remove_chunk, write_chunk
from cardiobind.cohort.ingest.guard import Limits, end_process_after
from cardiobind.cohort.ingest.prepare import Outcome, Settings, prepare_record

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef, Source


@dataclass(frozen=True)
class Job:
    """What every worker needs.

    Attributes:
        source: of the records; picklable.
        settings: preparation of each modality.
        work: folder of the chunks.
        limits: of one record.
        accept_missing: commit a chunk of which most files cannot be opened.
        expendable: whether the process may be ended to get rid of a record that hangs outside Python.
    """

    source: Source
    settings: Settings
    work: Path
    limits: Limits = field(default_factory=Limits)
    accept_missing: bool = False
    expendable: bool = False


@dataclass(frozen=True)
class Report:
    """What became of a chunk: how many records it has, how many could not be opened, whether it was committed."""

    records: int
    out_of_reach: int
    committed: bool = True


def prepare_chunk(job: Job, chunk: Chunk) -> Report:
    """Prepare and commit a chunk, unless that was done and none of its missing files has come back since."""
    known = out_of_reach(job.work, chunk)
    if known is not None and all(prepare_one(job, chunk.refs[i]).out_of_reach for i in known):
        return Report(len(chunk.refs), len(known))
    remove_chunk(job.work, chunk)
    return settle(job, chunk, [prepare_one(job, ref) for ref in chunk.refs])


def prepare_one(job: Job, ref: RecordRef) -> Outcome:
    """Prepare one record within its limits."""
    with end_process_after(job.limits.hard_seconds) if job.expendable else nullcontext():
        return prepare_record(job.source, ref, job.settings, job.limits)


def settle(job: Job, chunk: Chunk, outcomes: Sequence[Outcome]) -> Report:
    """Commit the outcomes of a chunk, unless most of its files cannot be opened: then the source may be gone."""
    missing = sum(outcome.out_of_reach for outcome in outcomes)
    committed = job.accept_missing or 2 * missing <= len(outcomes)
    if committed:
        write_chunk(job.work, chunk, outcomes)
    return Report(len(chunk.refs), missing, committed)
