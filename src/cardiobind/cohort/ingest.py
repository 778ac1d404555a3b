"""Preparation of all chunks in worker processes; a record that kills its worker costs that record alone."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cardiobind.cohort.chunks import Chunk, is_done, write_chunk
from cardiobind.cohort.prepare import READER_CRASHED, Outcome, Settings, prepare_record
from cardiobind.errors import ConfigError

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef, Source

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What every worker needs: the source, how to prepare, and where chunks go."""

    source: Source
    settings: Settings
    work: Path


def ingest(job: Job, chunks: Sequence[Chunk], workers: int, progress: Progress | None = None) -> None:
    """Prepare and commit every chunk that is not there yet.

    Args:
        job: source, settings and folder of the chunks.
        chunks: the plan.
        workers: processes; 0 works in this process, where a record that kills its reader kills the run.
        progress: called with (records done, records in all) at the start and after each chunk.

    Raises:
        ConfigError: `workers` is negative, or worker processes cannot start.
    """
    if workers < 0:
        raise ConfigError("the number of workers is negative", where="workers", expected=">= 0", got=workers)
    counter = _Counter(sum(len(c.refs) for c in chunks), progress)
    left = [chunk for chunk in chunks if not is_done(job.work, chunk)]
    counter.add(counter.total - sum(len(c.refs) for c in left))
    if workers == 0:
        for chunk in left:
            _prepare_chunk(job, chunk)
            counter.add(len(chunk.refs))
        return
    while left:
        suspects, left = _run_pool(job, left, workers, counter)
        for chunk in suspects:
            _prepare_one_by_one(job, chunk)
            counter.add(len(chunk.refs))


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self.done, self._progress = total, 0, progress

    def add(self, records: int) -> None:
        self.done += records
        if self._progress is not None:
            self._progress(self.done, self.total)


def _run_pool(job: Job, chunks: Sequence[Chunk], workers: int, counter: _Counter) -> tuple[list[Chunk], list[Chunk]]:
    """Work through the chunks until a worker dies; return those it may have died of, and those not begun."""
    left = list(reversed(chunks))
    running: dict[Future[None], Chunk] = {}
    with _start_pool(job, min(workers, len(chunks))) as pool:
        try:
            while left or running:
                while left and len(running) < workers:
                    running[pool.submit(_prepare_chunk_here, left[-1])] = left[-1]
                    left.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    counter.add(len(running.pop(future).refs))
        except BrokenProcessPool:
            return [c for c in running.values() if not _count_if_done(job, c, counter)], left[::-1]
    return [], []


def _count_if_done(job: Job, chunk: Chunk, counter: _Counter) -> bool:
    done = is_done(job.work, chunk)
    if done:
        counter.add(len(chunk.refs))
    return done


def _prepare_one_by_one(job: Job, chunk: Chunk) -> None:
    outcomes: list[Outcome] = []
    while len(outcomes) < len(chunk.refs):
        with _start_pool(job, 1) as pool:
            try:
                for ref in chunk.refs[len(outcomes) :]:
                    outcomes.append(pool.submit(_prepare_record_here, ref).result())
            except BrokenProcessPool:
                ref = chunk.refs[len(outcomes)]
                outcomes.append(Outcome(ref, reason=READER_CRASHED, detail="the process that read it died"))
    write_chunk(job.work, chunk, outcomes)


def _start_pool(job: Job, workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "cardiobind.sources", type(job.source).__module__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(job,))
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "worker processes cannot start",
            where="workers",
            hint='in a script, put the call under `if __name__ == "__main__":`; or set workers to 0',
        ) from error
    return pool


_JOB: list[Job] = []


def _begin_worker(job: Job) -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _JOB[:] = [job]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _prepare_chunk_here(chunk: Chunk) -> None:
    _prepare_chunk(_JOB[0], chunk)


def _prepare_record_here(ref: RecordRef) -> Outcome:
    return prepare_record(_JOB[0].source, ref, _JOB[0].settings)


def _prepare_chunk(job: Job, chunk: Chunk) -> None:
    write_chunk(job.work, chunk, [prepare_record(job.source, ref, job.settings) for ref in chunk.refs])
