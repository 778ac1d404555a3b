"""Tiny subjects with gaps, and one method of each kind built on tiny encoders."""

from __future__ import annotations

import contextlib
import inspect

import numpy as np
import pytest
import torch

from cardiobind import rng
from cardiobind.data import Batch
from cardiobind.errors import ConfigError
from cardiobind.methods import METHODS
from cardiobind.modalities.records import LEADS
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import MeanPool, Tower, build_encoder

SPECS = {
    "ecg": InputSpec("ecg", (12, 200), rate_hz=100.0, names=LEADS),
    "cmr": InputSpec("cmr", (3, 32, 32), names=("end_systole", "mid_beat", "end_diastole")),
    "tabular": InputSpec("tabular", (5, 2), names=("a", "b", "c", "d", "e"), cardinalities=(0, 0, 0, 2, 3)),
}
ENCODERS = {
    "ecg": ("vit", {"patch": (12, 20), "width": 16, "depth": 2, "heads": 2}),
    "cmr": ("resnet", {"depth": 10, "base_width": 4, "stem": "small"}),
    "tabular": ("tabular_mlp", {"width": 8}),
    "ecg, causal": ("s4", {"width": 16, "depth": 1, "state": 4, "bidirectional": False}),
}


class TinyCohort:
    """Subjects with the interface of `CohortDataset`; a hidden state drives all modalities and the label."""

    def __init__(self, size=24, modalities=("ecg", "cmr", "tabular"), gaps=True, seed=0, prevalence=0.4):
        g = rng.generator(seed, "tiny")
        self.modalities = tuple(modalities)
        state = g.standard_normal(size)
        time = np.arange(200) / 100
        phase = g.uniform(0, 6, (size, 1, 1))
        lead = g.standard_normal((12, 1))
        ecg = np.sin(6 * time + phase) * lead + state[:, None, None] * np.cos(25 * time)
        cmr = np.clip(g.standard_normal((size, 3, 32, 32)) * 0.3 + state[:, None, None, None], -2, 2)
        numbers = np.stack([state + 0.1 * g.standard_normal(size), *g.standard_normal((2, size))], 1)
        codes = np.stack([g.integers(0, 2, size), g.integers(0, 3, size)], 1)
        table = np.stack([np.hstack([numbers, codes]), np.ones((size, 5))], 2)
        table[g.random((size, 5)) < 0.1] = 0.0
        full = {"ecg": ecg, "cmr": cmr, "tabular": table}
        self.signals = {m: full[m].astype(np.float32) for m in self.modalities}
        have = {"ecg": g.random(size) < 0.8, "cmr": g.random(size) < 0.6, "tabular": np.ones(size, bool)}
        self.present = {m: have[m] if gaps else np.ones(size, bool) for m in self.modalities}
        self.labels = (state > np.quantile(state, 1 - prevalence)).astype(np.float32)
        self.labels[g.random(size) < 0.1] = np.nan

    def __len__(self):
        return len(self.labels)

    def batch(self, indices):
        i = np.asarray(indices, dtype=np.int64)
        present = {m: p[i] for m, p in self.present.items()}
        signals = {m: torch.from_numpy(x[i[present[m]]]) for m, x in self.signals.items()}
        flags = {m: torch.from_numpy(p) for m, p in present.items()}
        return Batch(torch.from_numpy(i), signals, flags, torch.from_numpy(self.labels[i]))


def make_encoder(modality):
    kind, options = ENCODERS[modality]
    return build_encoder(kind, SPECS[modality.split(",")[0]], **options)


def make_towers(modalities=("ecg", "cmr", "tabular")):
    return {m: Tower(make_encoder(m), MeanPool()) for m in modalities}


OPTIONS = {
    "masked": {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2, "crop_s": 1.0},
    "jepa": {"predictor_width": 16, "predictor_depth": 1, "predictor_heads": 2, "momentum_steps": 4},
    "cpc": {"steps": 3, "crop_s": 1.0},
    "measured": {"crop_s": 1.0},
    "simclr": {"projection": 8},
    "scarf": {"projection": 8},
    "masked_table": {"projection": 8, "contrastive_weight": 0.5},
    "align_joint": {"projection": 8},
    "align_all_pairs": {"projection": 8},
    "semi_supervised": {"hidden": 8},
    "align_gram": {"projection": 8},
    "align_sigmoid": {"projection": 8},
    "align_symile": {"projection": 8},
    "finetune": {"hidden": 8},
}


def make_method(name, seed=0, **options):
    """Build a registered method on what its first argument asks for: towers, or the first encoder it takes.

    ``measured, of ecg`` is `measured` on the encoder of ECGs.
    """
    name, _, wanted = name.partition(", of ")
    build, options = METHODS.get(name), OPTIONS.get(name, {}) | options
    torch.manual_seed(seed)
    if next(iter(inspect.signature(build).parameters)) == "towers":
        return _given_measurements(build(make_towers(), **options))
    for modality in (wanted,) if wanted else ("cmr", "ecg", "tabular", "ecg, causal"):
        with contextlib.suppress(ConfigError):
            return _given_measurements(build(make_encoder(modality), **options))
    raise AssertionError(f"no encoder suits {name}")


def _given_measurements(method):
    """Let a method that learns what is measured learn the label of `TinyCohort` in the place of each measurement."""
    if getattr(method, "learns_measurements", False):
        if hasattr(method, "towers"):
            method.targets = lambda batch: batch.labels[:, None].repeat(1, method.known)
        else:
            (own,) = method.modalities
            method.targets = lambda batch: batch.labels[batch.present[own], None].repeat(1, method.head.out_features)
    return method


@pytest.fixture
def encoder():
    return make_encoder


@pytest.fixture
def towers():
    return make_towers


@pytest.fixture
def method():
    return make_method


@pytest.fixture
def cohort():
    return TinyCohort


@pytest.fixture
def specs():
    return SPECS
