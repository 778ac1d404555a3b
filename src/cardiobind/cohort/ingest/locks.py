"""Who may be at work in a folder: one build alone, or several shards of one build side by side."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cardiobind import artifact
from cardiobind.cohort.ingest.chunks import Chunk
from cardiobind.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts of the work.

    Raises:
        ConfigError: there is no such part.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise ConfigError(
                "there is no such shard",
                where="--shard",
                expected="i/n with 1 <= i <= n",
                got=f"{self.number}/{self.of}",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Return the shard that ``i/n`` names.

        Raises:
            ConfigError: the text is not of that form, or there is no such part.
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isascii() and of.isascii() and number.isdigit() and of.isdigit()):
            raise ConfigError(
                "a shard is not written like that", where="--shard", expected="i/n such as 3/16", got=text
            )
        return cls(int(number), int(of))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def own(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Return the chunks that this part prepares: each chunk belongs to exactly one part of `of`."""
        return list(chunks[self.number - 1 :: self.of])


@contextmanager
def exclusive(work: Path) -> Iterator[None]:
    """Keep other builds and all shards out of a work folder for the length of a block, and clear what killed ones left.

    Raises:
        ArtifactError: another build or a shard is at work there.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / ".lock").open("w") as stream:
        _lock(stream, fcntl.LOCK_EX, "another build is at work in this folder", work)
        artifact.remove_partials(work)
        for left in work.glob(".shard-*.lock"):
            left.unlink()
        yield


@contextmanager
def beside_others(work: Path, shard: Shard, chunks: Sequence[Chunk]) -> Iterator[None]:
    """Let other shards, but no whole build, work in a folder too; clear what an earlier run of this shard left.

    Args:
        work: the folder.
        shard: this one; the same shard cannot be at work twice.
        chunks: its own; partial folders of other shards' chunks are left alone, as their writers may be alive.

    Raises:
        ArtifactError: a whole build, or this very shard, is at work there.
    """
    work.mkdir(parents=True, exist_ok=True)
    name = f".shard-{shard.number}-of-{shard.of}.lock"
    with (work / ".lock").open("w") as everybody, (work / name).open("w") as own:
        _lock(everybody, fcntl.LOCK_SH, "another build is at work in this folder", work)
        _lock(own, fcntl.LOCK_EX, f"shard {shard} is at work already", work)
        for chunk in chunks:
            artifact.remove_partials(work, chunk.name)
        yield


def _lock(stream: IO[str], kind: int, what: str, work: Path) -> None:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ArtifactError(what, where=work, hint="wait for it, or choose another work folder") from error
