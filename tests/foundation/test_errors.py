"""Errors say what, where, expected, got and what to do, and survive a process pool."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from cardiobind import errors
from cardiobind.errors import CardiobindError, RecordError

ALL = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, CardiobindError)]


def build(cls: type[CardiobindError]) -> CardiobindError:
    facts = {"where": Path("a/b.xml"), "expected": 12, "got": 0, "hint": "look again"}
    return cls("code", "it broke", **facts) if cls is RecordError else cls("it broke", **facts)  # type: ignore[arg-type]


def fail(cls: type[CardiobindError]) -> None:
    raise build(cls)


def test_there_is_a_tree() -> None:
    assert len(ALL) >= 12


@pytest.mark.parametrize("cls", ALL)
def test_the_message_holds_all_parts(cls: type[CardiobindError]) -> None:
    assert str(build(cls)) == "it broke\n  where: a/b.xml\n  expected: 12\n  got: 0\n  what to do: look again"


def test_absent_parts_are_left_out_and_zero_is_not_absent() -> None:
    assert str(CardiobindError("it broke")) == "it broke"
    assert str(CardiobindError("it broke", got=0)) == "it broke\n  got: 0"


@pytest.mark.parametrize("cls", ALL)
def test_errors_survive_pickling_whole(cls: type[CardiobindError]) -> None:
    error = build(cls)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert {**vars(copy)} == {**vars(error)}


def test_a_record_error_crosses_a_process_pool_with_its_reason() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        error = pool.submit(fail, RecordError).exception()
    assert isinstance(error, RecordError)
    assert error.reason == "code"
    assert error.expected == 12


@pytest.mark.parametrize("cls", ALL)
def test_each_is_documented(cls: type[CardiobindError]) -> None:
    assert cls.__doc__
