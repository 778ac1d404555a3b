"""A process that trains keeps the memory that a step frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from cardiobind.training.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for repetition in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        held = [torch.ones(2**22), torch.ones(2**23)]
        del held
    found = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(found)
"""


def faults(how: str) -> int:
    """Return the pages that the system had to give to a process for blocks of memory that it had freed before."""
    return int(subprocess.run([sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told")
def test_what_was_freed_is_used_again_without_asking_the_system() -> None:
    kept, usual = faults("keep"), faults("usual")
    assert kept < 100
    assert kept < usual / 10


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from cardiobind.training import memory

    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("musl", ""))
    assert not memory.keep_freed_memory()
