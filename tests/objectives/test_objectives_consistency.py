"""Agreement with a teacher against loops, closed forms and the loss of labels drawn from its belief."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives import class_consistency, value_consistency


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_classes_are_the_slow_ones(threshold: float) -> None:
    torch.manual_seed(0)
    student, teacher, weights = torch.randn(7, 2), 2 * torch.randn(7, 2), (30.0, 0.5)
    expected, sure = [], []
    for k, w in enumerate(weights):
        above = below = 0.0
        for s, t in zip(student[:, k].tolist(), teacher[:, k].tolist(), strict=True):
            q = sigmoid(t) / w / (sigmoid(t) / w + 1 - sigmoid(t))
            sure.append(max(sigmoid(t), 1 - sigmoid(t)) >= threshold)
            above += sure[-1] * (-w * q * math.log(sigmoid(s)) - (1 - q) * math.log(1 - sigmoid(s)))
            below += w * q + 1 - q
        expected.append(above / below)
    loss, counted = class_consistency(student, teacher, weights, threshold)
    assert float(loss) == pytest.approx(sum(expected) / 2, rel=1e-5)
    assert float(counted) == pytest.approx(sum(sure) / 14)


def test_it_is_the_weighted_loss_of_labels_drawn_from_the_belief() -> None:
    """The supervised loss over many draws of labels, positives weighing w, comes to the same."""
    torch.manual_seed(0)
    student, teacher, w = torch.randn(4, 1), torch.randn(4, 1), 9.0
    belief = torch.sigmoid(teacher - math.log(w)).expand(4, 200_000)
    drawn = torch.bernoulli(belief)
    weight = torch.where(drawn > 0.5, w, 1.0)
    losses = F.binary_cross_entropy_with_logits(student.expand_as(drawn), drawn, weight, reduction="none")
    expected = losses.sum() / weight.sum()
    assert float(class_consistency(student, teacher, (w,)).loss) == pytest.approx(float(expected), rel=0.01)


def test_it_is_least_where_both_agree() -> None:
    teacher = torch.tensor([[-3.0], [0.2], [4.0]])
    student = teacher.clone().requires_grad_()
    class_consistency(student, teacher, (50.0,)).loss.backward()
    torch.testing.assert_close(student.grad, torch.zeros(3, 1), atol=1e-6, rtol=0)


def test_a_rare_class_stays_rare() -> None:
    """A balanced logit of 1 is evidence of e to 1; of one in a hundred it makes fewer than three in a hundred."""
    teacher = torch.ones(1, 1)
    student = torch.zeros(1, 1, requires_grad=True)
    class_consistency(student, teacher, (99.0,)).loss.backward()
    q = sigmoid(1 - math.log(99))
    assert q < 0.03
    assert float(student.grad) == pytest.approx(0.5 - 99 * q / (99 * q + 1 - q), rel=1e-4)


def test_what_is_not_sure_does_not_pull() -> None:
    teacher, student = torch.tensor([[0.1], [5.0]]), torch.zeros(2, 1, requires_grad=True)
    class_consistency(student, teacher, (1.0,), threshold=0.9).loss.backward()
    assert float(student.grad[0]) == 0.0
    assert float(student.grad[1]) < 0.0
    none = class_consistency(torch.zeros(2, 1), torch.zeros(2, 1), (1.0,), threshold=0.9)
    assert float(none.loss) == float(none.counted) == 0.0


def test_extreme_logits_give_finite_gradients() -> None:
    student = torch.tensor([[-200.0], [200.0]], requires_grad=True)
    loss = class_consistency(student, torch.tensor([[200.0], [-200.0]]), (1e4,)).loss
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(student.grad.isfinite().all())


def test_values_agree_in_the_mean_square() -> None:
    loss, counted = value_consistency(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [1.0]]))
    assert float(loss) == 2.5
    assert float(counted) == 1.0
    half = value_consistency(torch.ones(2, 1, dtype=torch.bfloat16), torch.zeros(2, 1, dtype=torch.bfloat16))
    assert half.loss.dtype == torch.float32


def test_what_does_not_match_is_refused() -> None:
    for consistency in (value_consistency, lambda s, t: class_consistency(s, t, (1.0,))):
        for student, teacher in ((torch.zeros(2, 1), torch.zeros(3, 1)), (torch.zeros(0, 1), torch.zeros(0, 1))):
            with pytest.raises(InputError, match="teacher"):
                consistency(student, teacher)
    with pytest.raises(InputError, match="weight"):
        class_consistency(torch.zeros(2, 2), torch.zeros(2, 2), (1.0,))
