"""Random views of tables and images, and the baseline of an ECG."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from cardiobind.methods.augment_cmr import CmrAugmentation
from cardiobind.methods.views import corrupt_table
from cardiobind.modalities.ecg import EcgPreparation, asymmetric_least_squares
from cardiobind.modalities.spec import InputSpec
from cardiobind.models import build_encoder
from reference.als_sparse import als_sparse
from reference.views import corrupted, image_view, one_hot
from works.work import Run

CARDINALITIES = tuple(5 if field % 4 == 0 else 0 for field in range(120))
SUBJECTS = 1000
SETTINGS = EcgPreparation()
ALS = (SETTINGS.baseline_lambda, SETTINGS.baseline_asymmetry, SETTINGS.baseline_iterations)


def table() -> Tensor:
    """Return numbers and categories (subjects, 120), all observed."""
    columns = [torch.randint(c, (SUBJECTS,)).float() if c else torch.randn(SUBJECTS) for c in CARDINALITIES]
    return torch.stack(columns, dim=1)


def table_reference(batch: int) -> Run:
    rows = table().tolist()
    marginals = [list(column) for column in zip(*rows, strict=True)]

    def run() -> Tensor:
        chosen = random.sample(rows, batch)
        return torch.stack([one_hot(corrupted(row, marginals, 0.3), CARDINALITIES) for row in chosen])

    return run


def table_ours(batch: int, precision: str) -> Run:
    spec = InputSpec("tabular", (len(CARDINALITIES), 2), cardinalities=CARDINALITIES)
    encoder = build_encoder("tabular_mlp", spec, width=8)
    values = table()
    rows = torch.stack([values, torch.ones_like(values)], dim=2)
    return lambda: encoder.one_hot(corrupt_table(rows.index_select(0, torch.randint(SUBJECTS, (batch,))), 0.3))


def image_reference(batch: int) -> Run:
    images = torch.rand(batch, 3, 210, 210)
    return lambda: torch.stack([image_view(image) for image in images])


def image_ours(batch: int, precision: str) -> Run:
    images, augment = torch.rand(batch, 3, 210, 210) * 4 - 2, CmrAugmentation(probability=1.0)
    return lambda: augment(images)


def baseline_reference(batch: int) -> Run:
    signals = np.random.default_rng(0).standard_normal((batch, 12, 5000)).cumsum(axis=2)
    return lambda: [als_sparse(signal, *ALS) for signal in signals]


def baseline_ours(batch: int, precision: str) -> Run:
    signals = np.random.default_rng(0).standard_normal((batch, 12, 5000)).cumsum(axis=2)
    return lambda: [asymmetric_least_squares(signal, *ALS) for signal in signals]
