"""A cohort in object storage: its tables are fetched when it is opened, its shards when they are read."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cardiobind.artifact import MANIFEST, Artifact, read_manifest
from cardiobind.cohort.shard_cache import ShardCache, fetch_checked, fetch_tried, is_whole
from cardiobind.errors import ArtifactError, ConfigError, CorruptArtifactError

CACHE_BYTES = 50 * 2**30
_CACHE, _LIMIT = "CARDIOBIND_CACHE", "CARDIOBIND_CACHE_GIB"


def is_url(path: Path | str) -> bool:
    """Return whether a path names something outside the local file system, such as ``s3://bucket/cohort``."""
    return isinstance(path, str) and "://" in path


@dataclass(frozen=True)
class RemoteArtifact(Artifact):
    """An artefact in object storage.

    Attributes:
        path: local folder of its manifest and of those files that are no shards.
        url: where it lies.
        shards: cache of its shards.
    """

    url: str
    shards: ShardCache

    def file(self, name: str) -> Path:
        """Return a local path of an inventoried file, fetched and checked if it is not there.

        Raises:
            CorruptArtifactError: the inventory has no such file, or what was fetched has another hash.
            ArtifactError: it cannot be fetched.
        """
        if name not in self.manifest["files"]:
            raise CorruptArtifactError("the artefact has no such file", where=f"{self.url}/{name}")
        entry, where = self.manifest["files"][name], f"{self.url}/{name}"
        if name.endswith(".npy"):
            return self.shards.get(entry["sha256"], entry["bytes"], lambda to: _download(where, to), where)
        return self._beside(name, entry["sha256"], where)

    def _beside(self, name: str, sha256: str, where: str) -> Path:
        path = self.path / name
        if not is_whole(path, sha256):
            partial = path.with_name(f".{path.name}.partial-{uuid.uuid4().hex}")
            try:
                fetch_checked(partial, sha256, lambda to: _download(where, to), where)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        return path


def open_remote(url: str, kind: str, *, cache: Path | None = None, limit_bytes: int | None = None) -> RemoteArtifact:
    """Open an artefact in object storage after checking its manifest; each file is checked when it is fetched.

    Args:
        url: any that fsspec knows: ``s3://bucket/cohort``, ``gs://``, ``memory://``.
        kind: kind expected.
        cache: local folder; by default that of the variable ``CARDIOBIND_CACHE``, or ``~/.cache/cardiobind``.
        limit_bytes: bound of the shards in it; by default ``CARDIOBIND_CACHE_GIB`` GiB, or 50.

    Raises:
        ArtifactError: no artefact there, of another kind or of a newer format, or the place cannot be reached.
        CorruptArtifactError: the manifest was altered.
        ConfigError: the package for this kind of place is not installed, or a variable is no number.
    """
    folder = cache or Path(os.environ.get(_CACHE) or Path.home() / ".cache" / "cardiobind")
    where = url.rstrip("/")
    arriving = folder / f".opening-{uuid.uuid4().hex}"
    arriving.mkdir(parents=True)
    try:
        manifest = _fetch_manifest(where, arriving)
        if manifest["kind"] != kind:
            raise ArtifactError("artefact of another kind", where=url, expected=kind, got=manifest["kind"])
        home = folder / str(manifest["digest"])
        home.mkdir(exist_ok=True)
        (arriving / MANIFEST).replace(home / MANIFEST)
    finally:
        shutil.rmtree(arriving, ignore_errors=True)
    shards = ShardCache(folder / "shards", _limit() if limit_bytes is None else limit_bytes)
    return RemoteArtifact(home, manifest, where, shards)


def _fetch_manifest(url: str, folder: Path) -> dict[str, Any]:
    try:
        fetch_tried(folder / MANIFEST, lambda to: _download(f"{url}/{MANIFEST}", to))
    except FileNotFoundError as error:
        raise ArtifactError("no artefact here", where=url, expected=f"a folder with {MANIFEST}", got=error) from error
    except OSError as error:
        raise ArtifactError(
            "the place cannot be reached", where=url, got=error, hint="check address, network and credentials"
        ) from error
    return read_manifest(folder)


def _download(url: str, target: Path) -> None:
    system, place = _place(url.rpartition("/")[0])
    try:
        system.get_file(f"{place}/{url.rpartition('/')[2]}", str(target))
    except OSError:
        raise
    except Exception as error:  # the libraries of object stores have errors of their own that are no OSError
        raise as_os_error(error) from error


def as_os_error(error: Exception) -> OSError:
    """Return an error of the library of an object store as the OSError it would be of a disk.

    What will not pass by itself, a file that is not there or credentials that are refused, becomes FileNotFoundError or
    PermissionError; all else may be tried again.

    Args:
        error: of botocore, aiohttp, google-cloud or azure; its status is read where it has one.
    """
    words = f"{type(error).__module__}.{type(error).__name__}: {error}"
    status = _status(error)
    if status in (401, 403) or "Credential" in type(error).__name__:
        return PermissionError(words)
    return FileNotFoundError(words) if status in (404, 410) else OSError(words)


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    answer = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    found = [answer.get("HTTPStatusCode"), *(getattr(error, name, None) for name in ("status", "status_code", "code"))]
    return next((int(str(value)) for value in found if str(value).isdigit()), None)


@cache
def _place(url: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        system, place = url_to_fs(url)  # type: ignore[no-untyped-call]
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"this kind of place cannot be read: {error}", where=url, hint="pip install 'cardiobind[object-store]'"
        ) from error
    return system, str(place).rstrip("/")


def _limit() -> int:
    text = os.environ.get(_LIMIT)
    try:
        return CACHE_BYTES if not text else int(float(text) * 2**30)
    except ValueError as error:
        raise ConfigError("the bound of the cache is no number", where=_LIMIT, expected="GiB", got=text) from error
