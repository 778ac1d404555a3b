"""Preparation of all chunks: what is done is not done again, and a source that has gone stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cardiobind.cohort.ingest.chunks import Chunk, out_of_reach
from cardiobind.cohort.ingest.executors import Executor, prepare_one_by_one
from cardiobind.cohort.ingest.work import Job, Report
from cardiobind.errors import InputError

Progress = Callable[[int, int], None]

MISSING_AT_MOST = 20


def ingest(job: Job, chunks: Sequence[Chunk], execute: Executor, progress: Progress | None = None) -> None:
    """Prepare and commit every chunk that is not there yet.

    A chunk of which more than half of the files cannot be opened is put aside. If more than 20 files are missing in
    such chunks, the source has probably gone (a disk or a share unmounted) and the run stops; what was put aside is
    tried again by the next run. So are single files that were missing in a chunk that is kept.

    Args:
        job: source, settings and folder of the chunks.
        chunks: the plan.
        execute: where chunks are prepared; see `cardiobind.cohort.ingest.executors.make_executor`.
        progress: called with (records done, records in all) at the start and after each chunk.

    Raises:
        ConfigError: worker processes cannot start, or no scheduler answers.
        InputError: the source has gone.
    """
    counter = _Counter(sum(len(c.refs) for c in chunks), progress)
    left = [chunk for chunk in chunks if out_of_reach(job.work, chunk) != []]
    counter.add(counter.total - sum(len(c.refs) for c in left))
    aside = _run(job, left, execute, counter)
    _run(replace(job, accept_missing=True), aside, execute, counter)


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self._progress = total, 0, progress

    def add(self, records: int) -> None:
        self.done += records
        if self._progress is not None:
            self._progress(self.done, self.total)


def _run(job: Job, chunks: Sequence[Chunk], execute: Executor, counter: _Counter) -> list[Chunk]:
    aside: list[Chunk] = []
    missing = 0
    for chunk, report in execute(job, chunks):
        settled = report or prepare_one_by_one(job, chunk)
        if settled.committed:
            counter.add(settled.records)
            continue
        aside.append(chunk)
        missing += settled.out_of_reach
        if missing > MISSING_AT_MOST:
            raise _gone(missing, settled)
    return aside


def _gone(missing: int, last: Report) -> InputError:
    return InputError(
        "most files cannot be opened: the source has probably gone", where="data_root",
        got=f"{missing} files missing or unreadable, {last.out_of_reach} of the last {last.records} among them",
        hint="mount it again and start the same command: it goes on from here; if the files are really missing, "
        "`cardiobind prepare --accept-missing` quarantines them",
    )  # fmt: skip
