"""Toys, so that the machine is tested without a heart."""

from __future__ import annotations

import pytest
from toys import Toy, ToyData

from cardiobind.data import KeyedBatchSampler
from cardiobind.training import TrainingSettings, fit


@pytest.fixture
def toy():
    return Toy


@pytest.fixture
def toy_data():
    return ToyData


@pytest.fixture
def run(tmp_path):
    """Train a toy; returns it and its history."""

    def train(method=None, *, work="run", validation=20, size=50, seed=1, data=None, progress=None, **settings):
        method = Toy() if method is None else method
        settings = {"batch_size": 8, "epochs": 4, "checkpoint_interval_s": 0.0, "accelerator": "cpu"} | settings
        if "steps" in settings:
            settings["epochs"] = None
        history = fit(
            method,
            ToyData(size) if data is None else data,
            ToyData(validation, seed=9) if validation else None,
            TrainingSettings(**settings),
            order=KeyedBatchSampler,
            seed=seed,
            work=tmp_path / work,
            title="toy",
            progress=progress,
        )
        return method, history

    return train
