"""What a format is, and what all readers share: two registries, masked names, the translation of foreign errors."""

from __future__ import annotations

import decimal
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Generic, TypeVar

from cardiobind.errors import RecordError
from cardiobind.formats import reasons
from cardiobind.modalities.records import CineRecord, EcgRecord
from cardiobind.registry import Registry

R = TypeVar("R")

DECODING_ERRORS: tuple[type[Exception], ...] = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError, RuntimeError, AssertionError,
    SyntaxError, MemoryError, BufferError, struct.error, zlib.error, decimal.DecimalException, zipfile.BadZipFile,
)  # fmt: skip
"""What libraries raise on damaged bytes."""


@dataclass(frozen=True)
class Format(Generic[R]):
    """One file format.

    Attributes:
        name: as errors and documentation name it.
        recognises: tells from name and first bytes whether `read` is worth trying; never raises.
        read: returns the record of a location or raises RecordError, never another exception; a cine's also takes
            ``view``.
    """

    name: str
    recognises: Callable[[str], bool]
    read: Callable[..., R]


ECG_FORMATS: Registry[Format[EcgRecord]] = Registry("ECG format")
CINE_FORMATS: Registry[Format[CineRecord]] = Registry("cine format")


def read_with(formats: Registry[Format[R]], location: str, **options: str) -> R:
    """Return the record that the first format which recognises `location` reads.

    Raises:
        RecordError: no format recognises it, or the bytes are wrong.
    """
    for name in formats:
        if formats.get(name).recognises(location):
            return formats.get(name).read(location, **options)
    path = location.partition("::")[0]
    if not os.path.exists(path):
        raise RecordError(reasons.MISSING_FILE, "the file is not there", where=masked(location))
    if os.path.isdir(path):
        raise RecordError(
            reasons.NOT_RECOGNISED, "a folder where a single recording is read", where=masked(location),
            expected=" | ".join(formats), hint="give the file; `cardiobind inspect` tells what a folder holds",
        )  # fmt: skip
    raise RecordError(
        reasons.NOT_RECOGNISED, f"no {formats.kind} recognises the file", where=masked(location),
        expected=" | ".join(formats),
    )  # fmt: skip


def masked(location: str | PurePath) -> str:
    """Return the last part of a path with everything that may identify a participant replaced by ``*``.

    Example:
        >>> masked("/data/90/9000001_20205_2_0.xml")
        '*_20205_2_0.xml'
    """
    name = PurePath(location).name
    return re.sub(r"^\d{4,}|\d{6,}", "*", name)


@contextmanager
def decoding(reason: str, what: str, location: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what a library raises on damaged bytes into a RecordError whose text is ours, and silence its warnings.

    Args:
        reason: see `cardiobind.formats.reasons`.
        what: sentence of the error.
        location: of the file; its identifiers are masked.
        also: exceptions of the library that derive from Exception alone.

    Raises:
        RecordError: in place of the foreign exception, whose text may quote names or identifiers.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError as error:
        raise file_error(error, location) from None
    except (*DECODING_ERRORS, *also) as error:
        raise RecordError(reason, what, where=masked(location), got=type(error).__name__) from None


def file_error(error: OSError, location: str) -> RecordError:
    """Return the RecordError for a file that cannot be opened or read, without the path that the system quotes."""
    if isinstance(error, FileNotFoundError):
        return RecordError(reasons.MISSING_FILE, "the file is not there", where=masked(location))
    return RecordError(reasons.UNREADABLE, "the file cannot be read", where=masked(location), got=error.strerror)
