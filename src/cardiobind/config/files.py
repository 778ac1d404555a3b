"""An experiment's TOML file, and the one that it extends."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import cardiobind.experiments
from cardiobind.errors import ConfigError

EXTENDS = "extends"
SHIPPED = Path(next(iter(cardiobind.experiments.__path__)))
"""Folder of the experiments that come with the package."""


def read_tree(path: Path, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the options of a file, over those of the experiment that ``extends = "NAME"`` names.

    That is the file NAME.toml beside it, or else the experiment of that name that comes with the package. A section
    adds to the section below it and changes what both say; a list or a value replaces the one below, and so do the
    options of another `kind`.

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
    return merged(read_tree(_extended(path, name), (*below, path)), tree)


def _extended(path: Path, name: str) -> Path:
    beside, shipped = path.with_name(f"{name}.toml"), SHIPPED / f"{name}.toml"
    found = next((p for p in (beside, shipped) if p.is_file() and p != path), beside)
    if not found.is_file():
        known = sorted(p.stem for p in SHIPPED.glob("*.toml"))
        raise ConfigError(
            "there is no such experiment to extend", where=f"{path}, {EXTENDS}", got=name,
            expected=f"a file beside it, or {' | '.join(known)}",
        )  # fmt: skip
    return found


def merged(below: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return sections put together, what is in `over` before what is in `below`."""
    if "kind" in over and over["kind"] != below.get("kind", over["kind"]):
        below = {key: value for key, value in below.items() if key != "options"}
    both = {k: merged(below[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(below.get(k), dict)}
    return below | over | both
