"""Zip archives from anywhere: refused before they are unpacked if their index is a threat, read in bounded pieces."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterable
from pathlib import PurePosixPath

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.base import masked

LARGEST_INDEX_BYTES = 16 << 20
BOMB_BYTES = 64 << 20
BOMB_RATIO = 150
CHUNK_BYTES = 1 << 20
_END, _END_BYTES = b"PK\x05\x06", 22
_END64 = b"PK\x06\x06"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_zip(path: str) -> zipfile.ZipFile:
    """Return an archive whose index is of sane size, whose members stay inside it and do not explode.

    Raises:
        RecordError: the index is over 16 MB, a member lies outside the archive's folder, or the members unpack to
            over 64 MB and 150 times the archive (a zip bomb).
        OSError, zipfile.BadZipFile: the file cannot be read or is no archive.
    """
    _refuse_large_index(path)
    archive = zipfile.ZipFile(path)
    try:
        _refuse_outside(archive.namelist(), path)
        _refuse_bomb(sum(info.file_size for info in archive.infolist()), os.path.getsize(path), path)
    except RecordError:
        archive.close()
        raise
    return archive


def read_stream(archive: zipfile.ZipFile, name: str, limit: int | None) -> bytes:
    """Return the bytes of a member, unpacked a megabyte at a time and never beyond the size in the index.

    Raises:
        RecordError: the member is encrypted, packed by another method than deflate, or a bomb by itself.
        zipfile.BadZipFile, OSError, zlib.error: it is damaged.
    """
    info = archive.NameToInfo[name]
    if info.flag_bits & 1:
        raise RecordError(
            reasons.UNSUPPORTED, "a member of the archive is encrypted", where=masked(name),
            hint="unpack it with its password and give the folder",
        )  # fmt: skip
    if info.compress_type not in _METHODS:
        raise RecordError(
            reasons.UNSUPPORTED, "a member of the archive is packed by an unusual method", where=masked(name),
            expected="stored or deflated", got=f"method {info.compress_type}",
        )  # fmt: skip
    _refuse_bomb(info.file_size, info.compress_size, name)
    wanted = info.file_size if limit is None else min(limit, info.file_size)
    pieces, length = [], 0
    with archive.open(name) as stream:
        while length < wanted and (piece := stream.read(min(CHUNK_BYTES, wanted - length))):
            pieces.append(piece)
            length += len(piece)
    if length < wanted:
        raise zipfile.BadZipFile
    return b"".join(pieces)


def _refuse_large_index(path: str) -> None:
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - (1 << 16) - 200, 0))
        tail = stream.read()
    at = len(tail) - _END_BYTES
    if tail[at : at + 4] != _END or tail[-2:] != b"\0\0":
        at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        return
    index_bytes = struct.unpack_from("<I", tail, at + 12)[0]
    zip64 = tail.rfind(_END64, 0, at)
    if zip64 >= 0 and zip64 + 48 <= len(tail):
        index_bytes = max(
            0 if index_bytes == 0xFFFFFFFF else index_bytes, struct.unpack_from("<Q", tail, zip64 + 40)[0]
        )
    if index_bytes > LARGEST_INDEX_BYTES:
        raise RecordError(
            reasons.UNSAFE_ARCHIVE, "the archive has too many members", where=masked(path),
            expected=f"an index of at most {LARGEST_INDEX_BYTES} bytes", got=index_bytes,
        )  # fmt: skip


def _refuse_outside(names: Iterable[str], path: str) -> None:
    outside = sum(_is_outside(name) for name in names)
    if outside:
        raise RecordError(
            reasons.UNSAFE_ARCHIVE, "members of the archive lie outside its folder", where=masked(path),
            expected="relative paths without '..'", got=f"{outside} such members",
        )  # fmt: skip


def _is_outside(name: str) -> bool:
    if not (name.startswith(("/", "\\")) or ".." in name or ":" in name[:2]):
        return False
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def _refuse_bomb(unpacked: int, packed: int, path: str) -> None:
    if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * packed:
        raise RecordError(
            reasons.UNSAFE_ARCHIVE, "the archive unpacks to far more than it holds", where=masked(path),
            expected=f"at most {BOMB_RATIO} times its size", got=f"{unpacked} bytes out of {packed}",
        )  # fmt: skip
