"""How a process that trains on CPUs holds its memory."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_NEVER = -1
_STEP_BYTES = 64 * 2**20
_OF_THE_USER = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Within the block keep what a training step frees for the next step; afterwards give it back to the system.

    By default the C library gives large blocks back and asks for them again, and the system clears each page anew: a
    tenth of a step of a ResNet50 (docs/howto/speed.md). No number changes. Only the GNU C library is told so, and not
    where the user has set its variables (``MALLOC_...``, ``GLIBC_TUNABLES``) or another allocator (``LD_PRELOAD``).

    Yields:
        Whether memory is kept.

    Source: mallopt(3), malloc_trim(3).
    """
    chosen = any(name.startswith(_OF_THE_USER) for name in os.environ)
    if chosen or platform.libc_ver()[0] != "glibc":
        yield False
        return
    library = ctypes.CDLL(None)
    for name, value in {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: _STEP_BYTES}.items():
        library.mallopt(name, value)
    try:
        yield True
    finally:
        library.malloc_trim(0)
