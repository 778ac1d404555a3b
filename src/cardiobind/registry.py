"""A typed registry: plug-ins are one file and one line, and a wrong name suggests the right one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from cardiobind.errors import ConfigError, UnknownNameError

MOST_LISTED = 40
FEW = 5
T = TypeVar("T")
Entry = TypeVar("Entry")


class Registry(Generic[T]):
    """Maps names to entries of one kind.

    Args:
        kind: what the entries are, in the singular, as error messages name it ("encoder").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that adds its argument under `name` and gives it back unchanged.

        Raises:
            ConfigError: the name is taken.
        """

        def add(entry: Entry) -> Entry:
            if name in self._entries:
                raise ConfigError(f"{self.kind} {name!r} is registered already", hint="choose another name")
            self._entries[name] = entry  # type: ignore[assignment]
            return entry

        return add

    def unregister(self, name: str) -> None:
        """Remove an entry, for tests of plug-ins.

        Raises:
            UnknownNameError: no entry of that name.
        """
        self.get(name)
        del self._entries[name]

    def get(self, name: str) -> T:
        """Return the entry called `name`.

        Raises:
            UnknownNameError: no entry of that name; the message suggests near ones.
        """
        if name not in self._entries:
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}",
                expected=" | ".join(self.names()),
                hint=did_you_mean(name, self.names()),
            )
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return all names in order of registration."""
        return tuple(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def did_you_mean(name: str, known: tuple[str, ...] | list[str]) -> str:
    """Return a sentence that suggests the known names nearest to `name`."""
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    if len(known) <= MOST_LISTED:
        return "choose one of: " + ", ".join(known)
    nearest = difflib.get_close_matches(name, known, n=FEW, cutoff=0.0)
    return f"the nearest of {len(known)} known are: " + ", ".join(nearest)
