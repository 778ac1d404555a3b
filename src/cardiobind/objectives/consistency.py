"""Agreement of two networks about subjects whose labels nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cardiobind.errors import InputError
from cardiobind.objectives.precision import in_float32


class Consistency(NamedTuple):
    """How far a student is from its teacher.

    Attributes:
        loss: scalar.
        counted: share of the predictions that were sure enough to count.
    """

    loss: Tensor
    counted: Tensor


@in_float32
def class_consistency(
    student: Tensor, teacher: Tensor, positive_weights: Sequence[float], threshold: float = 0.0
) -> Consistency:
    """Return the weighted cross-entropy of labels that are drawn from the teacher's belief, in expectation.

    Both networks learn with positives that weigh w, so their logits hold for a population in which both classes are as
    frequent. In the true one the teacher believes in a positive with q = sigmoid(t - log w), the prior corrected: of a
    rare disease few are, however often the balanced logit is positive. The loss is that of learning from such labels,

        sum of m (w q softplus(-s) + (1 - q) softplus(s)) / sum of (w q + 1 - q),  m = [sigmoid(|t|) >= threshold],

    which is least where the student says s = t. What the teacher is not sure of does not count, but its weight stays
    below: a teacher sure of little moves little.

    Args:
        student: logits (B, K).
        teacher: logits (B, K), without gradient.
        positive_weights: w of each of the K classes, negatives over positives among the labelled.
        threshold: of the teacher's evidence for either class, in [0, 1); up to 0.5 all count.

    Raises:
        InputError: the shapes differ, or there are not K weights.

    Source: Sohn et al. 2020 (FixMatch), equation 4, for weak, strong and threshold; Saerens et al. 2002 for the prior;
        expectation in place of the likelier class, which would make a rare class as frequent as the common one.
    """
    _check(student, teacher)
    if len(positive_weights) != student.shape[1]:
        raise InputError("a weight for each class is needed", expected=student.shape[1], got=len(positive_weights))
    weight = torch.tensor(positive_weights, dtype=student.dtype, device=student.device)
    positive = weight * torch.sigmoid(teacher - weight.log())
    negative = 1.0 - positive / weight
    sure = torch.sigmoid(teacher.abs()) >= threshold
    losses = sure * (positive * F.softplus(-student) + negative * F.softplus(student))
    return Consistency((losses.sum(dim=0) / (positive + negative).sum(dim=0)).mean(), sure.to(student.dtype).mean())


@in_float32
def value_consistency(student: Tensor, teacher: Tensor) -> Consistency:
    """Return the mean squared difference of outputs (B, K) that are no classes; all of them count.

    Raises:
        InputError: the shapes differ.

    Source: Tarvainen and Valpola 2017 (mean teacher), section 2.
    """
    _check(student, teacher)
    return Consistency(F.mse_loss(student, teacher), torch.ones((), device=student.device))


def _check(student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape or student.ndim != 2 or len(student) == 0:
        got = f"{tuple(student.shape)}, {tuple(teacher.shape)}"
        raise InputError("student and teacher do not match", expected="(B, K) both, B >= 1", got=got)
