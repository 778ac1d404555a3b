"""Immutable artefacts: folders committed at once, inventoried by hash, verified on opening, linked to their parents."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from cardiobind.errors import ArtifactError, ArtifactExistsError, CorruptArtifactError, InputError

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_MANIFEST_KEYS = {
    "format_version", "kind", "schema_version", "files", "parents", "config", "fingerprint",
    "code_version", "environment", "digest",
}  # fmt: skip
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Artifact:
    """An opened artefact.

    Attributes:
        path: its directory.
        manifest: kind, schema version, inventory, parents, config, fingerprint, digest.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def digest(self) -> str:
        return str(self.manifest["digest"])

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.manifest["config"]
        return config

    def file(self, name: str) -> Path:
        """Return the path of an inventoried file.

        Raises:
            CorruptArtifactError: the inventory has no such file.
        """
        if name not in self.manifest["files"]:
            raise CorruptArtifactError("the artefact has no such file", where=self.path / name)
        return self.path / name

    def json(self, name: str) -> Any:
        """Return the content of an inventoried JSON file."""
        return json.loads(self.file(name).read_bytes())


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and fixed separators, which gives itself again when it is read and written.

    Raises:
        InputError: the value holds something that JSON has not got: NaN, infinity, a lone surrogate, an object.
    """
    try:
        plain = json.loads(json.dumps(value, allow_nan=False))
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("the value cannot be written as JSON", got=error) from error
    return text


def fingerprint(kind: str, config: Mapping[str, Any], parents: Sequence[Artifact], code: str) -> str:
    """Return the digest of all that decides an artefact's content, known before the work is done.

    Args:
        kind: kind of artefact.
        config: resolved config of the stage.
        parents: artefacts read by the stage.
        code: digest of the code that computes it, see `code_digest`.
    """
    text = canonical_json({"kind": kind, "config": config, "parents": [p.digest for p in parents], "code": code})
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(rooms: Sequence[str]) -> str:
    """Return the digest of the source of the named rooms (files or folders of the package).

    The files are read once a process, so that an edit during a run does not pass for the code that runs.
    """
    return hashlib.sha256("".join(_room_digest(room) for room in sorted(rooms)).encode()).hexdigest()


@cache
def _room_digest(room: str) -> str:
    root = Path(__file__).parent
    target = root / room
    files = sorted(target.rglob("*.py")) if target.is_dir() else [target.with_suffix(".py")]
    sha = hashlib.sha256()
    for file in files:
        sha.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return sha.hexdigest()


@contextmanager
def commit(
    path: Path | str, kind: str, *, schema_version: int = 1, parents: Sequence[Artifact] = (),
    config: Mapping[str, Any] | None = None, fingerprint: str = "", placed: bool = True,
) -> Iterator[Path]:  # fmt: skip
    """Give a private folder to write into and, when the block ends well, turn it into an artefact at once.

    Files are hashed and synced, the manifest is written last, then the folder is renamed to `path`; a reader sees the
    whole artefact or none. If the block raises, nothing is left behind.

    Args:
        path: final directory; must not exist.
        kind: what it is, as readers ask for it.
        schema_version: version of the layout within this kind.
        parents: artefacts it was made from; their digests and relative places are recorded.
        config: resolved config, JSON-compatible.
        fingerprint: see `fingerprint`.
        placed: record where the parents are; without, `verify` cannot follow them.

    Raises:
        ArtifactExistsError: `path` exists, also when another writer was faster.
        ArtifactError: the disk is full or refuses the write, or the block wrote what an artefact cannot hold.
        InputError: the config is not JSON-compatible.
    """
    canonical_json(config or {})
    path = Path(path).absolute()
    if os.path.lexists(path):
        raise _exists(path)
    partial = path.parent / f".{path.name}.partial-{uuid.uuid4().hex}"
    try:
        with _write_errors_are_clear(path):
            partial.mkdir(parents=True)
        with _disk_full_is_clear(path):
            yield partial
        with _write_errors_are_clear(path):
            manifest = _describe(partial, path, kind, schema_version, parents, config or {}, fingerprint, placed)
            _write_synced(partial / MANIFEST, canonical_json(manifest).encode())
            _sync_tree(partial)
            _rename(partial, path)
            _sync_directory(path.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_artifact(path: Path | str, kind: str | None = None) -> Artifact:
    """Open an artefact after checking its manifest, its inventory and the hash of each file.

    Args:
        path: directory of the artefact.
        kind: kind expected, or None for any.

    Raises:
        ArtifactError: no artefact there, of another kind or of a newer format.
        CorruptArtifactError: a file is missing, truncated, altered or not in the inventory; the message names it.
    """
    path = Path(path)
    manifest = read_manifest(path)
    if kind is not None and manifest["kind"] != kind:
        raise ArtifactError("artefact of another kind", where=path, expected=kind, got=manifest["kind"])
    _check_inventory(path, manifest["files"])
    return Artifact(path, manifest)


def read_config(path: Path | str) -> Mapping[str, Any]:
    """Return the config in an artefact's manifest without checking its files.

    Raises:
        ArtifactError, CorruptArtifactError: no artefact there, or its manifest was altered.
    """
    config: Mapping[str, Any] = read_manifest(Path(path))["config"]
    return config


def verify(path: Path | str) -> list[Artifact]:
    """Check an artefact and all its ancestors; return them, the artefact first.

    Raises:
        ArtifactError, CorruptArtifactError: as `open_artifact`; also if a parent is absent or is not the one recorded.
    """
    found: dict[str, Artifact] = {}
    queue = [open_artifact(path)]
    while queue:
        artifact = queue.pop(0)
        if artifact.digest in found:
            continue
        found[artifact.digest] = artifact
        queue += [_open_parent(artifact, parent) for parent in artifact.manifest["parents"]]
    return list(found.values())


def remove_partials(folder: Path | str, name: str = "*") -> None:
    """Delete what killed writers left in `folder`; call it only while no other writer is at work on these artefacts.

    Args:
        folder: where the artefacts are.
        name: of one artefact, or all.
    """
    for leftover in Path(folder).glob(f".{name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _open_parent(child: Artifact, parent: Mapping[str, str]) -> Artifact:
    if not parent["path"]:
        raise ArtifactError("where its parents are was left out on purpose; the artefact is whole", where=child.path)
    place = Path(os.path.normpath(child.path.resolve() / parent["path"]))
    if not place.exists():
        what = "the artefact is whole, but what it was made from is not where it was"
        raise ArtifactError(what, where=place, expected=parent["kind"], hint="verify it in the folder of its run")
    artifact = open_artifact(place, parent["kind"])
    if artifact.digest != parent["digest"]:
        raise CorruptArtifactError(
            "a parent is not the artefact this one was made from",
            where=artifact.path, expected=parent["digest"], got=artifact.digest,
        )  # fmt: skip
    return artifact


def _describe(
    partial: Path, path: Path, kind: str, schema_version: int, parents: Sequence[Artifact],
    config: Mapping[str, Any], fingerprint: str, placed: bool,
) -> dict[str, Any]:  # fmt: skip
    here = path.resolve()
    files = {f.relative_to(partial).as_posix(): f for f in sorted(_regular_files(partial, ArtifactError))}
    _check_names(files, path)
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "schema_version": schema_version,
        "files": {name: {"sha256": file_sha256(f), "bytes": f.stat().st_size} for name, f in files.items()},
        "parents": [
            {"kind": p.kind, "digest": p.digest, "path": os.path.relpath(p.path.resolve(), here) if placed else ""}
            for p in parents
        ],
        "config": dict(config),
        "fingerprint": fingerprint,
        "code_version": metadata.version("cardiobind"),
        "environment": {"python": platform.python_version(), "platform": sys.platform, "machine": platform.machine()},
    }
    return manifest | {"digest": _manifest_digest(manifest)}


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    body = {k: v for k, v in manifest.items() if k != "digest"}
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of an artefact after checking that it is whole; errors as `open_artifact`."""
    file = path / MANIFEST
    if not file.is_file():
        raise ArtifactError("no artefact here", where=path, expected=f"a folder with {MANIFEST}")
    raw = file.read_bytes()
    try:
        manifest = json.loads(raw)
        canonical = canonical_json(manifest).encode()
    except (ValueError, RecursionError, InputError) as error:
        raise CorruptArtifactError("the manifest is not JSON", where=file) from error
    if not isinstance(manifest, dict) or canonical != raw or _manifest_digest(manifest) != manifest.get("digest"):
        raise CorruptArtifactError("the manifest was altered after it was written", where=file)
    _check_format(path, manifest)
    return manifest


def _check_format(path: Path, manifest: Mapping[str, Any]) -> None:
    version = manifest.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise ArtifactError(
            "artefact of a newer format", where=path, expected=f"at most {FORMAT_VERSION}", got=version,
            hint="update cardiobind",
        )  # fmt: skip
    if set(manifest) != _MANIFEST_KEYS:
        raise CorruptArtifactError("the manifest has other fields than this format", where=path / MANIFEST)


def _check_inventory(path: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    present = {f.relative_to(path).as_posix() for f in _regular_files(path, CorruptArtifactError)} - {MANIFEST}
    for name in sorted(present - set(files)):
        raise CorruptArtifactError("a file is not in the inventory", where=path / name)
    for name, entry in files.items():
        file = path / name
        if name not in present:
            raise CorruptArtifactError("a file is missing", where=file)
        if file.stat().st_size != entry["bytes"]:
            raise CorruptArtifactError(
                "a file has another length", where=file, expected=entry["bytes"], got=file.stat().st_size
            )
        if file_sha256(file) != entry["sha256"]:
            raise CorruptArtifactError("a file was altered: its hash differs", where=file)


def _regular_files(folder: Path, error: type[ArtifactError]) -> Iterator[Path]:
    for item in folder.rglob("*"):
        mode = item.lstat().st_mode
        if stat.S_ISREG(mode):
            yield item
        elif not stat.S_ISDIR(mode):
            raise error("an artefact holds plain files only: no links, pipes or sockets", where=item)


def _check_names(names: Iterable[str], path: Path) -> None:
    for name in names:
        if name == MANIFEST:
            raise ArtifactError("the manifest is written by cardiobind", where=path / name, hint="choose another name")
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise ArtifactError("a file name is not UTF-8", where=path, got=ascii(name))


def _is_disk_full(error: OSError) -> bool:
    # ndarray.tofile, and so np.save, drops the errno: "1000 requested and 12 written"
    return error.errno in _DISK_FULL or (error.errno is None and "requested and" in str(error))


@contextmanager
def _disk_full_is_clear(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not _is_disk_full(error):
            raise
        raise ArtifactError(
            "disk full, over quota or file too large: nothing was written", where=path, got=error,
            hint="free space or choose another place, then start again",
        ) from error  # fmt: skip


@contextmanager
def _write_errors_are_clear(path: Path) -> Iterator[None]:
    try:
        with _disk_full_is_clear(path):
            yield
    except OSError as error:
        raise ArtifactError("the artefact could not be written", where=path, got=error) from error


def _exists(path: Path) -> ArtifactExistsError:
    return ArtifactExistsError("there is something at that path already", where=path, hint="choose another path")


def _rename(partial: Path, path: Path) -> None:
    try:
        partial.rename(path)
    except OSError as error:
        if os.path.lexists(path):
            raise _exists(path) from error
        if _is_disk_full(error):
            raise
        raise ArtifactError(
            f"the artefact could not be moved to its place ({error.strerror})", where=path,
            hint="use a local file system that renames folders atomically",
        ) from error  # fmt: skip


def _write_synced(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_tree(folder: Path) -> None:
    for item in folder.rglob("*"):
        if item.is_file():
            with item.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _sync_directory(item)
    _sync_directory(folder)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
