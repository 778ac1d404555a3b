"""A teacher of a network with running statistics and weights in dictionaries."""

from __future__ import annotations

import torch
from torch import nn

from cardiobind.models import MeanPool, Teacher, Tower, build_encoder, build_fusion
from cardiobind.testing import example_batch, example_spec


def test_running_statistics_are_those_of_the_student() -> None:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher = Teacher(student, momentum=(0.9, 0.9), steps=1)
    for _ in range(3):
        student(torch.randn(8, 3) + 5.0)
        teacher.follow(student)
    norm = teacher.network[1]
    assert torch.equal(norm.running_mean, student[1].running_mean)
    assert torch.equal(norm.running_var, student[1].running_var)
    assert int(norm.num_batches_tracked) == 3


def test_a_fusion_can_be_taught_by_its_average() -> None:
    torch.manual_seed(0)
    tower = Tower(build_encoder("tabular_mlp", example_spec("tabular"), width=8), MeanPool())
    present = {"tabular": torch.ones(5, dtype=torch.bool)}
    signals = {"tabular": example_batch(example_spec("tabular"), 5)}
    for fusion in ("late", "token", "dropout"):
        student = build_fusion({"tabular": tower}, fusion=fusion)
        teacher = Teacher(student, momentum=(0.0, 0.5), steps=2)
        said = teacher.network(signals, present)
        torch.testing.assert_close(said, student.eval()(signals, present))
        with torch.no_grad():
            student.head[-1].bias += 1.0
        torch.testing.assert_close(teacher.network(signals, present), said)
        teacher.follow(student)
        torch.testing.assert_close(teacher.network(signals, present), student(signals, present))
        assert teacher.state_dict().keys() == {"updates", *(f"network.{name}" for name in student.state_dict())}
        student.train()
