"""A whole experiment by two processes, with the commands of docs/howto/clusters.md as far as one machine allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cardiobind.artifact import verify
from cardiobind.pipeline.workspace import Stage, Workspace
from cardiobind.training import processes
from cardiobind.training.processes import Team
from clusters import EXPERIMENT, clean_environment, finish, free_port, slurm_environment

CARDIOBIND = Path(sys.executable).with_name("cardiobind")
ARMS = ("few-labels", "fine-tuned", "linear-probe")
MADE = {
    "cohort", "protocol", "division", "pretrain-ecg", "pretrain-tabular", "align", "evaluation",
    *(f"predictor-{arm}-100pct-seed0" for arm in ARMS),
}  # fmt: skip


def start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def launch(launcher: str, words: list[str]) -> list[str]:
    base, port = clean_environment(), free_port()
    if launcher == "torchrun":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return finish([start([*torchrun, str(CARDIOBIND), *words], base)])
    if launcher == "lightning":
        return finish([start([sys.executable, str(CARDIOBIND), *words, "training.devices=2"], base)])
    command = [sys.executable, str(CARDIOBIND), *words]
    return finish([start(command, base | slurm_environment(rank, 2, port)) for rank in range(2)])


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun", "lightning"])
def test_an_experiment_by_two_processes(launcher, tmp_path):
    experiment, out = tmp_path / "small.toml", tmp_path / "out"
    experiment.write_text(EXPERIMENT)
    words = ["run", str(experiment), "--out", str(out)]
    printed = "".join(launch(launcher, words))
    assert printed.count("report:") == 1
    assert (out / "report.html").is_file()
    for folder in out.glob("predictor-*"):
        verify(folder)
    stages = sorted(f.parent.name for f in out.glob("*/manifest.json"))
    assert {name.rsplit("-", 1)[0] for name in stages} == MADE
    assert len(stages) == len(MADE), "each is made once"
    again = start([sys.executable, str(CARDIOBIND), *words], clean_environment())
    assert "".join(finish([again])).count("done before") == len(MADE), "one process finds what two have made"
    assert sorted(f.parent.name for f in out.glob("*/manifest.json")) == stages


@pytest.fixture
def follower(monkeypatch):
    """This process as the second of two."""
    monkeypatch.setattr(processes._STATE, "team", Team(1, 2, 1, "torchrun"))


@pytest.mark.usefixtures("follower")
def test_what_a_follower_commits_is_forgotten(tmp_path):
    stage = Stage("a", "kind", tmp_path / "a", tmp_path / "work", {}, (), "")
    with stage.commit() as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    assert not stage.path.exists()


def test_the_leader_builds_while_it_is_alone(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(processes._STATE, "team", Team(0, 2, 1, "torchrun"))
    monkeypatch.setattr(Team, "tell", lambda self, value: value)

    def build(stage: Stage) -> None:
        seen.append(processes.current().world)
        with stage.commit() as folder:
            (folder / "file").write_text("x")

    found = Workspace(tmp_path).obtain("stage", "kind", build, config={}, rooms=("rng",))
    assert seen == [1]
    assert found.file("file").read_text() == "x"
