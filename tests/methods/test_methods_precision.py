"""A step in bfloat16 has the loss and the gradient of the step in float32, for every registered method.

A residual network at its random start passes on a rounding of its input many times larger, see
docs/explanation/precision.md, so the bound on the angle is that of the tiny one; without convolutions it is 0.99.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cardiobind.methods import METHODS


def step(m, batch, *, half):
    torch.manual_seed(7)
    m.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        loss = m.training_step(batch).loss
    loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in m.parameters() if p.grad is not None])
    assert loss.dtype == torch.float32
    return loss.item(), gradient


@pytest.mark.parametrize("name", METHODS.names())
def test_loss_and_gradient_agree_with_float32(name, method, cohort):
    m = method(name)
    data = cohort(size=48)
    batch = data.batch(np.flatnonzero(m.usable(data.present)))
    (full, direction), (half, found) = (step(m, batch, half=half) for half in (False, True))
    assert half == pytest.approx(full, rel=0.02)
    cosine = F.cosine_similarity(direction, found, dim=0)
    assert cosine > (0.97 if "cmr" in m.modalities else 0.99)


def test_views_do_not_depend_on_the_precision(method, cohort):
    m = method("simclr")
    x = cohort(size=8, gaps=False).batch(range(8)).signals["cmr"]
    views = []
    for half in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            views.append(m.views.random("cmr", x))
    assert torch.equal(*views)
