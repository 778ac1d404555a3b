"""What the package promises to outsiders: a change of these names is a change of the version."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import cardiobind

ROOMS = sorted(module.name for module in pkgutil.iter_modules(cardiobind.__path__) if module.ispkg)


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_is_there_and_documented(room: str) -> None:
    module = importlib.import_module(f"cardiobind.{room}")
    for name in getattr(module, "__all__", ()):
        offered = getattr(module, name)
        if inspect.isclass(offered) or inspect.isfunction(offered):
            assert inspect.getdoc(offered), f"{room}.{name}"
