"""A small experiment on a cohort that is simulated in memory: ECGs and a table, a few seconds for everything."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cardiobind.cohort import tables
from cardiobind.config import Experiment
from cardiobind.pipeline import load
from cardiobind.tasks import TASKS
from once import once

SMALL = """
name = "small"
title = "Small"
label_fractions = [1.0]

[source]
kind = "simulated"
options = { subjects = 80, mi_prevalence = 0.4, ecg_fraction = 0.9, cmr_fraction = 0.0 }

[protocol]
task = "mi"
fractions = [0.5, 0.25, 0.25]

[ecg]
rate_hz = 100

[ecg.encoder]
kind = "vit"
options = { patch = [12, 50], width = 16, depth = 1, heads = 2 }

[ecg.pretrain.method]
kind = "masked"
options = { decoder_width = 16, decoder_depth = 1, decoder_heads = 2 }

[ecg.pretrain.training]
epochs = 1

[tabular.encoder]
kind = "tabular_mlp"
options = { width = 16 }

[finetune]
epochs = 3
batch_size = 16

[[arms]]
name = "fine-tuned"
start = "pretrained"

[[arms]]
name = "linear probe"
kind = "linear_probe"
start = "pretrained"

[[arms]]
name = "kernels"
kind = "random_kernels"
options = { features = 1008 }

[evaluation]
inputs = ["ecg"]
resamples = 100
"""

Make = Callable[..., Experiment]


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("experiment") / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="session")
def make(small_file: Path) -> Make:
    """Return the small experiment with overrides."""
    return lambda *words: load(small_file, words)


@contextmanager
def small_work() -> Iterator[None]:
    """Records are prepared in this process and labelled for one endpoint: all else takes longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "TASKS", {"mi": TASKS.get("mi")})
        patch.setattr(importlib.import_module("cardiobind.pipeline.prepare"), "WORKERS", 0)
        yield


@pytest.fixture(autouse=True, scope="module")
def one_process() -> Iterator[None]:
    with small_work():
        yield


@pytest.fixture(scope="session")
def prepared(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cohort and protocol of the small experiment, to be copied."""
    from cardiobind.pipeline import run_until

    def prepare(folder: Path) -> Path:
        with small_work():
            run_until("prepare", make(), folder)
        return folder

    return once(tmp_path_factory, "prepared", prepare)
