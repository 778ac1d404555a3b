"""Networks are computed on an accelerator where there is one, and are afterwards where and what they were."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from cardiobind.training import computing, computing_device, computing_on
from cardiobind.training import device as module


def test_without_an_accelerator_nothing_moves() -> None:
    layer = nn.Linear(2, 2)
    with computing(layer) as device:
        assert device == computing_device()
    assert layer.weight.device == torch.device("cpu")


class Moved(nn.Linear):
    """Remembers where it was sent, as no accelerator is here."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.places: list[str] = []

    def to(self, place: object) -> Moved:  # type: ignore[override]
        self.places.append(str(place))
        return self


def test_modules_go_there_and_come_back_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "computing_device", lambda: torch.device("cuda"))
    layer = Moved()
    before = torch.are_deterministic_algorithms_enabled()
    with pytest.raises(ValueError, match="True on cuda"), computing(layer) as device:
        raise ValueError(f"{torch.are_deterministic_algorithms_enabled()} on {device}")
    assert layer.places == ["cuda", "cpu"]
    assert torch.are_deterministic_algorithms_enabled() == before


@pytest.mark.parametrize(
    ("accelerator", "kind"), [("auto", "cuda"), ("gpu", "cuda"), ("cuda", "cuda"), ("cpu", "cpu"), ("mps", "mps")]
)
def test_what_is_asked_for_is_where_it_computes(monkeypatch: pytest.MonkeyPatch, accelerator: str, kind: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with computing_on(accelerator):
        assert computing_device().type == kind
    assert computing_device().type == "cuda"


def test_on_the_cpu_a_module_comes_from_elsewhere_and_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Moved()
    monkeypatch.setattr(module, "_place", lambda _: torch.device("cuda"))
    with computing_on("cpu"), computing(layer) as device:
        assert device.type == "cpu"
    assert layer.places == ["cpu", "cuda"]


ON_BOTH = """
import numpy as np, torch
from cardiobind.models import build_encoder
from cardiobind.modalities.spec import InputSpec
from cardiobind.training import computing
spec = InputSpec("ecg", (12, 1000), rate_hz=100.0)
encoder = build_encoder("vit", spec, patch=(12, 20), width=32, depth=1, heads=2).eval()
x = torch.randn(3, 12, 1000)
with torch.inference_mode():
    here = encoder(x)
with computing(encoder) as device, torch.inference_mode():
    assert device.type == "cuda"
    there = encoder(x.to(device)).cpu()
np.testing.assert_allclose(here, there, atol=5e-3)
encoder.train()(x).sum().backward()
"""


@pytest.mark.skipif("CARDIOBIND_TEST_GPU" not in os.environ, reason="set CARDIOBIND_TEST_GPU=1 where a GPU is")
def test_a_gpu_says_what_the_cpu_says() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    subprocess.run([sys.executable, "-c", ON_BOTH], check=True, env=environment)
