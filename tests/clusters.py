"""Starting the processes of a test as a launcher would, without the seconds that a launcher itself takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 240
_LAUNCHERS = ("RANK", "WORLD_SIZE", "LOCAL_", "NODE_RANK", "GROUP_RANK", "MASTER_", "TORCHELASTIC", "SLURM_", "PL_")


def clean_environment() -> dict[str, str]:
    """Return the environment without what launchers set, one thread a process, importing what this process imports."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_LAUNCHERS)}
    return kept | {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }


def free_port() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def torchrun_environment(rank: int, world: int, port: str) -> dict[str, str]:
    return {
        "TORCHELASTIC_RUN_ID": "test", "RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip


def slurm_environment(rank: int, world: int, port: str) -> dict[str, str]:
    return {
        "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "test", "SLURM_NTASKS": str(world),
        "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank),
        "SLURM_NODELIST": "127.0.0.1", "SLURM_NTASKS_PER_NODE": str(world), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }  # fmt: skip


def start_all(script: Path, *words: str, world: int, environment=torchrun_environment) -> list[subprocess.Popen[str]]:
    """Start a script in each of `world` processes."""
    port, base = free_port(), clean_environment()
    return [
        subprocess.Popen(
            [sys.executable, str(script), *words], env=base | environment(rank, world, port),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def finish(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for all; return what they printed, and fail with it if one failed."""
    try:
        printed = [process.communicate(timeout=TIMEOUT_S)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(printed)
    return printed
