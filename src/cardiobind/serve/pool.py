"""Processes that prepare requests: one that hangs or dies costs its own request, and another takes its place."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import multiprocessing.connection
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from cardiobind.cohort.ingest.guard import limit_memory
from cardiobind.errors import ConfigError
from cardiobind.inference import BundleContract
from cardiobind.serve.refusals import Refusal
from cardiobind.serve.settings import Settings
from cardiobind.serve.work import CRASHED, Job, Ready, do, timed_out

START_SECONDS = 300.0
_GRACE_SECONDS = 2.0
_LONGEST_FOLDER_BYTES = 107 - len("/pymp-12345678/listener-12345678")
_READY = b"ready"
_log = logging.getLogger("cardiobind.serve")


def check_temporary_folder() -> None:
    """Check that sockets of worker processes can lie in the temporary folder: Linux takes 107 bytes of a path.

    Raises:
        ConfigError: its path is too long.
    """
    length = len(os.fsencode(os.path.dirname(util.get_temp_dir())))
    if length > _LONGEST_FOLDER_BYTES:
        raise ConfigError(
            "the path of the temporary folder is too long for the sockets of worker processes", where="TMPDIR",
            expected=f"at most {_LONGEST_FOLDER_BYTES} bytes", got=f"{length} bytes", hint="TMPDIR=/tmp cardiobind ...",
        )  # fmt: skip


class Worker:
    """One process that prepares one request at a time.

    Args:
        contract: of the bundle.
        settings: limits.

    Attributes:
        restarts: how often the process was replaced.
    """

    def __init__(self, contract: BundleContract, settings: Settings) -> None:
        self._contract, self._settings, self.restarts = contract, settings, 0
        self._ready = False
        self._line, self._process = self._start()

    def ask(self, job: Job) -> Ready | Refusal:
        """Return what became of a request; blocks until it is known or its time is up."""
        limits = self._settings.limits
        self.wait_until_ready()
        try:
            self._line.send_bytes(pickle.dumps(job))
            if self._line.poll(limits.hard_seconds + _GRACE_SECONDS):
                found: Ready | Refusal = pickle.loads(self._line.recv_bytes())  # noqa: S301 - from our own process
                return found
            outcome = timed_out(limits.seconds)
        except (EOFError, OSError):
            outcome = timed_out(limits.seconds) if self._ended_by_its_clock() else CRASHED
        self._replace()
        return outcome

    def wait_until_ready(self) -> None:
        """Block until the process has loaded what it needs.

        Raises:
            ConfigError: it cannot start.
        """
        if self._ready:
            return
        try:
            started = self._line.poll(START_SECONDS) and self._line.recv_bytes() == _READY
        except (EOFError, OSError):
            started = False
        if not started:
            raise ConfigError(
                "worker processes cannot start", where="workers",
                hint='in a script, put the call under `if __name__ == "__main__":`',
            )  # fmt: skip
        self._ready = True

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._line.close()

    def _ended_by_its_clock(self) -> bool:
        self._process.join(_GRACE_SECONDS)
        return self._process.exitcode == 1

    def _replace(self) -> None:
        self.stop()
        self.restarts += 1
        _log.warning("a worker was replaced")
        self._ready = False
        self._line, self._process = self._start()

    def _start(self) -> tuple[Connection, BaseProcess]:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._contract, self._settings), daemon=True)
        process.start()
        theirs.close()
        return ours, process


class Pool:
    """The workers of a server.

    Args:
        contract: of the bundle.
        settings: their number and limits.
    """

    def __init__(self, contract: BundleContract, settings: Settings) -> None:
        check_temporary_folder()
        self.workers = [Worker(contract, settings) for _ in range(settings.workers)]
        self._threads = ThreadPoolExecutor(settings.workers, "prepare")
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()

    async def start(self) -> None:
        """Wait until all workers are ready.

        Raises:
            ConfigError: they cannot start.
        """
        for worker in self.workers:
            await asyncio.to_thread(worker.wait_until_ready)
            self._idle.put_nowait(worker)

    async def prepare(self, job: Job) -> Ready | Refusal:
        """Return a prepared request or why it cannot be, once a worker is free for it."""
        worker = await self._idle.get()
        work = asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, job)
        work.add_done_callback(lambda _: self._idle.put_nowait(worker))
        return await asyncio.shield(work)  # a request that is given up keeps its worker until it is done

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _serve(line: Connection, contract: BundleContract, settings: Settings) -> None:
    import torch

    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    threadpool_limits(1)
    torch.set_num_threads(1)
    limit_memory(settings.limits.memory_bytes)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    line.send_bytes(_READY)
    while True:
        try:
            job: Job = pickle.loads(line.recv_bytes())  # noqa: S301 - from our own process
        except (EOFError, OSError, KeyboardInterrupt):
            return
        line.send_bytes(pickle.dumps(do(contract, job, settings.limits, settings.most_unpacked_bytes)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(2)
