"""Words such as ``ecg.rate_hz=100`` that change an experiment on the command line."""

from __future__ import annotations

import tomllib
from typing import Any

from cardiobind.errors import ConfigError

NOTHING = "none"


def apply_override(tree: dict[str, Any], word: str) -> None:
    """Change a tree of options by one word such as ``ecg.rate_hz=100``; ``none`` takes an option away.

    Raises:
        ConfigError: it is no override, or there is no such place.
    """
    key, separator, text = word.partition("=")
    if not separator or not key:
        raise ConfigError("an override is KEY=VALUE", where=word, expected="key.sub=value", got=word)
    node: Any = tree
    *parents, last = key.split(".")
    for name in parents:
        node = _descend(node, name, word)
    if isinstance(node, list):
        node[_index(node, last, word)] = _value(text)
    elif text == NOTHING:
        node.pop(last, None)
    else:
        node[last] = _value(text)


def _descend(node: Any, name: str, word: str) -> Any:
    child = node[_index(node, name, word)] if isinstance(node, list) else node.setdefault(name, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"{name!r} is a value, not a section", where=word)
    return child


def _index(node: list[Any], name: str, word: str) -> int:
    if not name.isdigit() or int(name) >= len(node):
        raise ConfigError("no such entry in the list", where=word, expected=f"0 to {len(node) - 1}", got=name)
    return int(name)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
