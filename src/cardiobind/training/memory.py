"""How a process that trains on CPUs holds its memory."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_WHOLE_HEAP = 2**31 - 1
_STEP_BYTES = 64 * 2**20


def keep_freed_memory() -> bool:
    """Let this process keep what a training step frees for the next step; return whether the system can do that.

    By default the C library gives large blocks back and asks for them again, and the system clears each page anew: a
    tenth of a step of a ResNet50 (docs/howto/speed.md). No number changes; the process holds its largest need until it
    ends. Only the GNU C library is told so; elsewhere nothing is done.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    tell = ctypes.CDLL(None).mallopt
    settings = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _WHOLE_HEAP, _TOP_PAD: _STEP_BYTES}
    return all(tell(name, value) == 1 for name, value in settings.items())
