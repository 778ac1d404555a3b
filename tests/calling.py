"""What a call of the command line leaves for a person to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Call = Callable[[Sequence[object]], Done]
