"""Determinism flags are set, and the check notices when they are not."""

from __future__ import annotations

import pytest
import torch

from cardiobind.errors import TrainingError
from cardiobind.training.determinism import check_deterministic, deterministic, seed_torch


def test_defect_13_determinism_is_set_and_read_back(run, toy):
    seen = []

    class Looking(toy):
        def training_step(self, batch):
            seen.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic))
            return super().training_step(batch)

    run(Looking(), epochs=1)
    assert set(seen) == {(True, True)}


def test_defect_13_a_misspelt_flag_is_noticed():
    with deterministic():
        check_deterministic()
        torch.backends.cudnn.deterministic = False
        with pytest.raises(TrainingError, match=r"cudnn\.deterministic"):
            check_deterministic()
    with pytest.raises(TrainingError, match="use_deterministic_algorithms"):
        check_deterministic()


@pytest.mark.parametrize("name", ["determinstic", "benchmrk"])
def test_defect_13_torch_takes_a_misspelling_in_silence(name):
    """Why the flags are read back: torch accepts any attribute."""
    setattr(torch.backends.cudnn, name, True)
    assert not torch.backends.cudnn.deterministic
    delattr(torch.backends.cudnn, name)


def test_the_callers_flags_are_put_back():
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic():
        pass
    assert torch.are_deterministic_algorithms_enabled() == before
    with pytest.raises(ZeroDivisionError), deterministic():
        _ = 1 / 0
    assert torch.are_deterministic_algorithms_enabled() == before


def test_seeding_gives_the_stream_of_torch_manual_seed():
    torch.manual_seed(2**62 + 7)
    expected = torch.rand(4)
    seed_torch(2**62 + 7)
    assert torch.equal(torch.rand(4), expected)
