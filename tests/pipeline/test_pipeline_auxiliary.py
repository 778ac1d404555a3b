"""Phenotypes beside alignment: those of training subjects alone decide, those of test subjects are never seen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cardiobind.errors import ConfigError, InputError
from cardiobind.pipeline.pretrain import auxiliary_labels

SPLITS = np.array(["train"] * 6 + ["validation"] * 2 + ["test"] * 4)
VALUES = np.array([50.0, 60, 70, np.nan, 55, 65, 40, np.nan, 10, 20, 30, np.nan])


def study(values: Any = VALUES, task: str = "mi") -> Any:
    matrix = np.asarray(values, dtype=np.float64)[:, None]
    cohort = SimpleNamespace(label_matrix=lambda names: np.repeat(matrix, len(names), axis=1))
    protocol = SimpleNamespace(rows=lambda s: np.flatnonzero(SPLITS == s))
    asked = SimpleNamespace(protocol=SimpleNamespace(task=task), label_fractions=(0.1, 1.0))
    return SimpleNamespace(cohort=cohort, protocol=protocol, experiment=asked)


def method(*names: str) -> Any:
    return SimpleNamespace(auxiliary_tasks=names)


def test_labels_are_standardised_by_the_training_subjects() -> None:
    labels = auxiliary_labels(study(), method("lvef_percent", "lv_mass_g"))
    assert labels is not None
    train = VALUES[:6][np.isfinite(VALUES[:6])]
    assert labels.shape == (12, 2)
    np.testing.assert_allclose(labels[:8, 1], (VALUES[:8] - train.mean()) / train.std())


def test_test_subjects_are_never_seen() -> None:
    labels = auxiliary_labels(study(), method("lvef_percent"))
    moved = auxiliary_labels(study(np.where(SPLITS == "test", 1000.0, VALUES)), method("lvef_percent"))
    assert labels is not None
    assert np.isnan(labels[SPLITS == "test"]).all()
    np.testing.assert_array_equal(labels, moved)


def test_a_method_without_auxiliary_tasks_gets_the_protocols_labels() -> None:
    assert auxiliary_labels(study(), SimpleNamespace()) is None  # type: ignore[arg-type]
    assert auxiliary_labels(study(), method()) is None


def test_what_cannot_be_learnt_beside_is_refused() -> None:
    with pytest.raises(ConfigError, match="regression"):
        auxiliary_labels(study(), method("lvef_percent", "mi"))
    with pytest.raises(ConfigError, match="few may be used"):
        auxiliary_labels(study(task="lvef_percent"), method("lv_mass_g", "lvef_percent"))
    with pytest.raises(InputError, match="too few"):
        auxiliary_labels(study(np.where(SPLITS == "train", 50.0, VALUES)), method("lvef_percent"))
