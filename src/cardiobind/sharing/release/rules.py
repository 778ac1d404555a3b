"""Rules for values of a JSON document: a value is allowed because a rule says so, and for no other reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cardiobind.sharing.release.findings import Finding, Findings
from cardiobind.sharing.release.words import LONGEST_TEXT, PARTICIPANT, problems

SMALLEST_COUNT = 10
"""Fewest people that a number may count, none being told of too.

Stricter than UK Biobank (5: "Sensitive phenotypes and aggregate numbers in publicly available materials") and NHS
England (1 to 7 suppressed, others to the nearest 5: HES and ECDS since September 2018); Lifelines asks for 10.
"""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
VERSION = re.compile(r"\d{1,3}(\.\d{1,3}){1,3}([a-z0-9.+-]{0,20})?")


@dataclass(frozen=True)
class Context:
    """What rules need to know beyond the value.

    Attributes:
        smallest: see `SMALLEST_COUNT`.
        sizes: bytes of each file there, by its name in a bundle.
    """

    smallest: int = SMALLEST_COUNT
    sizes: Mapping[str, int] = field(default_factory=dict)


Rule = Callable[[str, Any, Context], Iterator[Finding]]


def fields(rules: Mapping[str, Rule]) -> Rule:
    """Allow an object with these keys and no other."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, dict):
            yield Finding(where, f"{_kind(value)} instead of an object")
            return
        for name, inner in value.items():
            if name in rules:
                yield from rules[name](f"{where}.{name}", inner, context)
            else:
                yield Finding(f"{where}.{_shown(name)}", "a field that is not declared")

    return check


def mapping(key: Rule, rule: Rule, most: int = 64) -> Rule:
    """Allow an object of at most `most` entries whose keys keep one rule and whose values keep another."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, dict) or len(value) > most:
            yield Finding(where, f"{_kind(value)} instead of an object of at most {most} entries")
            return
        for name, inner in value.items():
            yield from key(f"{where}, a key", name, context)
            yield from rule(f"{where}.{_shown(name)}", inner, context)

    return check


def each(rule: Rule, most: int) -> Rule:
    """Allow a list of at most `most` values."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, list) or len(value) > most:
            yield Finding(where, f"{_kind(value)} instead of a list of at most {most}")
            return
        for place, inner in enumerate(value):
            yield from rule(f"{where}[{place}]", inner, context)

    return check


def maybe(rule: Rule) -> Rule:
    """Allow null too."""
    return lambda where, value, context: iter(()) if value is None else rule(where, value, context)


def either(first: Rule, second: Rule) -> Rule:
    """Allow what one of two rules allows; of an object or list what the second says of it."""

    def check(where: str, value: Any, context: Context) -> Findings:
        yield from (second if isinstance(value, dict | list) else first)(where, value, context)

    return check


def number(where: str, value: Any, context: Context) -> Findings:
    """Allow a finite number that is not like a participant's."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield Finding(where, f"{_kind(value)} instead of a number")
    elif float(value).is_integer() and PARTICIPANT.fullmatch(str(abs(int(value)))):
        yield Finding(where, "a number like a participant's")


def whole(where: str, value: Any, context: Context) -> Findings:
    """Allow a whole number from 0 that is not like a participant's: a size, no count of people."""
    yield from number(where, value, context)
    if isinstance(value, float) or (isinstance(value, int) and value < 0):
        yield Finding(where, "not a whole number from 0")


def people(where: str, value: Any, context: Context) -> Findings:
    """Allow a count of people that is 0 or not small."""
    yield from whole(where, value, context)
    if isinstance(value, int) and 0 < value < context.smallest:
        yield Finding(where, f"a count below {context.smallest}")


def flag(where: str, value: Any, context: Context) -> Findings:
    """Allow true and false."""
    if not isinstance(value, bool):
        yield Finding(where, f"{_kind(value)} instead of true or false")


def one_of(words: Collection[str]) -> Rule:
    """Allow a word of a vocabulary."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, str) or value not in words:
            yield Finding(where, "a word that is not in the vocabulary")

    return check


def like(pattern: re.Pattern[str], what: str) -> Rule:
    """Allow a text that a pattern describes wholly."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            yield Finding(where, f"not {what}")
        elif pattern is not DIGEST:
            yield from (Finding(where, problem) for problem in problems(value))

    return check


name = like(NAME, "a name")
digest = like(DIGEST, "a digest")
version = like(VERSION, "a version")


def text(longest: int = LONGEST_TEXT) -> Rule:
    """Allow a text in which nothing looks like a person or a place."""

    def check(where: str, value: Any, context: Context) -> Findings:
        if not isinstance(value, str):
            yield Finding(where, f"{_kind(value)} instead of a text")
            return
        yield from (Finding(where, problem) for problem in problems(value, longest))

    return check


def setting(where: str, value: Any, context: Context) -> Findings:
    """Allow what options of networks and preparations are: null, a flag, a number, a name, or at most 64 of them."""
    if isinstance(value, list):
        yield from each(_scalar, 64)(where, value, context)
    else:
        yield from _scalar(where, value, context)


def _scalar(where: str, value: Any, context: Context) -> Findings:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from like(re.compile(r"[\w.+-]{0,64}"), "a name")(where, value, context)
    else:
        yield from number(where, value, context)


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), "a value")


def _shown(key: str) -> str:
    return key if NAME.fullmatch(key) and not any(True for _ in problems(key)) else "(a key that is not shown)"
