"""Texts that may name a person or a place: participant numbers, dates, paths, people, machines."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterator
from functools import cache

LONGEST_TEXT = 400
LONGEST_WORD = 48

PARTICIPANT = re.compile(r"(?<!\d)(?<!\.)(?<!rs)(10[0-9]{5}|[1-5][0-9]{6}|6[0-4][0-9]{5}|650{5})(?!\d)")
"""As `.ci/audit_privacy.py` has it: UK Biobank's participants have seven digits, from one million to six and a half."""
PATTERNS = {
    "a number like a participant's": PARTICIPANT,
    "a number as long as a record's": re.compile(r"(?<![\d.])\d{7,}(?!\d|\.\d)"),
    "a number like that of the NHS": re.compile(r"(?<!\d)\d{3}[ -]\d{3}[ -]\d{4}(?!\d)"),
    "a date": re.compile(
        r"(?<!\d)((19|20)\d\d[-/.](0?[1-9]|1[0-2])[-/.](0?[1-9]|[12]\d|3[01])|"
        r"(0?[1-9]|[12]\d|3[01])[-/.](0?[1-9]|1[0-2])[-/.](19|20)?\d\d)(?!\d)"
    ),
    "an address of mail": re.compile(r"[\w.+-]+@[\w-]+\.\w+"),
    "a path": re.compile(r"(?<![\w.])(~?/[\w.-]+/|[A-Za-z]:\\|\\\\\w|file:|s3:|\.\./)"),
    "the name of a machine": re.compile(r"\b[\w-]+\.(local|lan|internal|intra|corp|nhs\.uk|ac\.uk)\b", re.IGNORECASE),
    "an address of a network": re.compile(r"(?<![\d.])(\d{1,3}\.){3}\d{1,3}(?![\d.])"),
}
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{LONGEST_WORD + 1},}}")
_GENERIC = frozenset({"root", "user", "users", "admin", "ubuntu", "localhost", "docker", "home", "cardiobind"})


def problems(text: str, longest: int = LONGEST_TEXT) -> Iterator[str]:
    """Yield what is wrong with a text, without repeating it.

    Args:
        text: one line, or one value.
        longest: characters that it may have.
    """
    if len(text) > longest:
        yield f"a text of {len(text)} characters, more than {longest}"
    if any(not character.isprintable() for character in text):
        yield "characters that cannot be seen"
    if _BLOB.search(text):
        yield f"a word of more than {LONGEST_WORD} characters, which may be anything"
    yield from (title for title, pattern in PATTERNS.items() if pattern.search(text))
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in own_names()):
        yield "the name of this machine or of its user"


@cache
def own_names() -> tuple[str, ...]:
    """Return the names of this machine and its user that are long enough to be looked for."""
    try:
        names = {getpass.getuser(), socket.gethostname(), socket.gethostname().split(".")[0]}
    except (OSError, KeyError):
        names = {socket.gethostname()}
    return tuple(sorted(name for name in names if len(name) > 3 and name.lower() not in _GENERIC))


def without(text: str, known: tuple[str, ...]) -> str:
    """Return a text in which known digests, which hold long numbers by chance, are gone."""
    for digest in known:
        text = text.replace(digest, "(digest)").replace(digest[:12], "(digest)")
    return text
