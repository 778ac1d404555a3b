"""The arithmetic of a training: chosen by the hardware, named, switched off by a word, the same bits each time."""

from __future__ import annotations

import pytest
import torch

from cardiobind.errors import ConfigError
from cardiobind.training import choose_precision, weights_digest


@pytest.fixture
def hardware(monkeypatch):
    """Pretend that the CPU multiplies bfloat16 by these instructions, and that there is a GPU or none."""

    def pretend(*instructions, gpu=None):
        tests = {"AMX": "_is_amx_tile_supported", "AVX512-BF16": "_is_avx512_bf16_supported"}
        for name, test in tests.items():
            monkeypatch.setattr(torch.cpu, test, lambda has=name in instructions: has, raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: gpu == "bf16")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return pretend


@pytest.mark.parametrize(
    ("instructions", "gpu", "accelerator", "name", "reason"),
    [
        ((), None, "auto", "32-true", "no fast bfloat16"),
        (("AVX512-BF16",), None, "auto", "bf16-mixed", "AVX512-BF16"),
        (("AMX", "AVX512-BF16"), None, "cpu", "bf16-mixed", "AMX"),
        ((), "bf16", "auto", "bf16-mixed", "tensor cores"),
        ((), "bf16", "cpu", "32-true", "no fast bfloat16"),
        (("AMX",), "old", "cuda", "32-true", "no fast bfloat16"),
        (("AMX",), None, "mps", "32-true", "no fast bfloat16"),
    ],
)
def test_auto_is_what_the_hardware_does_well(hardware, instructions, gpu, accelerator, name, reason):
    hardware(*instructions, gpu=gpu)
    chosen = choose_precision("auto", accelerator)
    assert chosen.name == name
    assert reason in str(chosen)


def test_a_torch_that_cannot_tell_gets_float32(hardware, monkeypatch):
    hardware()
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert choose_precision().name == "32-true"


@pytest.mark.parametrize("wanted", ["32-true", "bf16-mixed"])
def test_a_word_overrules_the_hardware(hardware, wanted):
    hardware("AMX", gpu="bf16")
    assert choose_precision(wanted).name == wanted


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match="precision"):
        choose_precision("16")


def test_the_choice_is_logged_once_and_recorded(run, hardware, caplog):
    hardware("AVX512-BF16")
    with caplog.at_level("INFO", logger="cardiobind.training"):
        _, history = run(epochs=2)
    assert history.precision == "bf16-mixed"
    assert [r.getMessage() for r in caplog.records].count("toy: precision bf16-mixed (this cpu has AVX512-BF16)") == 1


def test_bfloat16_gives_the_same_bits_twice_and_others_than_float32(run):
    digests = []
    for work, precision in [("a", "bf16-mixed"), ("b", "bf16-mixed"), ("c", "32-true")]:
        method, history = run(work=work, precision=precision, epochs=2)
        assert history.precision == precision
        digests.append(weights_digest(method.state_dict()))
    assert digests[0] == digests[1] != digests[2]
