"""A small experiment, and starting the processes of a test as a launcher would, without the seconds that one takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 240
EXPERIMENT = """
name = "small"
title = "Small"
label_fractions = [1.0]

[source]
kind = "simulated"
options = { subjects = 60, mi_prevalence = 0.4, ecg_fraction = 0.9, cmr_fraction = 0.0 }

[protocol]
task = "mi"
fractions = [0.5, 0.25, 0.25]

[training]
precision = "32-true"

[ecg]
rate_hz = 100

[ecg.encoder]
kind = "vit"
options = { patch = [12, 50], width = 16, depth = 1, heads = 2 }

[ecg.pretrain.method]
kind = "masked"
options = { decoder_width = 16, decoder_depth = 1, decoder_heads = 2 }

[ecg.pretrain.training]
epochs = 2
batch_size = 8

[tabular.encoder]
kind = "tabular_mlp"
options = { width = 16 }

[tabular.pretrain.method]
kind = "scarf"

[tabular.pretrain.training]
epochs = 2
batch_size = 8
alone = true

[align.method]
kind = "align_all_pairs"

[align.training]
epochs = 2
batch_size = 8

[finetune]
epochs = 3
batch_size = 8

[[arms]]
name = "fine-tuned"
start = "aligned"

[[arms]]
name = "linear probe"
kind = "linear_probe"
start = "pretrained"

[[arms]]
name = "few labels"
kind = "semi_supervised"

[evaluation]
inputs = ["ecg"]
resamples = 100
"""
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
