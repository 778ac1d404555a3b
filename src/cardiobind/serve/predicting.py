"""From a request to a prediction: received within limits, prepared in a worker, scored in a batch."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from starlette.requests import Request

from cardiobind.errors import CardiobindError
from cardiobind.inference import Predictor, PreparedSubject
from cardiobind.serve.batching import Batcher
from cardiobind.serve.metrics import Metrics
from cardiobind.serve.pool import Pool
from cardiobind.serve.refusals import Refusal, Refused, refusal_of, refuse
from cardiobind.serve.settings import Settings
from cardiobind.serve.uploads import Form, Pieces, Storage, flag
from cardiobind.serve.work import Job

Explain = Callable[[Predictor, PreparedSubject], Mapping[str, Any]]
Neighbours = Callable[[Predictor, PreparedSubject], Sequence[Mapping[str, Any]]]


class Service:
    """A bundle at work for many.

    Args:
        predictor: the bundle.
        settings: limits.
        metrics: told of batches and of what is in work.
        explain: returns an explanation as JSON holds it, or None where there is none to be had.
        neighbours: returns the nearest cases as JSON holds them, or None.
    """

    def __init__(
        self, predictor: Predictor, settings: Settings, metrics: Metrics, *, explain: Explain | None,
        neighbours: Neighbours | None,
    ) -> None:  # fmt: skip
        self.predictor, self.settings, self.metrics = predictor, settings, metrics
        self._explain, self._neighbours = explain, neighbours
        self._storage = Storage(settings.most_stored_bytes)
        self._explaining, self._searching = ThreadPoolExecutor(1, "explain"), ThreadPoolExecutor(1, "search")
        self._folder = ""

    async def start(self) -> None:
        """Start the workers and the queue.

        Raises:
            ConfigError: the workers cannot start.
        """
        self.pool = await asyncio.to_thread(Pool, self.predictor.contract, self.settings)
        await self.pool.start()
        self._folder = tempfile.mkdtemp(prefix="cardiobind-serve-")
        self.batcher = Batcher(self.predictor, most=self.settings.batch_most, seen=self.metrics.batches.add)
        self.batcher.start()

    async def close(self) -> None:
        """End the workers and remove what is left of any request."""
        await self.batcher.close()
        self.pool.close()
        for thread in (self._explaining, self._searching):
            thread.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def form(self, request: Request) -> bytes:
        """Return the answer to a form, as JSON.

        Raises:
            Refused: there is no prediction, and why.
        """
        folder = tempfile.mkdtemp(dir=self._folder)
        try:
            form = Form(request.headers.get("content-type", ""), Path(folder), self.settings, self._storage)
            with closing(form):
                await self._receive(request, form.write)
                form.finish()
                job = Job(folder, facts=form.texts.get("facts"), signals=flag(form.texts, "signals", True))
                with self._place():
                    return await self._answer(job, explain=flag(form.texts, "explain", False))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def json(self, request: Request) -> bytes:
        """Return the answer to a JSON body, as JSON.

        Raises:
            Refused: there is no prediction, and why.
        """
        pieces = Pieces(self._storage)
        with closing(pieces):
            await self._receive(request, pieces.write)
            with self._place():
                return await self._answer(Job(body=pieces.joined()), explain=False)

    @contextmanager
    def _place(self) -> Iterator[None]:
        self._refuse_if_busy()
        self.metrics.working += 1
        try:
            yield
        finally:
            self.metrics.working -= 1

    def _refuse_if_busy(self) -> None:
        if self.metrics.working >= self.settings.most_requests or self.metrics.receiving > self.settings.most_receiving:
            raise refuse(429, "busy", "the server has as many requests as it may", hint="try again in a few seconds")

    async def _receive(self, request: Request, take: Callable[[bytes], Any]) -> None:
        """Take the body of a request, which holds no place of those in work while it comes."""
        self.metrics.receiving += 1
        try:
            self._refuse_if_busy()
            await self._in_time(request, take)
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            self.metrics.receiving -= 1

    async def _in_time(self, request: Request, take: Callable[[bytes], Any]) -> None:
        began, got, settings = asyncio.get_running_loop().time(), 0, self.settings
        async with asyncio.timeout(min(settings.patience_seconds, settings.receive_seconds)) as limit:
            async for chunk in request.stream():
                take(chunk)
                got += len(chunk)
                earned = settings.patience_seconds + got / settings.slowest_bytes_per_s
                limit.reschedule(began + min(earned, settings.receive_seconds))

    def _too_slow(self) -> Refused:
        settings = self.settings
        wanted = f"{settings.slowest_bytes_per_s:g} bytes a second after {settings.patience_seconds:g} s"
        expected = f"{wanted}, all within {settings.receive_seconds:g} s"
        return refuse(408, "slow_request", "the request came too slowly", expected=expected)

    async def _answer(self, job: Job, *, explain: bool) -> bytes:
        seconds = self.settings.answer_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._predict(job, explain)
        except TimeoutError:
            words = "the answer takes too long"
            raise refuse(504, "timed_out", words, expected=f"at most {seconds:g} s") from None
        except CardiobindError as error:
            raise Refused(refusal_of(error, None)) from None

    async def _predict(self, job: Job, explain: bool) -> bytes:
        ready = await self.pool.prepare(job)
        if isinstance(ready, Refusal):
            raise Refused(ready)
        prediction = await self.batcher.score(ready.prepared)
        told = prediction.abstained is None  # else the explanation would tell the score that is withheld
        explained = self._explain if told and (explain or ready.explain) else None
        near = self._neighbours if told else None
        parts = {
            "prediction": _encoded(prediction.to_json()),
            "ecg": ready.ecg,
            "cine": ready.cine,
            "explanation": _encoded(await self._aside(self._explaining, explained, ready.prepared)),
            "neighbours": _encoded(await self._aside(self._searching, near, ready.prepared)),
        }
        return b"{" + b",".join(f'"{name}":'.encode() + part for name, part in parts.items()) + b"}"

    async def _aside(
        self, thread: ThreadPoolExecutor, work: Callable[[Predictor, PreparedSubject], Any] | None,
        prepared: PreparedSubject,
    ) -> Any:  # fmt: skip
        if work is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(thread, work, self.predictor, prepared)


def _encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
