"""What the package promises to outsiders: a change of these names is a change of the version.

After a change that is meant, ``python tests/architecture/test_public_api.py`` writes the list again.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import cardiobind

SNAPSHOT = Path(__file__).with_name("public_api.txt")
RECORDED = SNAPSHOT.read_text().splitlines() if SNAPSHOT.exists() else []
ROOMS = sorted(module.name for module in pkgutil.iter_modules(cardiobind.__path__) if module.ispkg)


def offered() -> list[str]:
    """Return every name that the package or a room offers, one a line."""
    modules = ["cardiobind", *(f"cardiobind.{room}" for room in ROOMS)]
    return [f"{m}.{name}" for m in modules for name in sorted(getattr(importlib.import_module(m), "__all__", ()))]


def test_the_public_names_are_those_on_record() -> None:
    assert offered() == RECORDED, f"if this is meant: python {Path(__file__).name}"


def test_no_room_hides_a_name_of_the_package() -> None:
    """A module that is imported becomes an attribute of the package, in place of what was offered under its name."""
    assert not set(cardiobind.__all__) & {module.name for module in pkgutil.iter_modules(cardiobind.__path__)}


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_offered_is_there_and_documented(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing)


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(offered()) + "\n")
