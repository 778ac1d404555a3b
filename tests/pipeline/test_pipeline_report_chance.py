"""Chance levels of contrastive stages, as the report compares their losses with them."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from cardiobind.objectives import nt_xent
from cardiobind.pipeline.components import Study
from cardiobind.pipeline.report import _chance


def make_study(kind: str, subjects: int) -> Study:
    method = SimpleNamespace(kind=kind)
    stages: dict[str, Any] = {"tabular": SimpleNamespace(pretrain=SimpleNamespace(method=method)),
                              "ecg": SimpleNamespace(pretrain=None)}  # fmt: skip
    study = SimpleNamespace(
        modalities=("ecg", "tabular"), experiment=SimpleNamespace(**stages),
        protocol=SimpleNamespace(rows=lambda split: np.arange(subjects)),
        cohort=SimpleNamespace(rows_with=lambda rows, modalities: rows),
    )  # fmt: skip
    return cast(Study, study)


@pytest.mark.parametrize("subjects", [2, 50])
def test_chance_is_the_loss_of_equal_embeddings(subjects: int) -> None:
    same = torch.ones(subjects, 4)
    assert _chance(make_study("scarf", subjects)) == {"pretrain-tabular": pytest.approx(float(nt_xent(same, same)))}


def test_it_is_known_of_two_views_and_counted_as_they_are_measured() -> None:
    assert _chance(make_study("masked", 50)) == {}
    assert _chance(make_study("scarf", 1)) == {}
    assert _chance(make_study("simclr", 5000)) == {"pretrain-tabular": math.log(2 * 2048 - 1)}
