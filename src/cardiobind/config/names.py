"""Names of an experiment as parts of the names of its folders."""

from __future__ import annotations

import re
from collections.abc import Iterable


def slug(name: str) -> str:
    """Return a name in small letters, digits and hyphens, for a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def check_apart(what: str, names: Iterable[str]) -> None:
    """Refuse names that would give one folder.

    Args:
        what: they are names of, in the plural.
        names: all different.

    Raises:
        ValueError: naming both.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(slug(name), name)
        if other != name:
            raise ValueError(
                f"{what} {other!r} and {name!r} would share the folder name {slug(name)!r}: "
                "let them differ in letters a to z or digits"
            )
