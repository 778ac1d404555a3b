"""A process that trains keeps the memory that a step frees, and gives it back when the training ends."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardiobind.training import memory

GNU = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library is told")
CHILD = """
import resource, sys
from contextlib import nullcontext
from pathlib import Path
import torch
from cardiobind.training.memory import freed_memory_kept

def held_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

with freed_memory_kept() if sys.argv[1] == "keep" else nullcontext() as kept:
    for repetition in range(6):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            held = [torch.ones(2**22), torch.ones(2**23)]
            del held
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    within = held_mb()
print(kept, faults, within, held_mb())
"""


def child(how: str, **variables: str) -> tuple[str, int, float, float]:
    """Return whether a process says that it keeps memory, its page faults, and the MB it holds within and after."""
    usual = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"))}
    command = [sys.executable, "-c", CHILD, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=usual | variables)
    kept, faults, within, after = done.stdout.split()
    return kept, int(faults), float(within), float(after)


def huge_pages() -> bool:
    file = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return file.exists() and "[always]" in file.read_text()


@GNU
@pytest.mark.skipif(huge_pages(), reason="with huge pages everywhere there are few faults to spare")
def test_what_was_freed_is_used_again_without_asking_the_system_and_given_back_at_the_end() -> None:
    kept, faults, within, after = child("keep")
    _, usual, _, _ = child("usual")
    assert kept == "True"
    assert faults < 100
    assert faults < usual / 10
    assert within - after > 40


@GNU
@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_set_stands(variable: str) -> None:
    value = {"MALLOC_ARENA_MAX": "2", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}[variable]
    assert child("keep", **{variable: value})[0] == "False"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.platform, "libc_ver", lambda: ("musl", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("a library was asked"))
    with memory.freed_memory_kept() as kept:
        assert not kept


@pytest.mark.parametrize(("device", "expected"), [("cpu", ["within", "after"]), ("cuda", [])])
def test_a_training_on_the_cpu_keeps_memory_while_it_lasts(run, toy, monkeypatch, device, expected):
    seen = []

    @contextmanager
    def watched():
        seen.append("within")
        yield True
        seen.append("after")

    fit = sys.modules["cardiobind.training.fit"]
    monkeypatch.setattr(fit, "freed_memory_kept", watched)
    monkeypatch.setattr(fit, "device_kind", lambda accelerator: device)
    run()
    assert seen == expected
