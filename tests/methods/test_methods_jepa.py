"""JEPA: masks, teacher, what the student sees, and collapse."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cardiobind.errors import ConfigError
from cardiobind.methods import Jepa
from cardiobind.models import LeadViT, Teacher, build_encoder
from cardiobind.models.block_masks import TimeSplit, block_count, block_mask

SMALL = {"predictor_width": 16, "predictor_depth": 1, "predictor_heads": 2}
CPU = torch.device("cpu")


@settings(max_examples=40, deadline=None)
@given(columns=st.integers(3, 60), ratio=st.floats(0.05, 0.95), block=st.integers(1, 12))
def test_blocks_hide_the_same_number_in_runs_that_are_whole_blocks(columns: int, ratio: float, block: int) -> None:
    if block >= columns:
        with pytest.raises(ConfigError, match="mask"):
            block_count(columns, ratio, block)
        return
    count = block_count(columns, ratio, block)
    mask = block_mask(7, columns, count, block, CPU)
    assert mask.sum(dim=1).tolist() == [count * block] * 7
    assert 0 < count * block < columns
    assert abs(count * block - ratio * columns) <= max(block, columns - ratio * columns)
    for row in mask.tolist():
        runs = [len(list(group)) for hidden, group in itertools.groupby(row) if hidden]
        assert all(run >= block for run in runs)


def test_every_arrangement_of_blocks_is_as_likely() -> None:
    torch.manual_seed(0)
    mask = block_mask(30_000, 7, 2, 2, CPU)
    _, counts = torch.unique(mask, dim=0, return_counts=True)
    np.testing.assert_allclose(counts / 30_000, np.full(10, 0.1), atol=0.01)


def test_a_split_holds_each_place_once_and_hides_the_time_of_all_rows() -> None:
    mask = block_mask(4, 10, 2, 3, CPU)
    split = TimeSplit.of(mask, 3)
    everything = torch.cat([split.visible, split.hidden], dim=1).sort(dim=1).values
    assert torch.equal(everything, torch.arange(30).expand(4, -1))
    for i in range(4):
        assert all(bool(mask[i, place % 10]) for place in split.hidden[i].tolist())


def test_the_teacher_is_the_slow_moving_average() -> None:
    torch.manual_seed(0)
    student = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    teacher = Teacher(student, momentum=(0.5, 0.9), steps=4)
    expected = {name: p.detach().clone() for name, p in student.named_parameters()}
    x = torch.randn(5, 3)
    assert torch.equal(teacher.network(x), student(x))
    assert not list(teacher.parameters())
    for step in range(6):
        for parameter in student.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        momentum = 0.5 + 0.4 * min(step / 4, 1.0)
        expected = {n: momentum * expected[n] + (1 - momentum) * p.detach() for n, p in student.named_parameters()}
        teacher.follow(student)
    for name, buffer in teacher.network.named_buffers():
        torch.testing.assert_close(buffer, expected[name])
    assert set(teacher.state_dict()) == {"updates", *(f"network.{name}" for name in expected)}
    with pytest.raises(ConfigError, match="momentum"):
        Teacher(student, momentum=(0.5, 1.1), steps=4)


def test_the_loss_is_the_slow_one_and_hidden_samples_are_not_seen(method, cohort) -> None:
    m = method("jepa").eval()
    x = cohort(size=3, gaps=False).batch(range(3)).signals["ecg"]
    torch.manual_seed(2)
    loss, _ = m.predict(x)
    torch.manual_seed(2)
    split = TimeSplit.of(block_mask(3, 10, m.blocks, m.block, CPU), 1)
    patches, slow = m.encoder.patchify(x), []
    truth = m.teacher.network(x).detach().numpy()
    for i in range(3):
        patches_i, seen, hidden = patches[i : i + 1], split.visible[i : i + 1], split.hidden[i : i + 1]
        blind = patches_i.clone().index_fill(1, hidden[0], 99.0)
        guess = m.predictor(m.encoder.encode(m.encoder.embed(blind, seen)), seen, hidden, 10)[0].detach().numpy()
        for token, place in zip(guess, hidden[0].tolist(), strict=True):
            target = (truth[i, place] - truth[i, place].mean()) / np.sqrt(truth[i, place].var() + 1e-5)
            d = np.abs(token - target)
            slow.append(np.where(d < 1, d**2 / 2, d - 0.5).mean())
    assert loss.item() == pytest.approx(np.mean(slow), rel=1e-4)


def test_the_teacher_gets_no_gradient_and_starts_as_the_student(method, cohort) -> None:
    m = method("jepa")
    m.train()
    assert not m.teacher.training
    batch = cohort(size=4, gaps=False).batch(range(4))
    m.training_step(batch).loss.backward()
    student = dict(m.encoder.named_parameters())
    for name, buffer in m.teacher.network.named_buffers():
        assert buffer.grad is None
        assert name not in student or torch.equal(buffer, student[name])


def test_the_spread_shows_a_collapse(method, cohort) -> None:
    m = method("jepa").eval()
    batch = cohort(size=16, gaps=False).batch(range(16))
    healthy = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})["spread"]
    m.teacher.network.norm.weight.zero_()
    m.teacher.network.norm.bias.normal_()
    collapsed = m.summarise({k: v.detach().numpy() for k, v in m.evaluate_batch(batch).items()})["spread"]
    assert collapsed < 1e-3 < healthy


@pytest.mark.parametrize("rate_hz", [100.0, 250.0, 500.0])
def test_any_rate_and_any_leads(specs, rate_hz) -> None:
    spec = replace(specs["ecg"], shape=(12, round(2 * rate_hz)), rate_hz=rate_hz)
    m = Jepa(LeadViT(spec, width=16, depth=1, heads=2), **SMALL, crop_s=1.0, block_s=0.4, lead_dropout=1.0)
    assert (m.block, m.blocks) == (2, 2)
    x = torch.randn(4, 12, round(2 * rate_hz))
    loss, _ = m.predict(m.views.random("ecg", x))
    assert torch.isfinite(loss)


def test_what_does_not_fit_is_refused(encoder, specs) -> None:
    with pytest.raises(ConfigError, match="ViT"):
        Jepa(build_encoder("resnet1d", specs["ecg"]), **SMALL)
    with pytest.raises(ConfigError, match="mask"):
        Jepa(encoder("ecg"), **SMALL, block_s=2.0)
    with pytest.raises(ConfigError, match="range"):
        Jepa(encoder("ecg"), **SMALL, beta=0.0)


def test_the_watched_embedding_leaves_absent_leads_out(specs) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("lead_vit", specs["ecg"], patch_s=0.2, width=16, depth=1, heads=2)
    method = Jepa(encoder, **SMALL).eval()
    x = torch.randn(3, 12, 200)
    x[0, 4:] = 0.0
    x[2] = 0.0
    _, watched = method.predict(x)
    patches = encoder.patchify(x)
    tokens = method.teacher.network.encode(method.teacher.network.embed(patches), encoder.present(patches))
    each = tokens.reshape(3, 12, -1, 16)
    torch.testing.assert_close(watched[0], each[0, :4].flatten(0, 1).mean(dim=0))
    torch.testing.assert_close(watched[1], each[1].flatten(0, 1).mean(dim=0))
    assert bool(watched.isfinite().all())
