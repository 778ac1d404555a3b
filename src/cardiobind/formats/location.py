"""Places of raw files: a path, or a member of a zip archive, ``/path/records100.zip::records100/00000/00001_lr``."""

from __future__ import annotations

import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.formats.archive import open_zip, read_stream
from cardiobind.formats.base import decoding, masked

SEPARATOR = "::"
OPEN_ARCHIVES = 4
LARGEST_FILE_BYTES = 256 << 20

_archives: OrderedDict[tuple[int, str, int, int], zipfile.ZipFile] = OrderedDict()


def split_location(location: str) -> tuple[str | None, str]:
    """Return (archive or None, path); the path is inside the archive if there is one."""
    archive, separator, member = location.partition(SEPARATOR)
    return (archive, member) if separator else (None, location)


def beside(location: str, name: str) -> str:
    """Return the location of a file in the same folder, or in the same folder of the same archive."""
    archive, path = split_location(location)
    if archive is None:
        return str(Path(path).parent / name)
    return f"{archive}{SEPARATOR}{(PurePosixPath(path).parent / name).as_posix()}"


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in a fixed order, those of linked folders too; each folder on disk once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(folders)
        if real not in seen:
            seen.add(real)
            yield from (Path(place, name) for name in sorted(names))


def location_exists(location: str) -> bool:
    """Tell whether there is a file, or a member of a readable archive, at `location`."""
    archive, path = split_location(location)
    if archive is None:
        return Path(path).is_file()
    try:
        return path in open_archive(archive).NameToInfo
    except RecordError:
        return False


def read_bytes(location: str, limit: int | None = None) -> bytes:
    """Return the bytes of a file or of an archive's member, at most `limit` of them.

    Raises:
        RecordError: the file is missing, empty, too large or damaged.
    """
    archive, path = split_location(location)
    if archive is None:
        data = _read_file(path, limit)
    else:
        data = read_member(open_archive(archive), path, limit)
    if not data:
        raise RecordError(reasons.EMPTY, "the file has no bytes", where=masked(path))
    return data


def open_archive(path: str) -> zipfile.ZipFile:
    """Return an open archive; the last few stay open in this process, as reading their index is slow.

    Raises:
        RecordError: missing, not a zip archive, or one that `open_zip` refuses.
    """
    with decoding(reasons.BAD_ZIP, "the archive is damaged", path):
        status = os.stat(path)
        key = (os.getpid(), path, status.st_mtime_ns, status.st_size)
        if key not in _archives:
            _archives[key] = open_zip(path)
        _archives.move_to_end(key)
    while len(_archives) > OPEN_ARCHIVES:
        _archives.popitem(last=False)
    return _archives[key]


def close_archives() -> None:
    """Close the archives that stay open in this process: an open file is not removed from disk by removing its name."""
    while _archives:
        _archives.popitem()[1].close()


def read_member(archive: zipfile.ZipFile, name: str, limit: int | None = None) -> bytes:
    """Return the bytes of one member of an archive.

    Raises:
        RecordError: no such member, larger than 256 MB when unpacked, encrypted, or damaged.
    """
    if name not in archive.NameToInfo:
        raise RecordError(reasons.MISSING_FILE, "the archive has no such member", where=masked(name))
    with decoding(reasons.BAD_ZIP, "a member of the archive is damaged", name):
        _refuse_large(archive.NameToInfo[name].file_size, name)
        return read_stream(archive, name, limit)


class CountedBytes(io.BytesIO):
    """Bytes of a file that may be read so often: a parser that asks more often has met a header made to stop it.

    Args:
        data: the file.
        name: of the file; its identifiers are masked.
        most_reads: a parser takes about two an element.

    Raises:
        RecordError: at the read that is one too many.
    """

    def __init__(self, data: bytes, name: str, most_reads: int) -> None:
        super().__init__(data)
        self.name, self.most_reads, self.reads = masked(name), most_reads, 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        self.reads += 1
        if self.reads > self.most_reads:
            raise RecordError(reasons.TOO_LARGE, "a header of absurdly many elements", where=self.name)
        return super().read(size)


def _read_file(path: str, limit: int | None) -> bytes:
    with decoding(reasons.UNREADABLE, "the file cannot be read", path), open(path, "rb") as stream:
        if limit is None:
            _refuse_large(os.fstat(stream.fileno()).st_size, path)
        return stream.read(-1 if limit is None else limit)


def _refuse_large(size_bytes: int, name: str) -> None:
    if size_bytes > LARGEST_FILE_BYTES:
        raise RecordError(
            reasons.TOO_LARGE, "the file is too large to be a recording", where=masked(name),
            expected=f"at most {LARGEST_FILE_BYTES} bytes", got=size_bytes,
        )  # fmt: skip
