"""SimCLR over every layout of a cine, with long-axis views that some subjects lack."""

from __future__ import annotations

import pytest
import torch

from cardiobind.data import Batch
from cardiobind.methods import METHODS
from cardiobind.modalities.cmr import ABSENT_VALUE, LAYOUTS, CmrPreparation, cmr_spec
from cardiobind.models import build_encoder

OPTIONS = {
    "resnet_places": {"depth": 10, "base_width": 4, "stem": "small"},
    "vit_video": {"patch": 8, "width": 12, "depth": 1, "heads": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", OPTIONS)
def test_a_step_is_finite_and_keyed(layout: str, kind: str) -> None:
    spec = cmr_spec(CmrPreparation(size_px=32, layout=layout, video_phases=3, long_axis=("lax_2ch",)))
    torch.manual_seed(0)
    encoder = build_encoder(kind, spec, **OPTIONS[kind])
    method = METHODS.get("simclr")(encoder, projection=8)
    x = torch.rand(6, *spec.shape) * 4 - 2
    x[::2, -3:] = ABSENT_VALUE
    batch = Batch(torch.arange(6), {"cmr": x}, {"cmr": torch.ones(6, dtype=torch.bool)})
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        step = method.training_step(batch)
        losses.append(step.loss.item())
        step.loss.backward()
    assert losses[0] == losses[1]
    assert all(bool(p.grad.isfinite().all()) for p in method.parameters() if p.grad is not None)
    assert bool(encoder.place_embed.grad[-1].any())
