"""The files of a form, written to a private folder as they come and refused as soon as they are too much."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from cardiobind.serve.refusals import Refused, refuse
from cardiobind.serve.settings import Settings

FILES = ("ecg", "cmr", "cmr_long_axis")
TEXTS = ("facts", "explain", "signals")
LONGEST_TEXT_BYTES = 1 << 18
LONGEST_NAME_BYTES = 200
_PREFIX = "file"
_UNSAFE = re.compile(r"[^\w.+-]")


class Storage:
    """How many bytes all requests hold, of files on disk and of bodies in memory."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.held_bytes = most_bytes, 0

    def take(self, size_bytes: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            Refused: with those of other requests they are too many.
        """
        if self.held_bytes + size_bytes > self.most_bytes:
            raise refuse(429, "busy", "the server holds as many bytes as it may", hint="try again in a few seconds")
        self.held_bytes += size_bytes


class Pieces:
    """A body that is being received into memory.

    Args:
        storage: shared by all requests; `close` gives back what the body took.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage, self._pieces, self._taken = storage, list[bytes](), 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Refused: with those of other requests they are too many.
        """
        self._storage.take(len(chunk))
        self._taken += len(chunk)
        self._pieces.append(chunk)

    def joined(self) -> bytes:
        """Return the body."""
        return b"".join(self._pieces)

    def close(self) -> None:
        """Give back the storage."""
        self._storage.held_bytes -= self._taken
        self._taken = 0


class Form:
    """A form that is being received.

    Args:
        content_type: of the request, with the boundary.
        folder: private to the request; files of a field go to the subfolder of its name.
        settings: limits.
        storage: shared by all requests; `close` gives back what the form took.

    Attributes:
        texts: text fields by name.

    Raises:
        Refused: it is no form.
    """

    def __init__(self, content_type: str, folder: Path, settings: Settings, storage: Storage) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise refuse(415, "not_a_form", "the body is no form", expected="multipart/form-data")
        self.folder, self.settings, self.storage = folder, settings, storage
        self.texts: dict[str, str] = {}
        self._files, self._total, self._taken, self._complete = 0, 0, 0, False
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value, self._field = b"", b"", ""
        self._file: BinaryIO | None = None
        self._size, self._text = 0, b""
        self._parser = MultipartParser(options[b"boundary"], {
            "on_part_begin": self._begin, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_end, "on_headers_finished": self._start, "on_part_data": self._data,
            "on_part_end": self._finish, "on_end": self._end,
        })  # fmt: skip

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            Refused: they break the form or a limit.
        """
        self._total += len(chunk)
        if self._total > self.settings.largest_request_bytes:
            raise too_large(self.settings.largest_request_bytes)
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _broken() from None

    def finish(self) -> None:
        """Check that the form has come to its end.

        Raises:
            Refused: it has not.
        """
        if not self._complete:
            raise _broken()

    def close(self) -> None:
        """Close what is open and give back the storage; the folder is the caller's to remove."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self.storage.held_bytes -= self._taken
        self._taken = 0

    def files(self, field: str) -> list[Path]:
        """Return the files of a field, by name."""
        place = self.folder / field
        return sorted(place.iterdir()) if place.is_dir() else []

    def _begin(self) -> None:
        self._headers, self._name, self._value = {}, b"", b""
        self._size, self._text, self._field = 0, b"", ""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def _start(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        if self._field in FILES:
            self._open(options.get(b"filename", b"").decode("utf-8", "replace"))
        elif self._field not in TEXTS or self._field in self.texts:
            raise refuse(422, "unknown_field", "the form has a field that is not known, or one twice",
                         expected=" | ".join((*FILES, *TEXTS)))  # fmt: skip

    def _open(self, name: str) -> None:
        self._files += 1
        if self._files > self.settings.most_files:
            raise refuse(413, "too_many_files", "too many files", expected=f"at most {self.settings.most_files}")
        place = self.folder / self._field
        place.mkdir(exist_ok=True)
        try:
            self._file = (place / safe_name(name)).open("xb")
        except FileExistsError:
            raise refuse(422, "duplicate_file", "two files of a field have the same name", where=self._field) from None

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._file is None:
            self._text += data[start:end]
            if self._size > LONGEST_TEXT_BYTES:
                raise refuse(413, "too_large", "a text field is too long", where=self._field,
                             expected=f"at most {LONGEST_TEXT_BYTES} bytes")  # fmt: skip
            return
        ecg = self._field == "ecg"
        largest = self.settings.largest_ecg_bytes if ecg else self.settings.largest_cine_bytes
        if self._size > largest:
            raise refuse(413, "too_large", "a file is too large", where=self._field,
                         expected=f"at most {largest} bytes")  # fmt: skip
        self.storage.take(end - start)
        self._taken += end - start
        self._file.write(data[start:end])

    def _finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            return
        try:
            self.texts[self._field] = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise refuse(400, "not_utf8", "a text field is not UTF-8", where=self._field) from None

    def _end(self) -> None:
        self._complete = True


def safe_name(name: str) -> str:
    """Return the last part of a file's name without what means anything to a file system, in at most 200 bytes.

    Readers go by suffixes, so the end is kept.
    """
    last = _UNSAFE.sub("_", PurePosixPath(name.replace("\\", "/")).name)
    last = last.encode()[-LONGEST_NAME_BYTES + len(_PREFIX) :].decode(errors="ignore")
    return f"{_PREFIX}{last}" if not last or last.startswith((".", "-")) else last


def flag(texts: Mapping[str, str], name: str, default: bool) -> bool:
    """Return a yes or no of a form.

    Raises:
        Refused: it is neither.
    """
    words = {"true": True, "1": True, "false": False, "0": False}
    given = texts.get(name)
    if given is None:
        return default
    if given not in words:
        raise refuse(422, "breaks_schema", "neither yes nor no", where=name, expected="true | false")
    return words[given]


def too_large(largest_bytes: int) -> Refused:
    """Return the refusal of a body that is larger than allowed."""
    return refuse(413, "too_large", "the request is too large", expected=f"at most {largest_bytes} bytes")


def _broken() -> Refused:
    return refuse(400, "broken_form", "the form is cut off or is none", expected="multipart/form-data")
