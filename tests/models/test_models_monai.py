"""MONAI backbones are an extra: without it the error names it, with it they are encoders like any other."""

from __future__ import annotations

import sys

import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.modalities.cmr import CmrPreparation, cmr_spec
from cardiobind.models import build_encoder, encoder_options
from cardiobind.models.monai_backbone import WIDTHS

SLICES = cmr_spec(CmrPreparation(size_px=64, layout="slices"))


def test_without_monai_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(ConfigError, match=r"cardiobind\[imaging\]"):
        build_encoder("monai", SLICES)


def test_an_unknown_network_is_refused_without_monai() -> None:
    with pytest.raises(ConfigError, match="network"):
        encoder_options("monai", {"network": "ResNet50"})


@pytest.mark.slow
@pytest.mark.parametrize("network", WIDTHS)
def test_each_network_gives_cells_of_its_width(network: str) -> None:
    pytest.importorskip("monai", reason="MONAI is an extra (cardiobind[imaging]) and is not installed here")
    encoder = build_encoder("monai", SLICES, network=network)
    tokens = encoder(torch.randn(2, *SLICES.shape))
    assert tokens.shape == (2, 4, WIDTHS[network]) == (2, 4, encoder.width)
    tokens.mean().backward()
    assert all(p.grad is not None for p in encoder.parameters())
