"""Several processes train as one does: same loss, same gradients, same order, whoever wrote the checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from joint_methods import exact_method
from joint_methods import train as train_method
from joint_run import BATCH, SUBJECTS, Cut, train
from torch import nn

from cardiobind.errors import ConfigError, TrainingError
from cardiobind.methods import METHODS
from cardiobind.training import TrainingSettings, batch_norm, processes
from cardiobind.training.processes import Team, launched
from clusters import clean_environment, finish, slurm_environment, start_all, torchrun_environment

SCRIPT = Path(__file__).with_name("joint_run.py")
METHODS_SCRIPT = Path(__file__).with_name("joint_methods.py")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same runs by one process and by two."""
    work = tmp_path_factory.mktemp("joint")
    with suppress(Cut):
        train(work, "begun_by_one", cut_after=7)
    assert finish(start_all(SCRIPT, str(work), world=2)) == ["", ""]
    found = torch.load(work / "found.pt", weights_only=False)
    resumed = train(work, "begun_by_two")
    return train(work, "whole_by_one"), found["leader"], found["everybody"], resumed


def largest_difference(a, b):
    return max(float((x.float() - y.float()).abs().max()) for x, y in zip(a, b, strict=True))


def test_two_processes_give_loss_and_gradients_of_the_joint_batch(both):
    one, two = both[0], both[1]["whole"]
    assert len(one["gradients"]) == 13
    for step, (alone, joint) in enumerate(zip(one["gradients"], two["gradients"], strict=True)):
        scale = max(float(g.abs().max()) for g in alone)
        assert largest_difference(alone, joint) < (1e-6 if step == 0 else 1e-5) * scale  # Adam makes rounding larger
    for alone, joint in zip(one["rows"], two["rows"], strict=True):
        for name, value in alone.items():
            assert joint[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_all_processes_end_with_the_same_bits(both):
    for runs in both[2].values():
        assert runs[0]["digest"] == runs[1]["digest"]
        assert runs[0]["rows"] == runs[1]["rows"]


def test_the_processes_share_each_batch_in_the_order_of_one(both):
    alone = [rows for rows in both[0]["seen"] if len(rows) == BATCH]
    shares = [[rows for rows in run["seen"] if len(rows) == BATCH // 2] for run in both[2]["whole"]]
    joint = [first + second for first, second in zip(*shares, strict=True)]
    assert joint == alone
    assert sorted(i for batch in joint[: SUBJECTS // BATCH] for i in batch) == list(range(SUBJECTS))


def test_validation_is_put_together_in_the_order_of_the_subjects(both):
    assert all(row["validation_ordered"] == 1.0 for row in both[1]["whole"]["rows"])


def test_processes_draw_different_numbers(both):
    first, second = (run["drawn"] for run in both[2]["noisy"])
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_two_go_on_from_the_checkpoint_of_one(both):
    one, resumed = both[0], both[1]["resumed"]
    assert len(resumed["gradients"]) == 8
    shares = [run["seen"] for run in both[2]["resumed"]]
    joint = [a + b for a, b in zip(*shares, strict=True) if len(a) == BATCH // 2]
    assert joint == one["seen"][5:]
    assert largest_difference(one["weights"].values(), resumed["weights"].values()) < 1e-5


def test_one_goes_on_from_the_checkpoint_of_two(both):
    one, resumed = both[0], both[3]
    assert resumed["seen"] == one["seen"][5:]
    assert [row["step"] for row in resumed["rows"]] == [5, 10, 13]
    assert largest_difference(one["weights"].values(), resumed["weights"].values()) < 1e-5


class TestLaunchers:
    def test_nobody(self):
        assert launched({}) == Team() == processes.current()

    def test_torchrun(self):
        environment = torchrun_environment(5, 8, "1") | {"LOCAL_WORLD_SIZE": "4"}
        assert launched(environment) == Team(5, 8, 2, "torchrun")
        assert launched(environment).devices == 4

    def test_one_process_of_torchrun_is_alone(self):
        assert launched(torchrun_environment(0, 1, "1")) == Team()

    def test_srun(self):
        environment = slurm_environment(3, 4, "1") | {"SLURM_STEP_NUM_NODES": "2"}
        assert launched(environment) == Team(3, 4, 2, "slurm")

    def test_sbatch_without_srun_is_one_process(self):
        environment = slurm_environment(0, 4, "1")
        del environment["SLURM_STEP_ID"]
        assert launched(environment) == Team()

    def test_torchrun_within_srun_counts(self):
        environment = slurm_environment(0, 1, "1") | torchrun_environment(1, 2, "1")
        assert launched(environment).launcher == "torchrun"

    def test_lightning(self):
        environment = {"LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4"}
        assert launched(environment, nodes=2) == Team(3, 4, 2, "lightning")

    def test_another_number_than_asked_for_is_refused(self, monkeypatch):
        monkeypatch.setattr(processes._STATE, "team", Team(0, 4, 1, "torchrun"))
        with pytest.raises(ConfigError, match="another number of processes"):
            processes.join(devices=2)
        assert processes.join().world == 4
        assert processes.join(devices=1).world == 1

    def test_processes_that_do_not_find_one_another_say_so(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise RuntimeError("connection refused")

        monkeypatch.setattr(os, "environ", torchrun_environment(0, 2, "1"))
        monkeypatch.setattr(processes.dist, "init_process_group", refuse)
        with pytest.raises(TrainingError, match="do not find one another"):
            processes.join()


def test_what_the_leader_does_sees_a_team_of_one(monkeypatch):
    monkeypatch.setattr(processes._STATE, "team", Team(0, 2, 1, "torchrun"))
    with processes._alone():
        assert processes.current() == Team()
        assert processes.join() == Team()
    assert processes.current().world == 2


class Unsendable(Exception):
    """Holds what no pickle carries, also where dask's tblib has taught pickle to carry any exception."""

    def __init__(self):
        super().__init__(lambda: None)

    def __str__(self):
        return "cannot travel"


class TestAnErrorOfTheLeader:
    @pytest.fixture
    def told(self, monkeypatch):
        """Two played processes: what the leader tells is kept."""
        heard = []
        monkeypatch.setattr(Team, "tell", lambda self, value: heard.append(value) or heard[0])
        return heard

    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(143), KeyboardInterrupt(), TrainingError("no")])
    def test_is_raised_by_all(self, told, error):
        def fail():
            raise error

        for rank in range(2):
            with pytest.raises(type(error)) as raised:
                Team(rank, 2, 1, "torchrun").by_leader(fail)
            assert str(raised.value) == str(error)

    def test_that_cannot_be_sent_is_told_by_its_words(self, told):
        def fail():
            raise Unsendable

        with pytest.raises(Unsendable):
            Team(0, 2, 1, "torchrun").by_leader(fail)
        with pytest.raises(TrainingError, match="Unsendable: cannot travel"):
            Team(1, 2, 1, "torchrun").by_leader(fail)

    def test_that_has_ended_is_said(self, monkeypatch):
        def closed(self, value):
            raise RuntimeError("Connection closed by peer")

        monkeypatch.setattr(Team, "tell", closed)
        with pytest.raises(TrainingError, match="another process has ended"):
            Team(1, 2, 1, "torchrun").by_leader(lambda: None)
        with pytest.raises(SystemExit):
            Team(0, 2, 1, "torchrun").by_leader(lambda: sys.exit(143))


@pytest.mark.parametrize(
    ("norm", "shape"), [(nn.BatchNorm1d, ()), (nn.BatchNorm2d, (4, 3)), (nn.BatchNorm3d, (2, 2, 2))]
)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_joint_batch_norm_of_one_process_is_that_of_torch(monkeypatch, norm, shape, momentum):
    monkeypatch.setattr(batch_norm.dist, "all_reduce", lambda x: None)
    ours, theirs = norm(6, momentum=momentum), norm(6, momentum=momentum)
    for _ in range(3):
        x = 3 * torch.randn(5, 6, *shape) + 1
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        with batch_norm.joint_batch_norm(ours, joint=True):
            y = ours(a)
        expected = theirs(b)
        weight = torch.randn_like(y)
        (y * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-5)
    assert type(ours) is norm
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)


def test_a_frozen_batch_norm_asks_nobody(monkeypatch):
    monkeypatch.setattr(batch_norm.dist, "all_reduce", lambda x: pytest.fail("asked"))
    norm = nn.BatchNorm1d(3).eval()
    x = torch.randn(4, 3)
    with batch_norm.joint_batch_norm(norm, joint=True):
        torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["slurm", "torchrun", "lightning"])
def test_every_launcher(tmp_path, launcher):
    with suppress(Cut):
        train(tmp_path, "begun_by_one", cut_after=7)
    words = ["--devices", "2"] if launcher == "lightning" else []
    if launcher == "slurm":
        finish(start_all(SCRIPT, str(tmp_path), world=2, environment=slurm_environment))
    elif launcher == "torchrun":
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        subprocess.run([*command, str(SCRIPT), str(tmp_path)], env=clean_environment(), check=True, timeout=240)
    else:
        finish(start_all(SCRIPT, str(tmp_path), *words, world=1, environment=lambda *_: {}))
    found = torch.load(tmp_path / "found.pt", weights_only=False)
    assert (
        largest_difference(train(tmp_path, "one")["weights"].values(), found["leader"]["whole"]["weights"].values())
        < 1e-5
    )
    teams = [json.loads((tmp_path / f"team-{rank}.json").read_text()) for rank in range(2)]
    assert teams == [[0, 2, launcher], [1, 2, launcher]]


def test_settings_name_the_field():
    for field in ("devices", "nodes"):
        with pytest.raises(ConfigError, match=field):
            TrainingSettings(steps=1, **{field: 0})


@pytest.mark.slow
def test_every_method_by_two_processes(tmp_path):
    """None waits for ever, both end with the same bits; without randomness the step is that of one process."""
    finish(start_all(METHODS_SCRIPT, str(tmp_path / "two"), world=2))
    found = torch.load(tmp_path / "two" / "found.pt", weights_only=False)
    assert found["everybody"][0] == found["everybody"][1]
    assert set(found["everybody"][0]) == set(METHODS.names())
    for name, two in found["exact"].items():
        method = exact_method(name)
        one = train_method(name, method, tmp_path / "one", method.modalities)
        assert two["rows"][0]["train_loss"] == pytest.approx(one["rows"][0]["train_loss"], rel=1e-6), name
        alone, joint = ([g for g in run["gradients"][0] if g is not None] for run in (one, two))
        scale = max(float(g.abs().max()) for g in alone)
        assert max(float((a - b).abs().max()) for a, b in zip(alone, joint, strict=True)) < 1e-9 * scale, name
