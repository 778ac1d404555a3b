"""Files of object storage in a local folder bounded in bytes, safe with several processes."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cardiobind.artifact import file_sha256
from cardiobind.errors import ArtifactError, CorruptArtifactError

Fetch = Callable[[Path], None]
"""Writes a file to the path it is given; raises OSError."""

_TRIES = 3
PAUSE_S = 0.5
_ABANDONED_S = 3600.0


@dataclass(frozen=True)
class ShardCache:
    """Shards by their hash; the longest unused one is deleted when a new one would exceed the bound.

    A shard that is open elsewhere stays readable there until it is closed, as files do.

    Args:
        folder: of the cache, which processes of one machine share.
        limit_bytes: bound of all shards together, besides those that are just being fetched; a single shard larger than
            it is kept alone.
    """

    folder: Path
    limit_bytes: int

    def get(self, sha256: str, size: int, fetch: Fetch, where: str) -> Path:
        """Return the path of a shard, fetched if it is not there; it may be deleted as soon as others are fetched.

        Args:
            sha256: of its bytes.
            size: in bytes.
            fetch: fetches it.
            where: its place, for errors.

        Raises:
            ArtifactError: it cannot be fetched, or the disk is full.
            CorruptArtifactError: what was fetched has another hash.
        """
        path = self.folder / sha256
        if not is_whole(path, sha256):
            with self._locked(f".{sha256}.lock"):
                if not is_whole(path, sha256):
                    self._fetch(path, size, fetch, where)
        return path

    def _fetch(self, path: Path, size: int, fetch: Fetch, where: str) -> None:
        partial = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")
        try:
            fetch_checked(partial, path.name, fetch, where)
            with self._locked(".evict.lock"):
                self._make_room(size)
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        entries = [(entry.stat(), Path(entry.path)) for entry in os.scandir(self.folder)]
        for stat, path in entries:
            if ".partial-" in path.name and time.time() - stat.st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)
        held = [(stat, path) for stat, path in entries if not path.name.startswith(".")]
        total = sum(stat.st_size for stat, _ in held)
        for stat, path in sorted(held, key=lambda item: item[0].st_mtime_ns):
            if total + size <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            (self.folder / f".{path.name}.lock").unlink(missing_ok=True)
            total -= stat.st_size

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / name).open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def is_whole(path: Path, sha256: str) -> bool:
    """Return whether a file is there with the right bytes; it then counts as just used."""
    try:
        os.utime(path)
        return file_sha256(path) == sha256
    except FileNotFoundError:
        return False


def fetch_checked(target: Path, sha256: str, fetch: Fetch, where: str) -> None:
    """Fetch a file and check its hash, trying again a few times.

    Raises:
        ArtifactError: it cannot be fetched, or the disk is full.
        CorruptArtifactError: what was fetched has another hash.
    """
    for _ in range(_TRIES):
        try:
            fetch_tried(target, fetch)
        except OSError as error:
            raise ArtifactError("a file of the cohort cannot be fetched", where=where, got=error) from error
        if file_sha256(target) == sha256:
            return
    raise CorruptArtifactError("a file was altered: its hash differs", where=where)


def fetch_tried(target: Path, fetch: Fetch) -> None:
    """Fetch a file, trying again after a pause what may pass by itself.

    Raises:
        OSError: of the last try, or at once that the file is not there or may not be read.
    """
    for attempt in range(1, _TRIES + 1):
        try:
            return fetch(target)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            if attempt == _TRIES:
                raise
            time.sleep(attempt * PAUSE_S)
