"""Requests that wait for the network are scored in one call; the scores are those of one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cardiobind.inference import Prediction, Predictor, PreparedSubject

Waiting = tuple[PreparedSubject, "asyncio.Future[Prediction]"]


class Batcher:
    """The queue before the network.

    Args:
        predictor: scores.
        most: of a batch.
        seen: told the size of each batch.
    """

    def __init__(self, predictor: Predictor, *, most: int, seen: Callable[[int], None]) -> None:
        self._predictor, self._most, self._seen = predictor, most, seen
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, "score")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to score."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Score no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def score(self, prepared: PreparedSubject) -> Prediction:
        """Return the prediction of one request.

        Raises:
            CardiobindError: as `Predictor.score`.
        """
        answer: asyncio.Future[Prediction] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((prepared, answer))
        return await answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._gather()
            self._seen(len(batch))
            answers = await loop.run_in_executor(self._thread, self._score, [prepared for prepared, _ in batch])
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if waiting.cancelled():
                    continue
                if isinstance(answer, Prediction):
                    waiting.set_result(answer)
                else:
                    waiting.set_exception(answer)

    async def _gather(self) -> list[Waiting]:
        batch = [await self._queue.get()]
        while len(batch) < self._most and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        return batch

    def _score(self, batch: Sequence[PreparedSubject]) -> list[Prediction | Exception]:
        try:
            return [*self._predictor.score_many(batch)]
        except Exception as error:  # noqa: BLE001 - whoever waits is told, and the queue goes on
            return [error] if len(batch) == 1 else [self._score([one])[0] for one in batch]
