"""The registry: names in order, near names suggested, nothing written over."""

from __future__ import annotations

import pytest

from cardiobind.errors import ConfigError, UnknownNameError
from cardiobind.registry import Registry, did_you_mean


@pytest.fixture
def animals() -> Registry[type]:
    registry: Registry[type] = Registry("animal")
    registry.register("horse")(int)
    registry.register("hare")(str)
    return registry


def test_register_gives_back_what_it_was_given(animals: Registry[type]) -> None:
    @animals.register("dog")
    class Dog:
        pass

    assert animals.get("dog") is Dog


def test_names_keep_the_order_of_registration(animals: Registry[type]) -> None:
    assert animals.names() == ("horse", "hare") == tuple(animals)
    assert len(animals) == 2
    assert "hare" in animals
    assert "hound" not in animals
    assert 3 not in animals


def test_a_name_is_given_once(animals: Registry[type]) -> None:
    with pytest.raises(ConfigError, match="animal 'horse' is registered already"):
        animals.register("horse")(float)
    assert animals.get("horse") is int


def test_a_near_name_is_suggested(animals: Registry[type]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown animal 'hors'[\s\S]*did you mean 'horse'"):
        animals.get("hors")


def test_a_far_name_lists_all(animals: Registry[type]) -> None:
    with pytest.raises(UnknownNameError, match="choose one of: horse, hare"):
        animals.get("xylophone")


def test_unregister_takes_one_away(animals: Registry[type]) -> None:
    animals.unregister("horse")
    assert animals.names() == ("hare",)
    with pytest.raises(UnknownNameError):
        animals.unregister("horse")


def test_an_unknown_name_is_an_error_of_configuration(animals: Registry[type]) -> None:
    with pytest.raises(ConfigError):
        animals.get("")


def test_did_you_mean_takes_lists() -> None:
    assert did_you_mean("batchsize", ["batch_size", "steps"]) == "did you mean 'batch_size'?"


def test_of_very_many_names_the_few_nearest_are_told() -> None:
    told = did_you_mean("zzzzzz", [f"name_{i}" for i in range(150)])
    assert told.startswith("the nearest of 150 known are: ")
    assert told.count(",") == 4
