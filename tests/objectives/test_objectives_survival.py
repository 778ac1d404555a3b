"""Losses of time to event against sums written out, closed forms, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cardiobind.errors import ConfigError, InputError
from cardiobind.objectives.endpoints import Regression, Survival
from cardiobind.objectives.survival import (
    cox_loss,
    cumulative_baseline_hazard,
    discrete_time_loss,
    interval_bounds,
    risk_by_horizon,
)


def subjects(n=30, seed=0, levels=8):
    g = np.random.default_rng(seed)
    return g.normal(size=n), g.integers(1, levels, n).astype(float), (g.random(n) < 0.5).astype(float)


def slow_cox(eta, time, event, ties):
    """The partial likelihood, event time by event time."""
    total = 0.0
    for t in sorted(set(time[event == 1])):
        tied = [i for i in range(len(eta)) if time[i] == t and event[i] == 1]
        risk = sum(math.exp(eta[j]) for j in range(len(eta)) if time[j] >= t)
        own = sum(math.exp(eta[i]) for i in tied)
        for place, i in enumerate(tied):
            share = place / len(tied) if ties == "efron" else 0.0
            total -= eta[i] - math.log(risk - share * own)
    return total / event.sum()


def tensors(*arrays):
    return tuple(torch.tensor(a) for a in arrays)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("levels", [3, 1000])
def test_cox_equals_the_sum_over_event_times(ties, levels):
    eta, time, event = subjects(levels=levels)
    found = cox_loss(*tensors(eta, time, event), ties=ties).item()
    assert found == pytest.approx(slow_cox(eta, time, event, ties), rel=1e-10)


def test_the_two_forms_agree_without_ties_and_differ_with_them():
    eta, _, event = tensors(*subjects())
    distinct, tied = torch.arange(30.0), torch.arange(30) // 6
    assert cox_loss(eta, distinct, event).item() == pytest.approx(cox_loss(eta, distinct, event, ties="breslow").item())
    assert cox_loss(eta, tied, event).item() < cox_loss(eta, tied, event, ties="breslow").item()


def test_cox_of_two_subjects_has_a_closed_form():
    eta, time, event = torch.tensor([0.7, -0.2]), torch.tensor([1.0, 2.0]), torch.tensor([1.0, 0.0])
    assert cox_loss(eta, time, event).item() == pytest.approx(math.log1p(math.exp(-0.9)), rel=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_does_not_change_with_a_shift_an_order_or_a_unit_of_time(ties):
    eta, time, event = tensors(*subjects())
    loss = cox_loss(eta, time, event, ties=ties).item()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    assert cox_loss(eta + 5, time, event, ties=ties).item() == pytest.approx(loss)
    assert cox_loss(eta, 365.25 * time**2, event, ties=ties).item() == pytest.approx(loss)
    assert cox_loss(eta[order], time[order], event[order], ties=ties).item() == pytest.approx(loss)


def test_cox_without_events_or_with_one_subject_is_zero():
    for eta, event in (
        (torch.randn(5), torch.zeros(5)),
        (torch.randn(1), torch.ones(1)),
        (torch.randn(0), torch.ones(0)),
    ):
        eta.requires_grad_(True)
        loss = cox_loss(eta, torch.arange(float(len(eta))), event)
        loss.backward()
        assert loss.item() == 0.0
        assert (eta.grad == 0).all()


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_cox_gradients_are_finite_and_sum_to_zero(scale):
    eta, time, event = tensors(*subjects())
    eta = (scale * eta).requires_grad_(True)
    cox_loss(eta, time, event).backward()
    assert torch.isfinite(eta.grad).all()
    assert eta.grad.sum().item() == pytest.approx(0.0, abs=1e-9)
    assert torch.autograd.gradcheck(lambda x: cox_loss(x, time, event), (tensors(*subjects())[0].requires_grad_(True),))


def test_cox_is_computed_in_float32_of_half_precision():
    eta, time, event = tensors(*subjects())
    assert cox_loss(eta.bfloat16(), time, event).dtype == torch.float32


def slow_discrete(logits, time, event, bounds):
    total = 0.0
    for row, t, d in zip(logits, time, event, strict=True):
        start = 0.0
        for logit, end in zip(row, bounds, strict=True):
            hazard = 1 / (1 + math.exp(-logit))
            if d == 1 and start < t <= end:
                total -= math.log(hazard)
                break
            if (d == 1 and t <= start) or (d == 0 and t < end):
                break
            total -= math.log(1 - hazard)
            start = end
    return total / len(logits)


def test_discrete_time_equals_the_likelihood_interval_by_interval():
    _, time, event = subjects(n=60, levels=12)
    bounds = interval_bounds(time, event, 4)
    logits = np.random.default_rng(1).normal(size=(60, len(bounds)))
    found = discrete_time_loss(*tensors(logits, time, event), torch.tensor(bounds, dtype=torch.float64))
    assert found.item() == pytest.approx(slow_discrete(logits, time, event, bounds), rel=1e-10)


def test_discrete_time_at_the_ends_of_intervals():
    bounds, logits = torch.tensor([1.0, 2.0]), torch.zeros(1, 2)
    for time, event, factors in (
        (1.0, 1, 1),
        (1.0, 0, 1),
        (0.5, 0, 0),
        (2.0, 1, 2),
        (2.0, 0, 2),
        (9.0, 1, 2),
        (1.5, 0, 1),
    ):
        loss = discrete_time_loss(logits, torch.tensor([float(time)]), torch.tensor([float(event)]), bounds)
        assert loss.item() == pytest.approx(factors * math.log(2)), (time, event)
    assert discrete_time_loss(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0), bounds).item() == 0.0


def test_discrete_time_is_least_at_the_observed_hazards():
    time, event = torch.tensor([0.5, 0.5, 1.5, 1.5, 2.5]), torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0])
    best = torch.logit(torch.tensor([1 / 4, 2 / 3]))  # the one who is censored within the first interval does not count
    bounds = torch.tensor([1.0, 2.0])
    logits = best.repeat(5, 1).requires_grad_(True)
    discrete_time_loss(logits, time, event, bounds).backward()
    assert torch.allclose(logits.grad.sum(dim=0), torch.zeros(2), atol=1e-6)


def test_intervals_hold_equally_many_events():
    time, event = np.arange(1.0, 101.0), np.tile([1.0, 0.0], 50)
    bounds = interval_bounds(time, event, 5)
    counts = np.histogram(time[event == 1], [0, *bounds])[0]
    assert len(bounds) == 5
    assert np.ptp(counts) <= 1
    assert interval_bounds(np.array([3.0, 3.0]), np.ones(2), 4) == (3.0,)


def test_the_baseline_hazard_is_that_of_nelson_and_aalen_without_covariates():
    time, event = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 0.0, 1.0, 1.0])
    found = [cumulative_baseline_hazard(np.zeros(5), time, event, until) for until in (0.5, 1.0, 2.0, 9.0)]
    assert found == pytest.approx([0.0, 1 / 5, 1 / 5 + 1 / 4, 1 / 5 + 1 / 4 + 1 / 2 + 1])
    shifted = cumulative_baseline_hazard(np.full(5, 2.0), time, event, 9.0)
    assert shifted == pytest.approx(found[-1] * math.exp(-2))


def test_risk_by_the_horizon_multiplies_the_survival_of_intervals():
    logits, bounds = np.array([[0.0, 1.0, -2.0]]), np.array([1.0, 2.0, 4.0])
    hazard = 1 / (1 + np.exp(-logits[0]))
    assert risk_by_horizon(logits, bounds, 2.0)[0] == pytest.approx(1 - (1 - hazard[0]) * (1 - hazard[1]))
    assert risk_by_horizon(logits, bounds, 9.0)[0] == pytest.approx(1 - np.prod(1 - hazard))
    assert risk_by_horizon(logits, bounds, 3.0)[0] == pytest.approx(
        1 - (1 - hazard[0]) * (1 - hazard[1]) * (1 - hazard[2]) ** 0.5
    )


def test_the_baseline_is_that_of_training_where_validation_has_no_event_by_the_horizon():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=60)
    late = np.stack([np.full(60, 3000.0), np.ones(60)], axis=1)
    early = np.stack([rng.uniform(100, 3000, 60), np.ones(60)], axis=1)
    objective = Survival(horizon_years=5.0)
    settled = objective.settled(lambda: (logits, late), lambda: (logits, early))
    assert (settled.predicted(logits) > 0).all()
    with pytest.raises(InputError, match="before the horizon"):
        objective.settled(lambda: (logits, late), lambda: (logits, late))


def test_one_confident_sample_does_not_end_a_training_by_the_gaussian_loss():
    logits = torch.tensor([[0.0, -100.0], [0.0, 200.0]], requires_grad=True)
    loss = Regression(0.0, 1.0, loss="gaussian").loss(logits, torch.tensor([1.0, 0.0]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Regression(float("nan"), 1.0), lambda: Regression(0.0, 0.0), lambda: Survival(loss="discrete_time"),
        lambda: Survival(ties="none"), lambda: Survival(horizon_years=0.0),
    ],
)  # fmt: skip
def test_objectives_that_make_no_sense_are_refused(make):
    with pytest.raises(ConfigError):
        make()


def test_a_risk_needs_a_settled_baseline():
    with pytest.raises(InputError, match="not settled"):
        Survival().predicted(np.zeros(3))


def test_huber_is_square_near_and_linear_far():
    loss = Regression(0.0, 1.0, loss="huber", delta=0.5).loss(torch.tensor([0.2, 3.0]), torch.zeros(2))
    assert loss.item() == pytest.approx((0.5 * 0.2**2 + 0.5 * (3.0 - 0.25)) / 2)
