"""A run of several processes that is long enough to be stopped. Usage: ``python stopped_run.py WORK``."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from joint_run import train

if __name__ == "__main__":
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), "run", steps=100_000, checkpoint_interval_s=60.0)
