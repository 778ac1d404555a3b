"""Promise P2: a run that is interrupted or killed ends with the bits of one that was not."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cardiobind.artifact import Artifact
from cardiobind.config import Experiment
from cardiobind.pipeline import run_until
from cardiobind.pipeline.components import training_settings
from cardiobind.training import TrainingSettings
from walking import Recorder

Make = Callable[..., Experiment]


class Impatient(Recorder):
    """A person who presses Ctrl-C at a step of a training."""

    def __init__(self, title: str, step: int) -> None:
        super().__init__()
        self.title, self.step, self.pressed = title, step, False

    def update(self, title: str, step: int, total: int, loss: float, seconds_left: float) -> None:
        if title.startswith(self.title) and step >= self.step:
            self.pressed = True
            raise KeyboardInterrupt


@pytest.fixture
def checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round writes a checkpoint, however short."""

    def settings(*chosen: Any) -> TrainingSettings:
        return replace(training_settings(*chosen), checkpoint_interval_s=0.0)

    monkeypatch.setattr(importlib.import_module("cardiobind.pipeline.arms.network"), "training_settings", settings)
    monkeypatch.setattr(importlib.import_module("cardiobind.training.engine"), "_PROGRESS_INTERVAL_S", 0.0)


@pytest.mark.usefixtures("checkpoints")
def test_interrupted_fine_tuning_ends_with_the_same_weights(make: Make, prepared: Path, tmp_path: Path) -> None:
    small = make("finetune.epochs=6", "arms.0.start=scratch", "ecg.pretrain=none", "arms.1.start=scratch")
    small = small.model_copy(update={"arms": small.arms[:1]})
    whole = shutil.copytree(prepared, tmp_path / "whole")
    broken = shutil.copytree(prepared, tmp_path / "broken")
    (expected,) = run_until("finetune", small, whole)
    for step in (5, 8):
        person = Impatient("fine-tune", step)
        with pytest.raises(KeyboardInterrupt):
            run_until("finetune", small, broken, reporter=person)
        assert person.pressed
        assert not list(broken.glob("predictor-*"))
        assert list(broken.glob(".work/predictor-*/checkpoints/*"))
    (found,) = run_until("finetune", small, broken)
    assert same_files(expected, found)
    assert not [left for left in broken.glob(".work/*") if left.is_dir()]


def same_files(a: Artifact, b: Artifact) -> bool:
    return bool(a.manifest["files"] == b.manifest["files"])


@pytest.mark.slow
@pytest.mark.e2e
def test_a_killed_run_ends_with_the_same_predictions(small_file: Path, tmp_path: Path) -> None:
    def start(out: Path) -> subprocess.Popen[bytes]:
        code = "from cardiobind.cli import main; main()"
        words = [sys.executable, "-c", code, "run", str(small_file), "finetune.epochs=20", "--out", str(out)]
        return subprocess.Popen(words, start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"})

    assert start(tmp_path / "whole").wait() == 0
    killed, out = 0, tmp_path / "killed"
    for awaited in ("cohort-*", "pretrain-ecg-*", "predictor-fine-tuned-*", "kernel-features-*"):
        process = start(out)
        while process.poll() is None and not list(out.glob(awaited)):
            time.sleep(0.01)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed >= 3
    assert start(out).wait() == 0
    compared = 0
    for expected in (tmp_path / "whole").glob("*/predictions.parquet"):
        assert (out / expected.parent.name / expected.name).read_bytes() == expected.read_bytes()
        compared += 1
    assert compared == 4
    assert (out / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()
