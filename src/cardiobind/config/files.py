"""An experiment's TOML file, and the one that it extends."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cardiobind.errors import ConfigError

EXTENDS = "extends"


def read_tree(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the options of a file, over those of the file beside it that ``extends = "NAME"`` names.

    A section adds to the section below it and changes what both say; a list or a value replaces the one below.

    Args:
        path: TOML file.
        below: files that led here.

    Raises:
        ConfigError: a file is absent or not TOML, or extends itself.
    """
    if not path.is_file():
        raise ConfigError("no experiment file there", where=path, hint="give the path of a TOML file")
    if path in below:
        raise ConfigError("an experiment extends itself", where=path, got=" > ".join(p.stem for p in (*below, path)))
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"the experiment is not valid TOML: {error}", where=path) from error
    name = tree.pop(EXTENDS, None)
    if name is None:
        return tree
    if not isinstance(name, str):
        raise ConfigError("an experiment extends one other", where=f"{path}, {EXTENDS}", expected="a name", got=name)
    return merged(read_tree(path.with_name(f"{name}.toml"), (*below, path)), tree)


def merged(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return sections put together, what is in `over` before what is in `below`."""
    both = {k: merged(below[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(below.get(k), dict)}
    return below | over | both
