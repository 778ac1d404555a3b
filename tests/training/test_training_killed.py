"""Promise P2: a run that is killed at any time ends with the bits of the uninterrupted one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cardiobind import rng

SCRIPT = Path(__file__).with_name("killed_run.py")
KILLS = 10


def start(work: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(work)], env=environment, start_new_session=True)


def first_round(work: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until training writes its rows, so that kills fall into it and not into the imports."""
    history = work / "history.jsonl"
    before = history.stat().st_mtime_ns if history.exists() else 0
    while process.poll() is None and not (history.exists() and history.stat().st_mtime_ns > before):
        time.sleep(0.005)


@pytest.mark.slow
def test_ten_kills_change_no_bit(tmp_path):
    assert start(tmp_path / "whole").wait() == 0
    expected = (tmp_path / "whole" / "done").read_text()
    work = tmp_path / "killed"
    killed = 0
    for i in range(KILLS):
        process = start(work)
        first_round(work, process)
        time.sleep(rng.uniform(7, "kill", i) * 0.8)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed == KILLS, "the run ended before it was killed often enough; make it longer"
    assert start(work).wait() == 0
    assert (work / "done").read_text() == expected
    for name in ("history.jsonl", "history.csv"):
        assert (work / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((work / "checkpoints").glob(".*partial*"))
