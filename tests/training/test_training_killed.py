"""Promise P2: a run that is killed at any time, also while it saves, ends with the bits of the uninterrupted one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kill_server import tiny_methods

from cardiobind.methods import METHODS
from clusters import clean_environment

SERVER = Path(__file__).with_name("kill_server.py")


def kill(method: str, kills: int, work: Path, precision: str = "32-true") -> dict[str, object]:
    command = [sys.executable, str(SERVER), method, str(kills), str(work), precision]
    result = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=1800)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    return json.loads(result.stdout.splitlines()[-1])


def check(found: dict[str, object], kills: int) -> None:
    assert found["kills"] == kills
    assert found["differing"] == 0
    assert found["left"] == []
    assert int(str(found["while saving"])) >= 1


def test_kills_change_no_bit(tmp_path):
    check(kill("scarf", 3, tmp_path), 3)


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS.names(), "measured, of ecg"])
def test_twenty_kills_change_no_bit(method, tmp_path):
    check(kill(method, 20, tmp_path), 20)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["masked", "simclr", "finetune"])
def test_twenty_kills_change_no_bit_in_half_precision(method, tmp_path):
    check(kill(method, 20, tmp_path, "bf16-mixed"), 20)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_has_a_recipe(method):
    """So that a new method is killed too."""
    assert tiny_methods().make_method(method).monitor
