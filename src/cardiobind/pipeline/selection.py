"""Some cells of the results table: one to be fitted again, or a part for each of several processes or machines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cardiobind.cohort import Shard
from cardiobind.errors import ConfigError
from cardiobind.pipeline.arms import Cell
from cardiobind.registry import did_you_mean

WORDS = ("task", "arm", "fraction", "seed")
_NEXT = re.compile(rf",\s*(?=(?:{'|'.join(WORDS)})=)")


@dataclass(frozen=True)
class Selection:
    """Which cells are wanted.

    Attributes:
        only: value of some of `WORDS` that a cell must have, as text; empty for all cells.
        shard: part of the cells of that choice, or None for all of them.
        again: fit them though they are there.
    """

    only: Mapping[str, str] = field(default_factory=dict)
    shard: Shard | None = None
    again: bool = False

    @classmethod
    def parse(cls, only: str = "", shard: str = "", *, again: bool = False) -> Selection:
        """Return what the words of the command line say.

        Args:
            only: such as ``arm=aligned,fraction=0.1,seed=0,task=mi``, some of these in any order; or empty.
            shard: such as ``2/4``; or empty.
            again: as the attribute.

        Raises:
            ConfigError: it is not written like that, or names another word.
        """
        pairs = [part.partition("=") for part in _NEXT.split(only)] if only else []
        for word, equals, _ in pairs:
            if word.strip() not in WORDS or not equals:
                hint = did_you_mean(word.strip(), WORDS)
                raise ConfigError(
                    "cells are chosen by other words", where="--only", got=word, expected=", ".join(WORDS), hint=hint
                )
        chosen = {word.strip(): value.strip() for word, _, value in pairs}
        return cls(chosen, Shard.parse(shard) if shard else None, again)

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out and asks for nothing again."""
        return self == Selection()

    def of(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells that are wanted, in order; every cell is in exactly one shard of a choice.

        Raises:
            ConfigError: no cell has one of the values.
        """
        for word, wanted in self.only.items():
            known = dict.fromkeys(_value(cell, word) for cell in cells)
            if _same(word, wanted) not in known:
                hint = did_you_mean(wanted, list(known))
                raise ConfigError(f"no cell has this {word}", where="--only", got=wanted, expected=" | ".join(known),
                                  hint=hint)  # fmt: skip
        found = [c for c in cells if all(_value(c, word) == _same(word, own) for word, own in self.only.items())]
        return found if self.shard is None else found[self.shard.number - 1 :: self.shard.of]


def _value(cell: Cell, word: str) -> str:
    values = {"task": cell.task.name, "arm": cell.arm.name, "fraction": f"{cell.fraction:g}", "seed": str(cell.seed)}
    return values[word]


def _same(word: str, text: str) -> str:
    try:
        return f"{float(text):g}" if word == "fraction" else text
    except ValueError:
        return text
