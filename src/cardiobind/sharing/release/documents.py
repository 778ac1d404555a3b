"""JSON and Markdown files read so that nothing beside their content can hide in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cardiobind.artifact import canonical_json
from cardiobind.errors import InputError
from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.rules import Context, Rule
from cardiobind.sharing.release.words import problems, without

DEEPEST = 10
LONGEST_NUMBER = 26
LONGEST_LINE = 20_000
_CITED = re.compile(r"https://(arxiv\.org|doi\.org|huggingface\.co)/[\w./-]{1,60}")


class _Refused(ValueError):
    """Why a document is not read."""


def parse(content: bytes | str) -> Any:
    """Return a JSON document of which nothing gets lost by reading it.

    Raises:
        ValueError: it is no JSON, too deep, names a key twice, or holds a number too long.
    """
    value = json.loads(content, object_pairs_hook=_once, parse_int=_short(int), parse_float=_short(float))
    if _depth(value) > DEEPEST:
        raise _Refused(f"deeper than {DEEPEST}")
    return value


def check_json(where: str, content: bytes, rule: Rule, context: Context) -> Findings:
    """Yield what is not allowed in a JSON file: by a rule, and bytes that are not its content."""
    try:
        value = parse(content)
    except (ValueError, RecursionError) as error:
        yield Finding(where, f"JSON that cannot be accepted: {error if isinstance(error, _Refused) else 'malformed'}")
        return
    if content not in _written(value):
        yield Finding(where, "bytes beside the JSON, such as blanks, that cardiobind does not write")
    yield from rule(where, value, context)


def check_markdown(where: str, path: Path, known: tuple[str, ...]) -> Findings:
    """Yield the lines of a Markdown file in which something looks like a person or a place."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        yield Finding(where, "not a text")
        return
    for number, line in enumerate(text.split("\n"), start=1):
        for problem in problems(_CITED.sub("", without(line, known)).rstrip(), LONGEST_LINE):
            yield Finding(f"{where}, line {number}", problem)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Refused("a key is there twice")
    return dict(pairs)


def _short(kind: type[int] | type[float]) -> Any:
    def read(literal: str) -> int | float:
        if len(literal) > LONGEST_NUMBER:
            raise _Refused("a number of too many digits")
        return kind(literal)

    return read


def _depth(value: Any) -> int:
    inner: Iterator[Any] = iter(())
    if isinstance(value, dict | list):
        inner = iter(value.values() if isinstance(value, dict) else value)
    return 1 + max((_depth(one) for one in inner), default=0) if isinstance(value, dict | list) else 0


def _written(value: Any) -> set[bytes]:
    """Return all the ways in which cardiobind writes a document."""
    try:
        pretty = json.dumps(value, indent=1, allow_nan=False)
        return {canonical_json(value).encode(), pretty.encode(), f"{pretty}\n".encode()}
    except (ValueError, InputError):
        return set()
