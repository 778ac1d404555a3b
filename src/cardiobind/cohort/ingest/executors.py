"""Where chunks are prepared: in this process, in a pool of processes, or on a dask cluster; the bytes are the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cardiobind.cohort.ingest.chunks import Chunk, out_of_reach
from cardiobind.cohort.ingest.prepare import READER_CRASHED, TIMED_OUT, Outcome
from cardiobind.cohort.ingest.work import Job, Report, prepare_chunk, prepare_one, settle
from cardiobind.cohort.ingest.workers import start_workers, work_through
from cardiobind.errors import ConfigError

if TYPE_CHECKING:
    from cardiobind.sources import RecordRef

Executor = Callable[[Job, Sequence[Chunk]], Iterator[tuple[Chunk, Report | None]]]
"""Yields each chunk once with what became of it, or with None if the process that worked on it died."""

LOCAL = "local"
CONNECT_SECONDS = 20


def make_executor(workers: int, dask: str = "") -> Executor:
    """Return what prepares chunks.

    Args:
        workers: processes; 0 works in this process, where a record that kills its reader kills the run.
        dask: address of a scheduler such as ``tcp://host:8786``; ``local`` starts a cluster of `workers` processes
            on this machine; empty for no dask.

    Raises:
        ConfigError: `workers` is negative, or 0 for a local cluster.
    """
    if workers < 0:
        raise ConfigError("the number of workers is negative", where="workers", expected=">= 0", got=workers)
    if dask == LOCAL and workers == 0:
        raise ConfigError("a cluster needs workers", where="workers", expected=">= 1", got=workers)
    if dask:
        return partial(_on_dask, address=dask, workers=workers)
    return partial(_in_pool, workers=workers) if workers else _in_process


def prepare_one_by_one(job: Job, chunk: Chunk) -> Report:
    """Prepare a chunk that killed its worker, so that the record which did it is found and costs itself alone."""
    known = out_of_reach(job.work, chunk)
    if known is not None:  # the worker died after it had committed
        return Report(len(chunk.refs), len(known))
    outcomes: list[Outcome] = []
    while len(outcomes) < len(chunk.refs):
        with _start_pool(job, 1) as pool:
            _until_one_kills(pool, job, chunk.refs, outcomes)
    return settle(job, chunk, outcomes)


def _until_one_kills(pool: ProcessPoolExecutor, job: Job, refs: Sequence[RecordRef], outcomes: list[Outcome]) -> None:
    for ref in refs[len(outcomes) :]:
        began = time.monotonic()
        try:
            outcomes.append(pool.submit(_prepare_record_here, ref).result())
        except BrokenProcessPool:
            late = time.monotonic() - began >= job.limits.hard_seconds
            words = f"not done after {job.limits.seconds:g} s" if late else "the process that read it died"
            outcomes.append(Outcome(ref, reason=TIMED_OUT if late else READER_CRASHED, detail=words))
            return


def _in_process(job: Job, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Report | None]]:
    for chunk in chunks:
        yield chunk, prepare_chunk(job, chunk)


def _in_pool(job: Job, chunks: Sequence[Chunk], *, workers: int) -> Iterator[tuple[Chunk, Report | None]]:
    return work_through(partial(_start_pool, job), _prepare_chunk_here, chunks, workers=workers)


def _start_pool(job: Job, workers: int) -> ProcessPoolExecutor:
    preload = [__name__, "cardiobind.sources", type(job.source).__module__]
    return start_workers(workers, job.limits.memory_bytes, preload, _begin_worker, job)


_JOB: list[Job] = []


def _begin_worker(job: Job) -> None:
    _JOB[:] = [replace(job, expendable=True)]


def _prepare_chunk_here(chunk: Chunk) -> Report:
    return prepare_chunk(_JOB[0], chunk)


def _prepare_record_here(ref: RecordRef) -> Outcome:
    return prepare_one(_JOB[0], ref)


def _on_dask(job: Job, chunks: Sequence[Chunk], *, address: str, workers: int) -> Iterator[tuple[Chunk, Report | None]]:
    if not chunks:
        return
    distributed = _distributed()
    with _dask_client(distributed, address, workers) as client:
        running = {client.submit(prepare_chunk, job, chunk, pure=False): chunk for chunk in chunks}
        for future in distributed.as_completed(list(running)):
            error = future.exception()
            if error is not None and not isinstance(error, distributed.KilledWorker):
                raise error
            yield running.pop(future), None if error else future.result()


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ConfigError("dask is not installed", hint="pip install 'cardiobind[cluster]'") from error
    return distributed


def _dask_client(distributed: Any, address: str, workers: int) -> Any:
    if address == LOCAL:
        return distributed.Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    try:
        return distributed.Client(address.removeprefix("dask://"), timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            "no dask scheduler answers there", where="dask", expected="tcp://host:port, or local", got=address
        ) from error
