"""Worker processes of limited memory that may die: whose work that was is known, and the others go on."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cardiobind.cohort.ingest.guard import limit_memory
from cardiobind.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")


def start_workers(
    workers: int, memory_bytes: int, preload: Sequence[str], begin: Callable[..., None], *given: Any
) -> ProcessPoolExecutor:
    """Return a pool whose processes compute on one thread, are limited in memory and end with their parent.

    Args:
        workers: how many.
        memory_bytes: see `cardiobind.cohort.ingest.guard.limit_memory`.
        preload: modules that are imported once for all of them.
        begin: called in each at its start.
        given: its arguments.

    Raises:
        ConfigError: they cannot start.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin_worker, initargs=(memory_bytes, begin, given)
    )
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "worker processes cannot start",
            where="workers",
            hint='in a script, put the call under `if __name__ == "__main__":`; or set workers to 0',
        ) from error
    return pool


def work_through(
    start: Callable[[int], ProcessPoolExecutor],
    do: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int,
    ahead: int = 1,
) -> Iterator[tuple[T, R | None]]:
    """Yield each item once with its result, or with None if a process died while it was in the works.

    Args:
        start: returns a pool of so many processes.
        do: what a process does with an item.
        items: in the order of the work; results come as they are done.
        workers: processes.
        ahead: items that wait or are worked on for each process: all of them are suspect if one dies.
    """
    left = list(items)
    while left:
        left = yield from _until_one_dies(start, do, left, workers, ahead * workers)


def _until_one_dies(
    start: Callable[[int], ProcessPoolExecutor], do: Callable[[T], R], items: Sequence[T], workers: int, most: int
) -> Generator[tuple[T, R | None], None, list[T]]:
    waiting = list(reversed(items))
    running: dict[Future[R], T] = {}
    with start(min(workers, len(items))) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    running[pool.submit(do, waiting[-1])] = waiting[-1]
                    waiting.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    yield running.pop(future), result
        except BrokenProcessPool:
            pass  # whoever was running is suspect
    for item in running.values():
        yield item, None
    return waiting[::-1]


def _begin_worker(memory_bytes: int, begin: Callable[..., None], given: Sequence[Any]) -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    threadpool_limits(1)
    limit_memory(memory_bytes)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
