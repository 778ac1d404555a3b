"""Sizes and times of the files that a recording is read from: a change of one is a change of the recording."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from cardiobind.formats.location import SEPARATOR, files_below

LARGEST_HEADER_BYTES = 1 << 20


def stamps(location: str) -> list[Any]:
    """Return size and time of each file of a recording: a file, an archive, all below a folder, a header's samples."""
    file = location.partition(SEPARATOR)[0]
    if os.path.isdir(file):
        return [[below.relative_to(file).as_posix(), *_stamp(below)] for below in files_below(Path(file))]
    header = re.sub(r"\.(hea|dat|mat)$", "", file) + ".hea"
    if SEPARATOR in location or not os.path.isfile(header):
        return [_stamp(file)]
    return [_stamp(one) for one in (Path(file), Path(header), *_samples(header))]


def _samples(header: str) -> list[Path]:
    """Return the files that the lines of a WFDB header name, each once."""
    try:
        with open(header, "rb") as stream:
            lines = stream.read(LARGEST_HEADER_BYTES).decode("latin-1").splitlines()
    except OSError:  # its reader says so, of this subject alone
        return []
    words = [line.split(maxsplit=1)[0] for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [Path(header).parent / word for word in dict.fromkeys(words[1:])]


def _stamp(file: Path | str) -> list[int]:
    try:
        found = os.stat(file)
    except (OSError, ValueError):  # absent, or a header's word that cannot be a file's name
        return []
    return [found.st_size, found.st_mtime_ns]
