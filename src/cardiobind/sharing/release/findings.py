"""What must not leave, and where it was found; the thing itself is never repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Findings = Iterator["Finding"]


@dataclass(frozen=True)
class Finding:
    """Something that is not allowed in a release.

    Attributes:
        where: file, and field, array or line in it.
        what: in words, without the thing itself.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
