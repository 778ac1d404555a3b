"""The scripts that the documents give to SLURM are run as a whole, by a shell with the variables that SLURM sets."""

from __future__ import annotations

import re
from pathlib import Path

import made
import programs
import pytest

from documented import Block, blocks

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = [block for block in blocks(REPOSITORY) if block.body.lstrip().startswith("#!")]
OPTIONS = set(
    "job-name nodes ntasks-per-node gpus-per-node cpus-per-task time signal requeue array mem".split()  # of sbatch(1)
)
SMALLER = {
    "/shared/": "shared/", "training.data_workers=7": "training.data_workers=1 training.accelerator=cpu",
    "--workers 2": "--workers 1",
}  # fmt: skip


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_script_is_a_script(block: Block, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "job.sh").write_text(block.body.lstrip())
    assert programs.script("bash -n job.sh", tmp_path).code == 0
    asked = re.findall(r"^#SBATCH --([\w-]+)", block.body, flags=re.M)
    assert asked
    assert set(asked) <= OPTIONS


@pytest.mark.slow
@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_script_runs(block: Block, visited: Path) -> None:
    made.small_experiment(visited)
    text = block.body
    for old, new in SMALLER.items():
        text = text.replace(old, new)
    done = programs.script(text, visited, SLURM_ARRAY_TASK_ID="3")
    assert done.code == 0, (done.err or done.out)[-3000:]


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) == 2
