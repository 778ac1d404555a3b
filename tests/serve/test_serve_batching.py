"""Requests that come together are scored together, each gets its own answer, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cardiobind.inference import Prediction, Predictor, PreparedSubject, prepare_subject
from cardiobind.serve.batching import Batcher


class Counting:
    """Stands for a predictor; remembers the sizes of its batches and fails where it is told to."""

    def __init__(self, predictor: Predictor, bad: PreparedSubject | None = None) -> None:
        self.predictor, self.bad, self.calls = predictor, bad, 0

    def score_many(self, batch: Sequence[PreparedSubject]) -> list[Prediction]:
        self.calls += 1
        if any(one is self.bad for one in batch):
            raise RuntimeError("the network failed")
        return self.predictor.score_many(batch)


def prepared(predictor: Predictor, count: int) -> list[PreparedSubject]:
    return [prepare_subject(predictor.contract, table={"age_years": 40.0 + n}) for n in range(count)]


async def asked(scores: Any, given: Sequence[PreparedSubject], sizes: list[int], *, most: int = 8) -> list[Any]:
    batcher = Batcher(scores, most=most, seen=sizes.append)
    batcher.start()
    try:
        return await asyncio.gather(*(batcher.score(one) for one in given), return_exceptions=True)
    finally:
        await batcher.close()


@pytest.mark.parametrize("most", [1, 3, 8])
def test_answers_are_those_of_one_by_one_in_batches_of_any_size(predictor: Predictor, most: int) -> None:
    given, sizes = prepared(predictor, 10), []
    answers = asyncio.run(asked(predictor, given, sizes, most=most))
    assert answers == [predictor.score(one) for one in given]
    assert sum(sizes) == 10
    assert max(sizes) == most


def test_one_that_fails_fails_alone(predictor: Predictor) -> None:
    given, sizes = prepared(predictor, 5), []
    answers = asyncio.run(asked(Counting(predictor, bad=given[2]), given, sizes))
    assert isinstance(answers[2], RuntimeError)
    assert [a for n, a in enumerate(answers) if n != 2] == [predictor.score(p) for n, p in enumerate(given) if n != 2]


def test_one_alone_is_scored_at_once(predictor: Predictor) -> None:
    answers, sizes = [], []

    async def work() -> None:
        batcher = Batcher(predictor, most=8, seen=sizes.append)
        batcher.start()
        for one in prepared(predictor, 2):
            answers.append(await batcher.score(one))
        await batcher.close()

    asyncio.run(work())
    assert sizes == [1, 1]
    assert answers == [predictor.score(one) for one in prepared(predictor, 2)]


def test_one_who_went_away_does_not_stop_the_others(predictor: Predictor) -> None:
    async def work() -> Any:
        given = prepared(predictor, 3)
        batcher = Batcher(predictor, most=8, seen=lambda _: None)
        batcher.start()
        tasks = [asyncio.create_task(batcher.score(one)) for one in given]
        await asyncio.sleep(0)
        tasks[1].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return answers, [predictor.score(one) for one in given]

    answers, expected = asyncio.run(work())
    assert isinstance(answers[1], asyncio.CancelledError)
    assert (answers[0], answers[2]) == (expected[0], expected[2])
