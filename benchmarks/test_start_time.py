"""How long the command line takes to answer; run with ``pytest benchmarks``."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

LIMIT_S = 0.5


def test_help_answers_within_half_a_second() -> None:
    command = shutil.which("cardiobind", path=str(Path(sys.executable).parent))
    assert command is not None
    times_s = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([command, "--help"], capture_output=True, check=True)
        times_s.append(time.perf_counter() - begin)
    print(f"cardiobind --help: median {statistics.median(times_s):.2f} s")
    assert statistics.median(times_s) < LIMIT_S
