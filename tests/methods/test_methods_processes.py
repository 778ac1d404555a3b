"""Two processes, each with a part of the batch, have the loss and gradients of one process with all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("two_processes.py")
NAMES = (
    "simclr", "scarf", "align_joint", "align_all_pairs", "align_gram", "align_sigmoid", "align_symile",
    "align_joint+gaps", "align_all_pairs+more", "align_symile+chunks", "align_gram+moments",
    "align_to_table", "align_to_measured",
    "finetune", "finetune+times", "finetune+labels",
)  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    started = [
        subprocess.Popen([sys.executable, SCRIPT, str(rank), folder / "store", folder / str(rank), *NAMES])
        for rank in range(2)
    ]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    (alone, first), (_, second) = (torch.load(folder / str(rank)) for rank in range(2))
    return alone, first, second


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_are_one(name, found):
    alone, first, second = (run[name] for run in found)
    assert alone["loss"].item() > 0
    for key, expected in alone.items():
        for run in (first, second):
            torch.testing.assert_close(run[key], expected, rtol=1e-6, atol=1e-9, msg=key)
